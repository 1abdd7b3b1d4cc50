package find

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

// generations is how many parents are looked at: there may be a shell, a wrapper and a debugger between a rank and its launcher.
const generations = 8

// Here is the system that this process runs on.
func Here() System {
	return System{
		Lookup: os.LookupEnv,
		Glob: func(pattern string) []string {
			found, _ := filepath.Glob(pattern) // a bad pattern is a folder with a strange name, which has nothing then
			return found
		},
		Real: func(path string) string {
			real, err := filepath.EvalSymlinks(path)
			if err != nil {
				return path
			}
			return real
		},
		OnPath: func(program string) string {
			path, err := exec.LookPath(program)
			if err != nil {
				return ""
			}
			return path
		},
		Parents: parents(os.Getppid()),
	}
}

// parents returns the programs from a process upwards, as far as /proc shows them.
func parents(pid int) (programs []string) {
	for range generations {
		if pid <= 1 {
			break
		}
		folder := "/proc/" + strconv.Itoa(pid)
		if exe, err := os.Readlink(folder + "/exe"); err == nil {
			programs = append(programs, exe)
		}
		status, err := os.ReadFile(folder + "/status")
		if err != nil {
			break
		}
		_, rest, _ := strings.Cut(string(status), "\nPPid:")
		line, _, _ := strings.Cut(rest, "\n")
		if pid, err = strconv.Atoi(strings.TrimSpace(line)); err != nil {
			break
		}
	}
	return programs
}
