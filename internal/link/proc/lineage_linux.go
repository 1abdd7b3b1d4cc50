package proc

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// A worker and everything that descends from it carry the worker's mark: the soft limit of real-time CPU time, in
// microseconds, far above what any process reaches. Every process inherits it, whatever it does with its parents, its
// session or its environment, and everybody may set his own. So the processes of a worker that has ended can be found
// although the kernel has given them to another parent.
//
// From the top: a bit that says that it is a mark, the family, which all workers of one program share, the worker, and the
// batch of units that the worker ran when the process was started, the last one with a context; 0 before the first.
const (
	markBit    = 1 << 63
	batchBits  = 14
	workerBits = 16
	randomBits = 10 // for programs in PID namespaces of their own, which may have the same number
)

// family is the upper part of the marks of all workers of this program.
var family = sync.OnceValue(func() uint64 {
	return markBit>>(workerBits+batchBits) | uint64(os.Getpid())<<randomBits | rand.Uint64N(1<<randomBits)
})

func familyOf(mark uint64) uint64 { return mark >> (workerBits + batchBits) }

var workersMarked atomic.Uint64

// newMark returns a mark that no other worker of the program has, unless there are 65,000.
func newMark() uint64 {
	return (family()<<workerBits | workersMarked.Add(1)%(1<<workerBits)) << batchBits
}

// setMark gives a process a mark, so that what it starts has it too. A kernel that refuses leaves it without: what its
// tasks start may then outlive it.
func setMark(pid int, mark uint64) error {
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_RTTIME, nil, &limit); err != nil {
		return os.NewSyscallError("prlimit", err)
	}
	limit.Cur = mark
	return os.NewSyscallError("prlimit", unix.Prlimit(pid, unix.RLIMIT_RTTIME, &limit, nil))
}

// clearMark takes the mark from a process that is to outlive the worker it descends from.
func clearMark(pid int) error { return setMark(pid, unix.RLIM_INFINITY) }

// markOf returns a process's mark, 0 for none.
func markOf(pid int) uint64 {
	var limit unix.Rlimit
	if unix.Prlimit(pid, unix.RLIMIT_RTTIME, nil, &limit) != nil || limit.Cur == unix.RLIM_INFINITY || limit.Cur&markBit == 0 {
		return 0
	}
	return limit.Cur
}

// endMarked ends what has a worker's mark but one process, and returns when nothing of it is left, or the processes that do
// not end although they were killed. Gently they are asked first.
func endMarked(mark uint64, but int, gently bool) (left []int) {
	return endLineage(func() []int { return marked(mark) }, but, gently)
}

// census is what the last look at all processes found. Workers that end together share one.
var census struct {
	begun atomic.Uint64 // how many looks have begun
	mu    sync.Mutex
	of    uint64           // which of them this is
	found map[uint64][]int // by the worker
}

// marked lists the processes that have a worker's mark now, whatever its batch.
func marked(mark uint64) []int {
	least := census.begun.Load() + 1 // one that has begun already may have passed a process by
	census.mu.Lock()
	defer census.mu.Unlock()
	if census.of < least {
		census.of = census.begun.Add(1)
		census.found = map[uint64][]int{}
		everyProcess(func(pid int) {
			if m := markOf(pid); familyOf(m) == family() {
				census.found[m>>batchBits] = append(census.found[m>>batchBits], pid)
			}
		})
	}
	return census.found[mark>>batchBits]
}

// everyProcess calls f for every process that /proc shows.
func everyProcess(f func(pid int)) {
	dir, err := os.Open("/proc")
	if err != nil {
		return
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			f(pid)
		}
	}
}

// How long what a worker has left may take to end.
var (
	orderly = time.Second     // after SIGTERM
	atOnce  = 2 * time.Second // after SIGKILL: longer takes only what hangs in the kernel
)

