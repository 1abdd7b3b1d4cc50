package dispatch

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/goid"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/pkl5"
)

// How long a task may run until its worker gives the rest of its batch back, and how long one that ignores the end of
// its time is left alone.
const (
	programTime  = 50 * time.Microsecond   // no program is started in less
	longTask     = 1500 * time.Microsecond // seen after one to two of these
	overdueGrace = time.Second
)

// Body runs calls of one function on encoded arguments.
type Body interface {
	// Call decodes the arguments of c.N elements from c.In one after another, calls the function and encodes the results
	// to c.Out, counting in c.Done. After each but the last it calls c.Over. It stops at the first element that fails and returns
	// its error; then it is called again for those after it. After the last it may go on with another unit, if c.Next says that
	// there is one.
	Call(c *Call) error

	// NeedsContext says whether Call uses c.Context.
	NeedsContext() bool
}

// Call is one unit in the hands of a Body.
type Call struct {
	Context context.Context
	In      *pkl5.Decoder
	Out     *pkl5.Encoder
	N, Done int

	Chunked bool // the unit is one of several elements, be it that only one is left
	Skip    int  // elements at the beginning that are to be read and not called
	Reading bool // set by a Body while it cannot say where the next element begins: a failure then is that of all the rest

	Scratch any // the Body's own, from its last call here

	s  *server // nil: there is no next unit
	of *server
	w  *work
}

// Service is what a worker does for its master.
type Service struct {
	Hello Hello

	// Function returns the body of a function, or nil if there is none of that number.
	Function func(fn uint32) Body

	// Setup prepares the worker from what Config.Setup and SetupSegments hold, which of several slots of a process only the first is given. It
	// returns the out-of-band threshold in bytes and the context that tasks run under.
	Setup func(ctx context.Context, b []byte, segments [][]byte) (threshold int, tasks context.Context, err error)

	// Remark logs what the worker has to say about itself. Nil: nothing is logged.
	Remark func(text string, err error)

	// Leave closes what Setup and tasks have left in the context of tasks, when the worker has been told to leave and runs none. It
	// is not called for one that was killed or has lost its master. It takes no longer than limit. Nil: there is nothing to close.
	Leave func(tasks context.Context, limit time.Duration) []Failure

	// Unheard takes a failure of Leave that the master cannot be told any more.
	Unheard func(f Failure)

	// Turn returns what a worker locks while tasks run, unless it is nil: workers that share a process take turns, batch by batch, as a
	// Lease has them do. A worker that waits for its turn still answers the master. Those of one executor that are slots of a process have none.
	Turn func() sync.Locker

	// Home is that of the pool, where tasks may lend their slots. Nil: they do not.
	Home *Home

	// Together says that the workers are of one process, and that what Setup does for the first of them it does for all.
	Together bool

	// Values returns where a worker keeps what it is sent of generations. Nil: nothing, and units that need one fail.
	Values func() Values

	// Slots returns the service of workers that are slots of one process, see link.Traits. Nil: there are none.
	Slots func() Service

	// NoPeers says that tasks cannot talk to those on other workers.
	NoPeers bool

	// AppendError encodes the error of a task, or of the set-up. It cannot fail.
	AppendError func(dst []byte, err error) []byte

	// Recovered turns a panic into an error; for runtime.Goexit, v is Goexit.
	Recovered func(v any, stack []byte) error
}

// Goexit is the value given to Service.Recovered when a task called runtime.Goexit.
var Goexit any = goexit{}

type goexit struct{}

// String says what it stands for.
func (goexit) String() string { return "runtime.Goexit was called" }

