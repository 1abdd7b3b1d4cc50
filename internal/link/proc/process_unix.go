//go:build unix

package proc

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/lines"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/memlimit"
)

// grace is how long a process may take to end once its side of the socket is closed.
const grace = 10 * time.Second

// process is one child, from Start to Lost.
type process struct {
	group *Group
	slot  *slot
	index int
	mark  uint64 // of what descends from it
	out   *outbox
	from  *source // what the worker shows; nil where it must not

	relays []*lines.Relay // of what it prints; none unless lines get a prefix
	memory *memory        // what it shares with this process; nil until it is about to start

	recall   sync.Mutex
	journals []*link.Journal // of memory, while that is this process's; guarded by recall

	// Guarded by slot.deliver.
	ring    *ring     // nil until the process was started, and after its end
	showing *handover // likewise: what it is shown
	number  uint64    // of the last frame
	stuck   bool      // what is in the ring cannot be had

	read atomic.Uint64 // bytes from the socket, ever

	mu        sync.Mutex
	handovers []*handover // of what is shown either way, while its memory is there
	child     *os.Process // nil until started
	failed    bool        // its start has: the loss is on its way
	killed    bool
	cause     error // the first one
}

// String names the process for an error.
func (p *process) String() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.child == nil {
		return fmt.Sprintf("worker %d (not started yet)", p.index)
	}
	return fmt.Sprintf("worker %d (process %d)", p.index, p.child.Pid)
}

// kill ends the process. One that has not been started is lost at once: its start may hang, in a file system that does not
// answer.
func (p *process) kill(cause error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.killed {
		p.killed, p.cause = true, cause
	}
	if p.child != nil {
		_ = p.child.Kill() // one that has ended cannot be killed: Lost is on its way
	} else if !p.failed {
		p.failed = true
		go p.notStarted(p.cause)
	}
}

// notStarted reports the loss of what has no process, and will have none.
func (p *process) notStarted(err error) {
	p.out.stop()
	p.report(link.Loss{Err: fmt.Errorf("worker %d was not started: %w", p.index, err), Proof: true})
	p.group.gone(p)
}

// launch starts the process, receives from it, and reports its end.
func (p *process) launch() {
	err := probe(p.group.path)
	if err != nil {
		err = explain("its program", err)
	}
	var sock *os.File
	if err == nil {
		sock, err = p.start()
	}
	p.mu.Lock()
	report := err != nil && !p.failed // if it was killed that is known
	p.failed = p.failed || err != nil
	abandoned := p.failed
	p.mu.Unlock()
	switch {
	case report:
		p.keepMemory()
		p.notStarted(err)
		return
	case abandoned:
		p.keepMemory()
		return
	}
	haveGuardian()
	raw, err := sock.SyscallConn()
	if err != nil { // cannot happen with an open file
		p.kill(err)
	} else {
		toWorker, toMaster := p.memory.rings()
		if !p.group.copies {
			p.from = newSource(&toMaster.handover, p.child.Pid, memlimit.Bytes())
			toMaster.source = p.from
		}
		p.out.connect(raw, toWorker)
		p.slot.deliver.Lock()
		p.ring, p.showing = toMaster, &toWorker.handover
		p.slot.deliver.Unlock()
		p.mu.Lock()
		p.handovers = []*handover{&toMaster.handover, &toWorker.handover}
		p.mu.Unlock()
	}
	p.receive(sock)
}

