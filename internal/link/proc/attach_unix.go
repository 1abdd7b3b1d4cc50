//go:build unix

package proc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/fresh"
	"github.com/rankpool/rankpool/internal/hostmem"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/memlimit"
)

// What start passes: the socket and the journal, behind the three standard descriptors, and what is to be inherited, if there is anything.
const (
	socketFd  = 3
	journalFd = 4
	inheritFd = 5
	version   = "6:3:4" // of the protocol, with the descriptors
	heir      = ":5"    // at the end, if there is anything to inherit
)

// handshake is what the variable holds for the worker in a slot that has so many journals.
func handshake(index, journals int, inherits bool) string {
	s := version + ":" + strconv.Itoa(journals) + ":" + strconv.Itoa(index)
	if inherits {
		s += heir
	}
	return s
}

// told is what the variable holds.
type told struct {
	index, journals int
	inherits        bool
}

// indexIn takes what the variable holds apart; false when that is of another program's master.
func indexIn(value string) (is told, ok bool) {
	numbers, same := strings.CutPrefix(value, version+":")
	first, second, _ := strings.Cut(numbers, ":")
	is.journals, _ = strconv.Atoi(first)
	second, is.inherits = strings.CutSuffix(second, heir)
	index, err := strconv.Atoi(second)
	is.index = index
	return is, same && err == nil && is.journals > 0
}

// buffered is the size asked for the sockets' buffers; the kernel gives what it allows.
const buffered = 1 << 20

var attached atomic.Bool

// IsWorker tells whether this process was started as a worker, before and after Attach.
func IsWorker() bool { return attached.Load() || os.Getenv(variable) != "" }

// Attach returns this process's end of the link when it is a worker, and false when it is not. It is called once, before
// the program starts others: it marks the descriptors so that they are not inherited, and removes the variable that made
// this process a worker, so that programs which tasks start are not mistaken for workers.
//
// From then on the signals of LeaveSignals do nothing unless the program asks for them: the master decides what becomes of the
// workers.
func Attach() (ep link.Endpoint, ok bool, err error) {
	value, set := os.LookupEnv(variable)
	if !set || value == "" {
		return nil, false, nil
	}
	if err := os.Unsetenv(variable); err != nil {
		return nil, false, fmt.Errorf("proc: Attach: %w", err)
	}
	is, same := indexIn(value)
	if !same {
		return nil, false, fmt.Errorf("proc: Attach: %s is %q, want %q and two numbers: master and worker are different builds, or the variable "+
			"was set by hand", variable, value, version+":")
	}
	unix.CloseOnExec(socketFd)
	unix.CloseOnExec(journalFd)
	var inherited *os.File
	if is.inherits {
		unix.CloseOnExec(inheritFd)
		inherited = os.NewFile(inheritFd, "globals")
	}
	if kind, err := unix.GetsockoptInt(socketFd, unix.SOL_SOCKET, unix.SO_TYPE); err != nil || kind != unix.SOCK_STREAM {
		return nil, false, fmt.Errorf("proc: Attach: %s is set but descriptor %d is no socket: unset it, it is for programs that a master starts",
			variable, socketFd)
	}
	m, err := mapMemory(os.NewFile(journalFd, "journal"), is.journals)
	if err != nil {
		return nil, false, fmt.Errorf("proc: Attach: the journal: %w", err)
	}
	_ = m.file.Close() // the mapping stays
	// A thread that blocked in read would keep its place until the runtime's monitor takes it away, which looks for that
	// some sixty times after each message.
	if err := unix.SetNonblock(socketFd, true); err != nil {
		return nil, false, fmt.Errorf("proc: Attach: %w", os.NewSyscallError("fcntl", err))
	}
	sock := os.NewFile(socketFd, "socket")
	raw, err := sock.SyscallConn()
	if err != nil {
		return nil, false, fmt.Errorf("proc: Attach: %w", err)
	}
	here, there := m.rings()
	e := &endpoint{index: is.index, raw: raw, out: newOutbox(), there: there, journals: m.journals, inherited: inherited}
	e.in = inbox{socket: newReader(socketReader{f: sock}, memlimit.Bytes()), ring: here, over: &e.closed, spin: leastSpin}
	from := newSource(&here.handover, os.Getppid(), memlimit.Bytes())
	from.probe()
	here.source, e.in.socket.source = from, from
	here.journal, e.in.socket.journal = m.journals[0], m.journals[0]
	there.offer()
	e.out.connect(raw, there)
	_ = e.out.sign(kindReady) // a master that is gone shows at the next use
	LeaveSignals()
	settleIn()
	fresh.Steady() // until the process ends
	attached.Store(true)
	return e, true, nil
}

