//go:build unix

package marked

import (
	"bytes"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// markName is the variable that everything the doctor and the bench start have in their environment.
const markName = "_RANKPOOL_MARK"

// newMark returns a variable that nobody else has.
func newMark() string { return markName + "=" + rand.Text() }

// ownGroup keeps a command apart from this process, so that what the doctor kills is not the doctor.
func ownGroup(cmd *exec.Cmd) {
	if os.Getenv("PMI_FD") == "" { // a rank's child stays in the rank's group, which the launcher knows
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	}
}

// killMarked kills every process that has mark in its environment, until there is none: launchers give their ranks groups
// of their own, so no signal to a group reaches them all. Without /proc it does nothing; the probes end by themselves.
func killMarked(mark string) {
	for range 200 {
		alive := false
		environs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, path := range environs {
			env, err := os.ReadFile(path)
			if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+mark+"\x00")) {
				continue
			}
			if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && pid != os.Getpid() {
				alive = true
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
		if !alive {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
