package mpitest

import "os"

// marker is in the environment of everything a launch starts; its value is different for each.
const marker = "MPITEST_LAUNCH"

// InRank tells whether this process is a rank that a test has launched.
func InRank() bool { return os.Getenv(marker) != "" }
