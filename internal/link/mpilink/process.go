package mpilink

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process names a process so that another one on the same machine can tell whether it still runs. Where there is no
// Linux /proc the place is empty, and nobody can tell.
type process struct {
	place string // the boot, and the namespaces of processes and of host names
	pid   int
	start string // in the kernel's ticks: numbers of processes are used again
}

// self names this process.
func self() process {
	p := process{pid: os.Getpid()}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	space, also := os.Readlink("/proc/self/ns/pid")
	host, too := os.Readlink("/proc/self/ns/uts")
	if err == nil && also == nil && too == nil {
		p.place = strings.TrimSpace(string(boot)) + " " + space + " " + host
	}
	p.start, _, _ = started(p.pid)
	return p
}

// started returns when a process was started, and whether it runs: one that nobody has waited for yet does not. The error is
// that it cannot be told, because there are no descriptors left for one.
func started(pid int) (start string, runs bool, err error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	// The name may hold anything, so fields are counted from its end: state is the third of all, start the 22nd.
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 {
		return "", false, nil
	}
	return string(fields[19]), fields[0][0] != 'Z' && fields[0][0] != 'X', nil
}

// runs tells whether the process is there. One of which nothing can be told is.
func (p process) runs() bool {
	start, runs, err := started(p.pid)
	return err != nil || runs && start == p.start
}

// exists tells whether the process is there, be it that it has ended and nobody has waited for it yet.
func (p process) exists() bool {
	start, _, err := started(p.pid)
	return err != nil || start != "" && start == p.start
}

// near tells whether p is, or was, where this process can see it.
func (p process) near() bool { return p.at(self().place) }

// at tells whether p is, or was, in a place.
func (p process) at(place string) bool { return p.place != "" && p.start != "" && p.place == place }

// append encodes p.
func (p process) append(b []byte) []byte {
	b = binary.LittleEndian.AppendUint64(b, uint64(p.pid))
	return append(b, p.place+"\x00"+p.start...)
}

func readProcess(b []byte) (process, bool) {
	if len(b) < 8 {
		return process{}, false
	}
	place, start, ok := strings.Cut(string(b[8:]), "\x00")
	pid, fits := count(b)
	return process{place: place, pid: pid, start: start}, ok && fits
}

// count reads a number that is not negative, and tells whether an int can hold it.
func count(b []byte) (int, bool) {
	u := binary.LittleEndian.Uint64(b)
	return int(u), u <= math.MaxInt
}

// lookForEnd is awaitEnd where nothing better is to be had.
func (p process) lookForEnd(stop <-chan struct{}) bool {
	ticks := time.NewTicker(watchTurn)
	defer ticks.Stop()
	for p.runs() {
		select {
		case <-stop:
			return false
		case <-ticks.C:
		}
	}
	return true
}

// appendWatched encodes a rank and its process.
func appendWatched(b []byte, rank int, p process) []byte {
	return p.append(binary.LittleEndian.AppendUint64(b, uint64(rank)))
}

func readWatched(b []byte) (rank int, p process, ok bool) {
	if len(b) < 8 {
		return 0, process{}, false
	}
	rank, fits := count(b)
	p, ok = readProcess(b[8:])
	return rank, p, ok && fits
}

// watchTurn is how often a rank looks whether its master is there.
const watchTurn = time.Second

// ErrMasterEnded is the error of Serve when the master's process has ended before its goodbye.
var ErrMasterEnded = errors.New("is gone: it was killed or it crashed")

// ErrMasterSilent is the error of Serve when a master on another host says nothing for too long. It may live, and others
// may serve it: a rank that meets this ends alone, and does not abort the job.
var ErrMasterSilent = errors.New("no message came from the master")

// watch fails the rank when the master has gone without a goodbye. MPI does not say so: launchers can be told to leave the
// other ranks alive, and these would wait without end. Of a master on another machine it expects a word now and then.
func (r *rank) watch(stop <-chan struct{}) error {
	ticks := time.NewTicker(watchTurn)
	defer ticks.Stop()
	here, at, silent := false, process{}, time.Duration(0)
	for {
		select {
		case <-stop:
			return nil
		case <-ticks.C:
		}
		r.rankMu.Lock()
		boss, limit, heard := r.boss, r.limit, r.heard
		r.heard = false
		r.rankMu.Unlock()
		if silent += watchTurn; heard { // in turns: they do not count while this process is stopped
			silent = 0
		}
		if at != boss {
			at, here = boss, boss.near()
		}
		var err error
		switch {
		case here && !boss.runs():
			r.rankMu.Lock()
			err = r.masterEnds()
			r.rankMu.Unlock()
		case !here && limit > 0 && silent >= limit:
			err = fmt.Errorf("%w for %v: it was killed, it is stopped, or one of the hosts is cut off; this rank ends", ErrMasterSilent, silent)
			r.rankMu.Lock()
			r.fail(err)
			r.rankMu.Unlock()
		default:
			continue
		}
		return err
	}
}

// guard tells the master when the process of another rank on this host ends.
func (r *rank) guard(watched int, p process) {
	if p.near() && p.awaitEnd(r.stop) {
		r.rankMu.Lock()
		if !r.bye { // nothing may come after the goodbye
			_ = r.note(r.master, 0, kindProcessEnded, appendWatched(nil, watched, p)...) // a failure is noticed by the goroutine that polls
		}
		r.rankMu.Unlock()
		r.push()
	}
}