// start makes the socket and the journal and starts the program with them.
func (p *process) start() (*os.File, error) {
	g := p.group
	var err error
	if p.memory, err = p.slot.takeMemory(g.cfg.Journals); err != nil {
		return nil, explain("shared memory for its journal", err)
	}
	p.recall.Lock()
	p.journals = p.memory.journals
	p.recall.Unlock()
	if !g.copies {
		toWorker, _ := p.memory.rings()
		toWorker.offer()
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, explain("a socket", err)
	}
	defer theirs.Close()
	empty, err := os.Open(os.DevNull)
	if err != nil {
		_ = ours.Close()
		return nil, explain("its standard input", err)
	}
	defer empty.Close()
	output, err := p.output()
	if err != nil {
		_ = ours.Close()
		return nil, err
	}
	defer output.close()
	files := []*os.File{empty, output.stdout, output.stderr, theirs, p.memory.file}
	if g.cfg.Inherit != nil {
		files = append(files, g.cfg.Inherit)
	}
	var child *os.Process
	if !g.thread.do(func() {
		if p.abandoned() {
			err = link.ErrClosed
			return
		}
		child, err = os.StartProcess(g.path, append([]string{g.nameOf(p.index)}, g.cfg.Args...), &os.ProcAttr{
			Dir:   g.dir(),
			Env:   g.envOf(p.index),
			Files: files,
			Sys:   attributes(),
		})
	}) {
		err = link.ErrClosed
	}
	if err != nil {
		_ = ours.Close()
		return nil, explain("the process", err)
	}
	if err := setMark(child.Pid, p.mark); err != nil {
		g.cfg.Logger.Debug("rankpool: what the tasks of this worker start may outlive it", "worker", p.index, "pid", child.Pid, "err", err)
	}
	g.cfg.Logger.Debug("rankpool: worker process started", "worker", p.index, "pid", child.Pid)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.failed { // it was given up meanwhile
		_ = ours.Close()
		_ = child.Kill()
		_, _ = child.Wait()
		return nil, p.cause
	}
	p.child = child
	return ours, nil
}

// moved changes when bytes of a frame have moved.
func (p *process) moved() uint64 {
	n := p.out.moved.Load() + p.read.Load()
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, d := range p.handovers {
		n += d.moved.Load()
	}
	return n
}

// abandoned tells whether nobody waits for the start any more.
func (p *process) abandoned() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// keepMemory leaves the memory to the slot's next process.
func (p *process) keepMemory() {
	p.mu.Lock()
	p.handovers = nil
	p.mu.Unlock()
	p.recall.Lock()
	p.journals = nil
	p.recall.Unlock()
	if p.memory != nil && !p.slot.giveMemory(p.memory) {
		_ = p.memory.close()
	}
	p.memory = nil
}

// probe reads the beginning of a program. Where the file system hangs this hangs, and stops nothing else; the start of a
// process that hangs holds up all other starts of this program, and its garbage collector.
func probe(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return nil // the start will say what is wrong
	}
	f, err := os.Open(path)
	if errors.Is(err, unix.EACCES) {
		return nil // it may be for execution only
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, _ = f.Read(make([]byte, 1))
	return nil
}

// receive delivers what the worker sends, to the last frame that it sent, and then its end.
func (p *process) receive(sock *os.File) {
	watch := watchExit(p.child.Pid, sock)
	r := newReader(socketReader{sock, &p.read}, memlimit.Bytes())
	r.source = p.from
	var bye bool
	for {
		f, kind, err := r.frame()
		switch {
		case kind == kindReady && p.from != nil:
			p.from.probe()
		case kind == kindFailed:
			p.kill(errFailed)
		}
		p.deliver(f, err == nil && kind == kindFrame)
		if err != nil && err != io.EOF && !errors.Is(err, io.ErrUnexpectedEOF) {
			p.kill(err)
		}
		if bye = kind == kindGoodbye; bye || err != nil {
			break
		}
	}
	_ = sock.Close()
	p.out.stop()
	limit := time.AfterFunc(grace, func() { p.kill(fmt.Errorf("it had closed its socket and did not end within %v", grace)) })
	state, err := p.child.Wait()
	limit.Stop()
	<-watch
	p.out.forget()
	l := left(p.memory.journals[0])
	l.Err, l.Receiving = p.verdict(state, err, bye), p.memory.journals[0].Receives()
	for _, j := range p.memory.journals[1:] {
		l.Each = append(l.Each, left(j))
	}
	p.group.cfg.Logger.Debug("rankpool: worker process ended", "worker", p.index, "pid", p.child.Pid, "err", l.Err)
	p.checkOutput(l.Err)
	p.endMarked(0, l.Err == nil)
	p.keepMemory()
	p.report(l)
	p.passOutput()
	p.group.gone(p)
}

// left is what a journal has whose writer has ended.
func left(j *link.Journal) (l link.Loss) {
	l.Proof = true
	l.Finished, l.Picked, l.Salvage = j.Read()
	l.Over, l.Results = j.Begun()
	return l
}

