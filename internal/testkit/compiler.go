package testkit

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Compiler returns the command of a C compiler: $CC, cc, gcc or clang, whichever is there first. Without one it skips the test, and
// says what cannot be made then.
func Compiler(t testing.TB, what string) []string {
	t.Helper()
	for _, name := range []string{os.Getenv("CC"), "cc", "gcc", "clang"} {
		words := strings.Fields(name)
		if len(words) == 0 {
			continue
		}
		if _, err := exec.LookPath(words[0]); err == nil {
			return words
		}
	}
	t.Skipf("%s cannot be made: there is no C compiler on the path (looked for $CC, cc, gcc, clang); install one (gcc, or make deps)", what)
	return nil
}