// server is a worker. At any time at most one goroutine receives and at most one runs tasks. The one that receives tasks
// runs them, so a short task costs no switch; when they take long, another goroutine begins to receive, and the runner
// ends after them.
type server struct {
	ep      link.Endpoint
	svc     Service
	journal *link.Journal

	programs link.Programs // nil where nobody knows what a unit has started
	noticer  link.Noticer  // nil: a goroutine has to receive to learn that something has come

	mu        sync.Mutex
	proto     protocol
	freed     *sync.Cond // what ran has ended
	armed     bool       // the timer runs
	work      *work      // what is being run
	runner    uint64     // the number of the goroutine that runs, where there is a Home
	cancelSeq uint64     // the unit whose context cancel ends
	fn        uint32     // its function
	cancel    context.CancelFunc

	rank, size int // this worker's slot, and how many there are
	inProcess  int // how many of these are slots of its process; 0: all
	onHost     struct{ index, count int }
	isSetUp    bool
	again      int // how often the unit that runs has run before
	gang       uint64
	members    team
	peers      *Peers
	mail       mailbox
	breaking   chan struct{} // closed when what the workers had in common is broken, see kindBreak

	turn  turn
	timer *time.Timer
	seen  struct {
		work     *work
		finished uint64
	}

	timed  bool      // each time has what this worker's clock showed at its end, since
	origin time.Time // this

	base  context.Context
	end   context.CancelFunc
	tasks context.Context // base, as Setup dressed it
	once  sync.Once
	done  chan struct{}

	late  bool          // the worker has left, and a task that was given up runs; under mu
	limit time.Duration // how long it may take to leave, likewise
	err   error

	values     Values // nil: there are none
	generation uint64 // that the frames of tasks need which come next; of the goroutine that receives, as is
	shared     any    // the values of that, where they are shared

	out outbox
	in  pkl5.Decoder
}

// Serve works for the master at the other end of ep until it says stop (nil) or is gone (io.EOF or another error). A task
// that still runs then has its context ended and is abandoned: a process that serves nothing else should exit then.
func Serve(ep link.Endpoint, svc Service) error {
	s := &server{ep: ep, svc: svc, journal: ep.Journal(), done: make(chan struct{})}
	s.programs, _ = ep.(link.Programs)
	if svc.Turn == nil { // else a unit that waits for its turn is looked at
		s.noticer, _ = ep.(link.Noticer)
	}
	s.proto.receiving = true
	s.freed = sync.NewCond(&s.mu)
	if svc.Turn != nil {
		s.turn.lock = svc.Turn()
	}
	if svc.Values != nil {
		s.values = svc.Values()
	}
	s.out.init(s)
	s.base, s.end = context.WithCancel(context.WithValue(context.Background(), serverKey{}, s))
	s.tasks = s.base
	s.timer = time.AfterFunc(time.Hour, s.look)
	s.timer.Stop()
	if s.noticer != nil {
		s.noticer.Notice(s.noticed)
	}
	if err := ep.Send(link.Frame{Stream: svc.Hello.append(link.GetBuffer())}); err != nil {
		return err
	}
	if svc.Home != nil {
		svc.Home.add(s)
	}
	go s.lead() // not on the caller's goroutine: a task may end the one it runs on
	<-s.done
	return s.err
}

// finish ends Serve, once.
func (s *server) finish(err error) {
	s.once.Do(func() {
		s.end()
		s.turn.end()
		s.err = err
		s.timer.Stop()
		if s.svc.Home != nil {
			s.svc.Home.remove(s)
		}
		close(s.done)
		s.mu.Lock()
		s.mail.fail(func(*Receive) error { return ErrNoPeers })
		s.mu.Unlock()
	})
}

// lead receives and handles frames until another goroutine has taken over, or the end.
func (s *server) lead() {
	me := uint64(0)
	if s.svc.Home != nil {
		me = goid.Get()
	}
	for {
		f, err := s.ep.Recv()
		if err != nil {
			s.finish(err)
			return
		}
		if len(f.Stream) == 0 {
			s.finish(errShort)
			return
		}
		r := reader{b: f.Stream[1:]}
		goOn := true
		switch f.Stream[0] {
		case kindTasks:
			goOn = s.tasksFrame(f, &r, me)
		case kindSetup:
			goOn = s.setupFrame(f, me)
		case kindPing:
			s.send(kindPong)
		case kindCancel:
			s.cancelTasks(r.uint(), r.uint(), r.uint() > 0)
		case kindPeer:
			s.letter(f, &r)
		case kindValues:
			goOn = s.valuesFrame(f, &r)
		case kindUse:
			goOn = s.useFrame(f, &r)
		case kindForget:
			goOn = s.forgetFrame(&r)
		case kindGone:
			s.goneFrame(&r)
		case kindBreak:
			s.breakDirect(&r)
		case kindGrant:
			s.grantFrame(&r)
		case kindStop:
			s.stopFrame(&r)
			return
		default:
			s.finish(errors.New("dispatch: message of an unknown kind from the master"))
			return
		}
		if !goOn {
			return
		}
	}
}