// endMarked ends what descends from the worker, all but one process, and returns when that has ended.
func (p *process) endMarked(but int, gently bool) {
	if left := endMarked(p.mark, but, gently); len(left) > 0 {
		p.group.cfg.Logger.Warn("rankpool: processes that tasks have started do not end although they were killed", "worker", p.index, "pids", left)
	}
}

// deliver delivers what came by the socket, if that is a frame, and what is in the ring before and behind it.
func (p *process) deliver(f link.Frame, isFrame bool) {
	p.slot.deliver.Lock()
	defer p.slot.deliver.Unlock()
	p.drain()
	if t := p.group.gaveUp.Swap(nil); t != nil && time.Since(*t) < soon {
		p.group.early.Store(true)
	}
	if isFrame {
		p.number++
		p.group.handler.Receive(p.index, f)
		p.drain() // put in while a goroutine helped, which could not take it before this one
	}
}

// drain delivers what is in the ring, as far as its turn has come, and tells whether there was anything. The caller holds
// slot.deliver.
func (p *process) drain() (some bool) {
	for p.ring != nil && !p.stuck && p.ring.some() {
		f, ok, err := p.ring.take(p.number + 1)
		p.stuck = err != nil                                    // it would be fetched into new memory again and again
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) { // that is a worker which has ended by itself
			p.kill(err)
		}
		if !ok {
			break
		}
		p.number++
		p.group.handler.Receive(p.index, f)
		some = true
	}
	return some
}

// report empties the slot, so that the handler may start it again, and tells the handler.
func (p *process) report(l link.Loss) {
	p.slot.deliver.Lock()
	defer p.slot.deliver.Unlock()
	p.ring, p.showing = nil, nil // the next process has them
	p.slot.current.CompareAndSwap(p, nil)
	p.group.handler.Lost(p.index, l)
}

// verdict says in words how the process ended; nil is success.
func (p *process) verdict(state *os.ProcessState, err error, bye bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := &link.ExitError{Pid: p.child.Pid, Host: p.group.host, Code: -1, Cause: p.cause}
	if err != nil {
		e.Status = "its status is not known (" + err.Error() + "); does the program ignore SIGCHLD or wait for all children?"
		return e
	}
	e.Status, e.Code = state.String(), state.ExitCode()
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Signal = status.Signal().String()
	}
	if state.Success() && !p.killed {
		if bye {
			return nil
		}
		e.Status = "exited with status 0 before it had closed its end; does a task call os.Exit?"
	}
	return e
}

// explain says what a worker could not get, and what to do about it.
func explain(what string, err error) error {
	advice := ""
	switch {
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		advice = "; raise the limit of open files (ulimit -n) or use fewer workers"
	case errors.Is(err, unix.EAGAIN):
		advice = "; raise the limit of processes (ulimit -u, or the container's) or use fewer workers"
	case errors.Is(err, unix.ENOMEM), errors.Is(err, unix.ENOSPC):
		advice = "; there is no memory left, use fewer workers"
	case errors.Is(err, unix.EFBIG):
		advice = "; raise the limit of the size of files (ulimit -f), which memory shared with a worker needs too"
	case errors.Is(err, unix.E2BIG):
		advice = "; the arguments and the environment are too long together"
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOEXEC):
		advice = "; it must be a program that this user may execute"
	}
	return fmt.Errorf("%s: %w%s", what, err, advice)
}

// socketReader makes io.EOF of all the ways in which a socket says that the other side is gone.
type socketReader struct {
	f     *os.File
	moved *atomic.Uint64 // bytes that were read, ever; nil: nobody counts
}

func (r socketReader) Read(b []byte) (int, error) {
	n, err := r.f.Read(b)
	if r.moved != nil && n > 0 {
		r.moved.Add(uint64(n))
	}
	if err != nil && (errors.Is(err, unix.ECONNRESET) || errors.Is(err, os.ErrClosed)) {
		err = io.EOF
	}
	return n, err
}

// Recall implements link.Recaller.
func (g *Group) Recall(w int, first, n uint64) { g.RecallSlot(w, 0, first, n) }

// RecallSlot implements link.SlotRecaller.
func (g *Group) RecallSlot(w, slot int, first, n uint64) {
	p := g.slots[w].current.Load()
	if p == nil {
		return
	}
	p.recall.Lock()
	defer p.recall.Unlock()
	if p.journals != nil {
		p.journals[slot].Recall(first, n)
	}
}