// endLineage ends the processes that list finds, again and again, until it finds none but one.
func endLineage(list func() []int, but int, gently bool) (left []int) {
	limit := time.Now().Add(atOnce)
	if gently {
		limit = limit.Add(orderly)
		if living := signalAll(list(), but, unix.SIGTERM); len(living) > 0 {
			await(living, time.Now().Add(orderly))
		}
	}
	for { // until a look finds nothing: one that is killed may have started another just before
		living := signalAll(list(), but, unix.SIGKILL)
		if len(living) == 0 {
			return nil
		}
		if left = await(living, limit); len(left) > 0 {
			return left
		}
	}
}

// subject is a process that is to end.
type subject struct{ pid, fd int }

// signalAll sends a signal to those of the processes that still live, and returns them.
func signalAll(pids []int, but int, sig unix.Signal) (living []subject) {
	for _, pid := range pids {
		if pid == but {
			continue
		}
		mark := markOf(pid)
		fd, err := unix.PidfdOpen(pid, 0)
		if err != nil || mark == 0 || markOf(pid) != mark { // it has ended, and its number may be another's
			if err == nil {
				_ = unix.Close(fd)
			}
			continue
		}
		if ended(fd) || unix.PidfdSendSignal(fd, sig, nil, 0) != nil { // one that its parent has not heard of yet
			_ = unix.Close(fd)
			continue
		}
		living = append(living, subject{pid, fd})
	}
	return living
}

// ended tells whether a process has ended, waited for or not.
func ended(fd int) bool {
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := poll(fds, 0)
	return err != nil || n > 0
}

// await waits until all have ended, or until the limit, and returns the numbers of those that have not. It closes their
// descriptors.
func await(all []subject, limit time.Time) (left []int) {
	for _, s := range all {
		fds := []unix.PollFd{{Fd: int32(s.fd), Events: unix.POLLIN}}
		if n, _ := poll(fds, max(time.Until(limit), 0)); n == 0 {
			left = append(left, s.pid)
		}
		_ = unix.Close(s.fd)
	}
	return left
}

// poll waits for descriptors; a negative limit is none.
func poll(fds []unix.PollFd, limit time.Duration) (n int, err error) {
	end := time.Now().Add(limit)
	for {
		timeout := -1
		if limit >= 0 {
			timeout = int((max(time.Until(end), 0) + time.Millisecond - 1) / time.Millisecond)
		}
		if n, err = unix.Poll(fds, timeout); err != unix.EINTR {
			return n, err
		}
	}
}

// batch marks what a worker starts with its own mark and the batch that it runs.
type batch struct {
	mu    sync.Mutex
	limit unix.Rlimit // Cur is its mark; 0 where there is none
	count uint64
	kept  int // calls of keep that are on: until they are off what is started has the worker's mark alone
}

const batchMask = 1<<batchBits - 1

func (b *batch) begin() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.count++; b.count == 1 && unix.Prlimit(0, unix.RLIMIT_RTTIME, nil, &b.limit) == nil {
		b.limit.Cur = markOf(0)
	}
	if b.limit.Cur == 0 {
		return
	}
	b.limit.Cur = b.limit.Cur&^batchMask | (1 + b.count%batchMask)
	b.set()
}

// set has what is started from now on marked.
func (b *batch) set() {
	limit := b.limit
	if b.kept > 0 {
		limit.Cur &^= batchMask
	}
	_ = unix.Prlimit(0, unix.RLIMIT_RTTIME, &limit, nil)
}

func (b *batch) keep(on bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if on {
		b.kept++
	} else {
		b.kept--
	}
	if b.limit.Cur != 0 {
		b.set()
	}
}

func (b *batch) end() {
	b.mu.Lock()
	mark := b.limit.Cur
	b.mu.Unlock()
	if mark != 0 {
		endLineage(func() []int { return processesWith(func(m uint64) bool { return m == mark }) }, os.Getpid(), false)
	}
}

// processesWith lists the processes with such a mark.
func processesWith(such func(mark uint64) bool) (all []int) {
	everyProcess(func(pid int) {
		if m := markOf(pid); m != 0 && such(m) {
			all = append(all, pid)
		}
	})
	return all
}