func (s *server) send(kind byte, n ...uint64) {
	b := append(link.GetBuffer(), kind)
	for _, n := range n {
		b = binary.AppendUvarint(b, n)
	}
	s.transmit(link.Frame{Stream: b})
}

// transmit sends a frame. An error means that the master is gone, which the receiver notices too.
func (s *server) transmit(f link.Frame) {
	if err := s.ep.Send(f); err != nil && !errors.Is(err, io.EOF) {
		s.finish(err)
	}
}

// began follows the decision that this goroutine, which received, runs. The lock is held.
func (s *server) began(w *work, me uint64) {
	s.work, s.runner = w, me
	if s.noticer == nil || w != nil && (w.units > 1 || w.chunks) || s.noticer.Waiting() {
		s.arm()
	}
}

// arm has look called if what runs takes long. The lock is held.
func (s *server) arm() {
	if !s.armed {
		s.armed = true
		s.timer.Reset(longTask)
	}
}

// noticed is called when a frame has come, or the end, and nobody receives. Tasks wait for a moment: what runs may be short. For anything
// else a goroutine begins to receive at once.
func (s *server) noticed(mark uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.proto.running || s.proto.closing: // the goroutine that runs is about to receive
	case mark > 0:
		s.arm()
	case s.proto.relieve():
		go s.lead()
	}
}

// ended makes this goroutine the one that receives again, or says that another does that now.
func (s *server) ended() (lead bool) {
	s.mu.Lock()
	s.work = nil
	lead = s.proto.ended()
	late, limit := s.late, s.limit
	s.late = false
	s.freed.Broadcast()
	s.mu.Unlock()
	for _, f := range s.leave(late, limit) { // the master had given the task up, and knows of this worker no more
		s.svc.Unheard(f)
	}
	return lead
}

// tasksFrame does with a frame of tasks what the protocol says.
func (s *server) tasksFrame(f link.Frame, r *reader, me uint64) (lead bool) {
	first, epoch := r.uint(), r.uint()
	w := newWork(first, f, r)
	w.generation, w.shared = s.generation, s.shared
	if r.err != nil {
		s.finish(r.err)
		return false
	}
	switch v, from := s.admit(w, epoch, me); v {
	case toRefuse:
		s.finish(errOrder)
		return false
	case toDrop:
		return true
	case toReturn: // sent without the lock: a sender finds out that the master is gone, and may have to wait
		s.flushFinished() // first, or the master would take it for the end of what runs long
		s.send(kindHandback, from)
		return true
	}
	s.journal.Picked(first + w.units - 1)
	s.run(w)
	return s.ended()
}

// admit decides about a frame of tasks, and waits for what runs to end where that decides. Everything is looked at after the
// wait: meanwhile the frame may have been handed back with the rest of the batch before it.
func (s *server) admit(w *work, epoch, me uint64) (v verdict, from uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		v, from = s.proto.admit(arrival{first: w.first, units: w.units, epoch: epoch, idle: w.idle}, s.journal)
		if v != toWait {
			break
		}
		s.freed.Wait()
	}
	if v == toRun {
		s.began(w, me)
	}
	return v, from
}

// setupFrame runs the set-up; meanwhile another goroutine watches the master if it takes long.
func (s *server) setupFrame(f link.Frame, me uint64) (lead bool) {
	s.mu.Lock()
	ok := s.proto.setUp()
	if ok {
		s.began(nil, me)
	}
	s.mu.Unlock()
	if !ok {
		s.finish(errOrder)
		return false
	}
	normal := false
	answer := func(err error) {
		s.mu.Lock()
		s.proto.close() // tasks may come as soon as the answer has left, and must not be given back
		s.mu.Unlock()
		b := append(link.GetBuffer(), kindReady)
		if err != nil {
			b = s.svc.AppendError(b, err)
		}
		s.transmit(link.Frame{Stream: b})
	}
	defer func() {
		if !normal { // runtime.Goexit: this goroutine is at its end
			answer(s.svc.Recovered(Goexit, nil))
			if s.ended() {
				go s.lead()
			}
		}
	}()
	threshold, tasks, err := s.setup(f)
	normal = true
	s.mu.Lock()
	s.isSetUp = true
	s.mu.Unlock()
	if err == nil {
		s.tasks = tasks
		s.out.enc.Threshold = threshold
	}
	if ep, ok := s.ep.(link.Settler); ok {
		ep.Settled()
	}
	answer(err)
	return s.ended()
}