// endpoint is a worker's end. Its socket is read and written by system calls that Go's scheduler knows of: they wake the runtime's
// monitor, which has to interrupt tasks that compute.
type endpoint struct {
	index    int // the slot
	raw      syscall.RawConn
	in       inbox
	out      *outbox
	there    *ring // what out has put frames into
	journals []*link.Journal
	batch    batch
	closed   atomic.Bool

	inherited *os.File // nil: nothing
	inherit   sync.Once
	segments  [][]byte
	copied    error
	lost      error // they are not to be had
}

// mapInherited is replaced by tests.
var mapInherited = hostmem.Map

// Inherit implements link.Heir.
func (e *endpoint) Inherit() (segments [][]byte, copied, err error) {
	if e.inherited == nil {
		return nil, nil, nil
	}
	e.inherit.Do(func() {
		defer e.inherited.Close() // a mapping stays
		if e.segments, e.copied = mapInherited(e.inherited); e.copied == nil {
			return
		}
		if e.segments, e.lost = hostmem.Read(e.inherited); e.lost != nil {
			e.lost = fmt.Errorf("memory that the workers of this host share can neither be mapped (%w) nor be read: %w", e.copied, e.lost)
		}
	})
	return e.segments, e.copied, e.lost
}

// Begin marks what is started from now on as this batch's.
func (e *endpoint) Begin() { e.batch.begin() }

// Keep marks what is started from now on as the worker's alone, or again as the batch's.
func (e *endpoint) Keep(on bool) { e.batch.keep(on) }

// End ends what the batch has started and left: a task whose time was over did not leave it on purpose.
func (e *endpoint) End() { e.batch.end() }

// Settled binds the worker's end to its master's again, and finds out whether the two processes can still read each other. If not, everything goes by the socket, also when
// only one of them has lost the right: the master asks the kernel once more.
func (e *endpoint) Settled() {
	rebind()
	if from := e.in.socket.source; from.able.Load() == 0 || from.probe() {
		return
	}
	e.there.able.Store(0)
	_ = e.out.sign(kindReady)
}

// Recv returns io.EOF when the master is gone, also in the middle of a frame.
func (e *endpoint) Recv() (link.Frame, error) {
	if e.closed.Load() {
		return link.Frame{}, io.EOF
	}
	f, err := e.in.frame()
	switch {
	case err == nil:
		return f, nil
	case e.closed.Load() || errors.Is(err, io.ErrUnexpectedEOF):
		return link.Frame{}, io.EOF
	case err != io.EOF:
		_ = e.out.sign(kindFailed) // or the master would take this for an end on purpose
	}
	return link.Frame{}, err
}

// Send returns when the kernel has the frame.
func (e *endpoint) Send(f link.Frame) error {
	if f.Local != nil {
		return link.ErrLocal
	}
	return e.out.sendAll(f)
}

// Journal is in the memory shared with the master.
func (e *endpoint) Journal() *link.Journal { return e.journals[0] }

// Slot is the slot of the group that this process is in.
func (e *endpoint) Slot() int { return e.index }

// Journals implements link.Journals.
func (e *endpoint) Journals() []*link.Journal { return e.journals }

// Close says goodbye. The process is expected to end soon.
func (e *endpoint) Close() error {
	if e.closed.Swap(true) {
		return nil
	}
	err := e.out.close(sign(kindGoodbye))
	_ = e.raw.Control(func(fd uintptr) { _ = unix.Shutdown(int(fd), unix.SHUT_RDWR) }) // wakes a Recv; what was sent arrives
	return err
}

// ends makes files of a pair of sockets.
func ends(fds [2]int) (ours, theirs *os.File, err error) {
	if err := unix.SetNonblock(fds[0], true); err != nil {
		_ = unix.Close(fds[0])
		_ = unix.Close(fds[1])
		return nil, nil, os.NewSyscallError("fcntl", err)
	}
	for _, fd := range fds { // a wish: the default works too
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, buffered)
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, buffered)
	}
	return os.NewFile(uintptr(fds[0]), "socket"), os.NewFile(uintptr(fds[1]), "socket"), nil
}
