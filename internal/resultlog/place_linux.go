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
	fields, ok := stat(pid)
	if !ok || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return "", false
	}
	return string(fields[19]), true
}

// stat is what the kernel tells of a process, from its state on.
func stat(pid int) (fields [][]byte, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, false
	}
	fields = bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the name may have brackets in it
	return fields, len(fields) >= 20
}

// ending tells whether a process of this host runs no more code of its own: it is being taken down, which takes a while when it has much memory, or SIGKILL is on its way to it.
func ending(pid int) bool {
	const exiting = 0x4 // PF_EXITING
	if fields, ok := stat(pid); ok {
		if flags, err := strconv.ParseUint(string(fields[6]), 10, 64); err == nil && flags&exiting != 0 {
			return true
		}
	}
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	for line := range bytes.Lines(status) {
		name, mask, _ := bytes.Cut(line, []byte(":"))
		if string(name) != "SigPnd" && string(name) != "ShdPnd" {
			continue
		}
		if signals, err := strconv.ParseUint(string(bytes.TrimSpace(mask)), 16, 64); err == nil && signals&(1<<(syscall.SIGKILL-1)) != 0 {
			return true
		}
	}
	return false
}

// look tells what is known of a process from here.
func (p place) look(pid int, here place) verdict {
	if p.Boot == "" || p.Boot != here.Boot || p.Namespace != here.Namespace {
		return nobodyKnows
	}
	if started, ok := startedAt(pid); ok && started == p.Started {
		if ending(pid) {
			return isEnding
		}
		return lives
	}
	if err := syscall.Kill(pid, 0); err != nil && err != syscall.ESRCH { //nolint:errorlint // it is a number
		return nobodyKnows // it is another user's, whose /proc may be hidden
	}
	return isGone
}
