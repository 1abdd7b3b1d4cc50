package resultlog

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ownPlace is where this process is.
func ownPlace() place {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return place{}
	}
	ns, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return place{}
	}
	started, ok := startedAt(os.Getpid())
	if !ok {
		return place{}
	}
	return place{Boot: strings.TrimSpace(string(boot)), Namespace: ns, Started: started}
}

// startedAt is when a process of this host has begun, in clock ticks since the start of the kernel. It is false if there is none.
func startedAt(pid int) (string, bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", false
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the name may have brackets in it
	if len(fields) < 20 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return "", false
	}
	return string(fields[19]), true
}

// look tells what is known of a process from here.
func (p place) look(pid int, here place) verdict {
	if p.Boot == "" || p.Boot != here.Boot || p.Namespace != here.Namespace {
		return nobodyKnows
	}
	if started, ok := startedAt(pid); ok && started == p.Started {
		return lives
	}
	if err := syscall.Kill(pid, 0); err != nil && err != syscall.ESRCH { //nolint:errorlint // it is a number
		return nobodyKnows // it is another user's, whose /proc may be hidden
	}
	return isGone
}
