package job

import (
	"fmt"
	"os"
)

// printWarning tells the user something, on standard error.
func printWarning(who, text string) { fmt.Fprintf(os.Stderr, "rankpool: warning: %s%s\n", who, text) }
