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

// stat is what the kernel tells of a process, from its state on. It is false if there is none.
func stat(pid int) (fields [][]byte, ok bool) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return nil, false
	}
	fields = bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // the name may have brackets in it
	return fields, len(fields) >= 20
}

// startedAt is when a process of this host has begun, in clock ticks since the start of the kernel. It is false if there is none.
func startedAt(pid int) (string, bool) {
	fields, ok := stat(pid)
	if !ok {
		return "", false
	}
	return string(fields[19]), true
}

// state tells how far a process of this host has come that began at that time.
func state(pid int, began string) verdict {
	const exiting, signaled = 0x4, 0x400                               // PF_EXITING, PF_SIGNALED
	status, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status") // first: what is pending here may be in the flags a moment later
	fields, ok := stat(pid)
	if !ok || string(fields[19]) != began {
		return isGone
	}
	if fields[0][0] == 'Z' || fields[0][0] == 'X' {
		if threads, err := strconv.Atoi(string(fields[17])); err == nil && threads > 1 {
			return isEnding // one of them may still write
		}
		return isGone
	}
	if flags, err := strconv.ParseUint(string(fields[6]), 10, 64); err == nil && flags&(exiting|signaled) != 0 {
		return isEnding
	}
	for line := range bytes.Lines(status) {
		name, mask, _ := bytes.Cut(line, []byte(":"))
		if string(name) != "SigPnd" && string(name) != "ShdPnd" {
			continue
		}
		if signals, err := strconv.ParseUint(string(bytes.TrimSpace(mask)), 16, 64); err == nil && signals&(1<<(syscall.SIGKILL-1)) != 0 {
			return isEnding
		}
	}
	return lives
}

// look tells what is known of a process from here. One that was killed is ending until its last thread has.
func (p place) look(pid int, here place) verdict {
	if p.Boot == "" || p.Boot != here.Boot || p.Namespace != here.Namespace {
		return nobodyKnows
	}
	if v := state(pid, p.Started); v != isGone {
		return v
	}
	if err := syscall.Kill(pid, 0); err != nil && err != syscall.ESRCH { //nolint:errorlint // it is a number
		return nobodyKnows // it is another user's, whose /proc may be hidden
	}
	return isGone
}