func (s *server) setup(f link.Frame) (threshold int, tasks context.Context, err error) {
	normal := false
	defer func() {
		if normal {
			return
		}
		if v := recover(); v != nil {
			err = s.svc.Recovered(v, stack())
		}
	}()
	r := reader{b: f.Stream[1:]}
	s.mu.Lock()
	s.rank, s.size = int(r.uint()), int(r.uint())
	s.onHost.index, s.onHost.count = int(r.uint()), int(r.uint())
	s.inProcess = int(r.uint())
	s.timed, s.origin = r.uint() > 0, time.Now()
	s.mu.Unlock()
	if r.err != nil {
		normal = true
		return 0, nil, r.err
	}
	segments, err := s.inherited(f.Segments)
	if err == nil {
		threshold, tasks, err = s.svc.Setup(s.base, r.b, segments)
	}
	normal = true
	return threshold, tasks, err
}

// inherited returns the segments of the set-up: those that came with it, unless the group has another way for them.
func (s *server) inherited(came [][]byte) ([][]byte, error) {
	heir, ok := s.ep.(link.Heir)
	if !ok || len(came) > 0 {
		return came, nil
	}
	segments, copied, err := heir.Inherit()
	if copied != nil && s.svc.Remark != nil {
		s.svc.Remark("rankpool: memory that the workers of this host share cannot be mapped, this one has a copy", copied)
	}
	return segments, err
}

// look is called while something runs. When the same unit runs as last time, it is a long one.
func (s *server) look() {
	s.mu.Lock()
	w := s.work
	if !s.proto.running {
		s.armed = false
		s.mu.Unlock()
		return
	}
	finished := ^uint64(0)
	if w != nil {
		finished, _ = s.journal.Unsent()
	}
	if s.seen.work != w || s.seen.finished != finished {
		s.seen.work, s.seen.finished = w, finished
		s.timer.Reset(longTask)
		s.mu.Unlock()
		return
	}
	s.armed = false
	s.seen.work, s.seen.finished = nil, 0
	if s.proto.relieve() {
		go s.lead()
	}
	s.mu.Unlock()
	if w != nil {
		s.giveBack(w)
	}
}

// giveBack sends the results there are and returns the units of w that have not begun. The one that runs goes on.
func (s *server) giveBack(w *work) {
	s.flushFinished()
	s.mu.Lock()
	from := s.proto.halt(w.first, s.journal)
	s.mu.Unlock()
	if from > 0 { // sent without the lock, as above
		s.send(kindHandback, from)
	}
}

// flushFinished sends the results of the units before the one that runs.
func (s *server) flushFinished() {
	s.mu.Lock()
	last := s.proto.last
	s.mu.Unlock()
	s.out.flushMarked(last)
}

// Alone says that the task whose context this is will wait for other tasks, and must not be in their way: the unstarted
// rest of its batch goes back to the master, and its function's units are never sent together again. Outside of a task
// that has a context it does nothing.
func Alone(ctx context.Context) {
	s := serverOf(ctx)
	if s == nil {
		return
	}
	s.mu.Lock()
	w := s.work
	s.mu.Unlock()
	if w == nil {
		return
	}
	s.giveBack(w)
	s.send(kindAlone)
}

// serverKey is the key of the *server in the context of its tasks.
type serverKey struct{}

// serverOf returns the worker whose task's context ctx is, or was made of; nil when there is none.
func serverOf(ctx context.Context) *server {
	s, _ := ctx.Value(serverKey{}).(*server)
	return s
}

// cancelTasks ends the contexts of n units, from number seq on. One that has none yet, because it is next or waits for
// the worker's turn, ends as soon as it is made. Those that are recalled do not begin.
func (s *server) cancelTasks(seq, n uint64, recall bool) {
	if recall {
		s.journal.Recall(seq, n)
	}
	s.mu.Lock()
	units := span{seq, n}
	var cancel context.CancelFunc
	if s.cancel != nil && units.has(s.cancelSeq) {
		cancel = s.cancel
	}
	if w := s.work; w != nil {
		w.cancelled = append(w.cancelled, units)
		w.recalled.Store(true)
	}
	w := s.work
	s.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	if finished, _ := s.journal.Unsent(); w != nil && seq+n > finished+2 { // what has not begun and is not wanted any more must not begin
		s.giveBack(w)
	}
}
