package dispatch

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/rankpool/rankpool/internal/link"
)

// VirtualPort is what a Virtual has in the place of a link.Endpoint and a clock.
type VirtualPort interface {
	Now() time.Duration      // the time, which is only counted
	Send(f link.Frame)       // to the master; does not block
	WakeAt(at time.Duration) // has Wake called then, and not at the time that was asked for before
	Close(err error)         // ends the worker
}

// VirtualConfig is what a Virtual is made of.
type VirtualConfig struct {
	Hello Hello

	// Call says how long a unit takes and what it returns: an encoded result, appended to out, or an error as AppendError of a Service
	// would have it. It is called more than once for a unit, and must say the same each time.
	Call func(fn uint32, args, out []byte) (took time.Duration, result, err []byte)

	Setup time.Duration // how long the set-up takes
	Proof bool          // the journal outlives the worker
}

// Virtual is a worker that runs nothing: it answers its master as Serve would, by the same protocol, in a time that is only counted.
// It has no goroutine, no lock and no clock: its owner calls it, one call at a time. Simulations have a hundred thousand of them.
type Virtual struct {
	cfg     *VirtualConfig
	port    VirtualPort
	proto   protocol
	journal *link.Journal
	inbox   []link.Frame // what has come and nobody has received

	batch  link.Frame    // that runs; without a stream it is the set-up
	begun  time.Duration // when
	end    time.Duration // when it ends
	look   time.Duration // when the first unit is found to run long; 0 for never
	sent   uint64        // the last unit whose result was sent
	told   time.Duration // how much of the batch's time was told
	cut    uint64        // the unit that runs, if its context was ended
	cutAt  time.Duration // when, since the beginning of the batch
	leaves bool          // it leaves when nothing runs
	timed  bool          // each time has what the clock showed
}

// NewVirtual returns a worker that has not begun. The configuration is shared.
func NewVirtual(cfg *VirtualConfig, port VirtualPort) *Virtual {
	v := &Virtual{cfg: cfg, port: port, journal: link.NewJournal(make([]byte, link.JournalHeader+8))}
	v.proto.receiving = true
	return v
}

// Begin says hello.
func (v *Virtual) Begin() { v.port.Send(link.Frame{Stream: v.cfg.Hello.append(link.GetBuffer())}) }

// Receive takes a frame. It waits as long as the worker runs something and has not found that to be long.
func (v *Virtual) Receive(f link.Frame) {
	v.inbox = append(v.inbox, f)
	v.receive()
}

// receive takes what has come in, as far as somebody would receive it.
func (v *Virtual) receive() {
	for v.proto.receiving && len(v.inbox) > 0 {
		f := v.inbox[0]
		if len(f.Stream) == 0 {
			v.port.Close(errShort)
			return
		}
		r := reader{b: f.Stream[1:]}
		kept := false
		switch f.Stream[0] {
		case kindTasks:
			var goOn bool
			if kept, goOn = v.tasks(f, &r); !goOn {
				return
			}
		case kindSetup:
			if !v.proto.setUp() {
				v.port.Close(errOrder)
				return
			}
			for range 5 { // places
				r.uint()
			}
			v.timed = r.uint() > 0
			v.run(link.Frame{}, v.cfg.Setup)
		case kindPing:
			v.send(kindPong)
		case kindCancel:
			v.cancel(span{r.uint(), r.uint()})
		case kindGone, kindBreak: // nothing here talks to others
		case kindValues, kindUse, kindForget: // nor looks at values
		case kindStop:
			r.uint()
			v.leaves = true
			if abandoned := r.uint() > 0; abandoned || !v.proto.running {
				v.inbox = nil
				v.port.Close(nil)
				return
			}
		default:
			v.port.Close(errors.New("dispatch: message of a kind that no virtual worker knows from the master"))
			return
		}
		if !kept {
			link.PutBuffer(f.Stream)
		}
		if n := copy(v.inbox, v.inbox[1:]); n < len(v.inbox) {
			v.inbox[n] = link.Frame{}
			v.inbox = v.inbox[:n]
		}
	}
}

// tasks does with a frame of tasks what the protocol says.
func (v *Virtual) tasks(f link.Frame, r *reader) (kept, goOn bool) {
	first, epoch := r.uint(), r.uint()
	a := arrival{first: first, epoch: epoch}
	for scan := *r; len(scan.b) > 0; r.err = scan.err {
		h := scan.run()
		a.idle = a.idle || h.flags&runIdle != 0
		a.units += uint64(h.units)
		scan.units(int(h.units), h.flags&runBuffers != 0)
	}
	if r.err != nil {
		v.port.Close(r.err)
		return false, false
	}
	busy := v.proto.running && v.batch.Stream != nil
	if busy {
		v.finished() // the protocol goes by the mark
	}
	switch verdict, from := v.proto.admit(a, v.journal); verdict {
	case toRefuse:
		v.port.Close(errOrder)
		return false, false
	case toWait:
		return true, false // it stays in the inbox
	case toReturn:
		v.sendFinished()
		v.number(kindHandback, from)
		if busy {
			v.shorten()
		}
	case toRun:
		v.journal.Picked(first + a.units - 1)
		v.sent = first - 1
		total := time.Duration(0)
		v.batch, v.told, v.cut = f, 0, 0
		v.each(func(u unitRun) bool { total = u.end; return true })
		v.run(f, total)
		return true, true
	}
	return false, true
}

// run begins the batch, or the set-up, which takes so long.
func (v *Virtual) run(f link.Frame, took time.Duration) {
	v.batch, v.begun, v.look = f, v.port.Now(), 0
	v.end = v.begun + took
	if f.Stream == nil {
		if took > 2*longTask {
			v.look = v.begun + 2*longTask
		}
	} else if took > longTask {
		v.each(func(u unitRun) bool {
			if at := (max(1, (u.begin+longTask-1)/longTask) + 1) * longTask; at < u.end { // it was there at two looks
				v.look = v.begun + at
				return false
			}
			return true
		})
	}
	v.sleep()
}

func (v *Virtual) sleep() {
	if v.look > 0 && v.look < v.end {
		v.port.WakeAt(v.look)
	} else {
		v.port.WakeAt(v.end)
	}
}

// Wake does what is due.
func (v *Virtual) Wake() {
	now := v.port.Now()
	if !v.proto.running {
		return
	}
	if now < v.end { // a look: what runs is long
		v.look = 0
		v.proto.relieve()
		if v.batch.Stream != nil {
			v.giveBack()
		}
		v.sleep() // until the end
		v.receive()
		return
	}
	v.proto.close()
	if v.batch.Stream == nil {
		v.send(kindReady)
	} else {
		v.sendResults(v.proto.last, true)
		v.journal.Finished(v.proto.last, 0)
		link.PutBuffer(v.batch.Stream)
	}
	v.batch = link.Frame{}
	v.proto.ended()
	if v.leaves {
		v.port.Close(nil)
		return
	}
	v.receive()
}

// Finish takes the end of the master.
func (v *Virtual) Finish() { v.port.Close(nil) }

// Lose ends the worker, whatever it does, and returns what its journal tells.
func (v *Virtual) Lose() link.Loss {
	if !v.cfg.Proof {
		return link.Loss{}
	}
	l := link.Loss{Proof: true}
	if v.proto.running && v.batch.Stream != nil {
		if last := v.finished(); last > v.sent {
			l.Salvage = v.results(nil, last, false)
		}
	}
	l.Finished, l.Picked, _ = v.journal.Read()
	return l
}

// unitRun is a unit of the batch, and its time since the batch has begun.
type unitRun struct {
	seq         uint64
	fn          uint32
	begin, end  time.Duration
	result, err []byte
}

// each calls f for the units of the batch that are not given back, until one call returns false.
func (v *Virtual) each(f func(u unitRun) bool) {
	r := reader{b: v.batch.Stream[1:]}
	u := unitRun{seq: r.uint()}
	r.uint()
	at := time.Duration(0)
	var room [64]byte
	for len(r.b) > 0 {
		h := r.run()
		u.fn = h.fn
		for range h.units {
			if u.seq > v.proto.last {
				return
			}
			head := r.unit(h.flags&runBuffers != 0)
			var took time.Duration
			took, u.result, u.err = v.cfg.Call(h.fn, r.bytes(head.size), room[:0])
			if h.timeout > 0 && took > h.timeout {
				took, u.err = h.timeout, []byte("context deadline exceeded")
			}
			u.begin, u.end = at, at+max(took, 0)
			if u.seq == v.cut && u.end > v.cutAt {
				u.end, u.err = max(v.cutAt, u.begin), []byte("context canceled")
			}
			at = u.end
			if !f(u) {
				return
			}
			u.seq++
		}
	}
}

// finished marks the units that have ended by now in the journal, and returns the last.
func (v *Virtual) finished() (last uint64) {
	last, _ = v.journal.Unsent()
	past := v.port.Now() - v.begun
	v.each(func(u unitRun) bool {
		if u.end <= past {
			last = max(last, u.seq)
		}
		return u.end <= past
	})
	v.journal.Finished(last, 0)
	return last
}

// giveBack sends the results there are and returns the units that have not begun. The one that runs goes on.
func (v *Virtual) giveBack() {
	v.sendFinished()
	if from := v.proto.halt(v.proto.first, v.journal); from > 0 {
		v.number(kindHandback, from)
		v.shorten()
	}
}

// shorten finds out when the batch ends now, which is no longer what it was.
func (v *Virtual) shorten() {
	v.each(func(u unitRun) bool { v.end = v.begun + u.end; return true })
	v.end = max(v.end, v.port.Now())
	v.sleep()
}

// sendFinished sends the results of the units before the one that runs.
func (v *Virtual) sendFinished() {
	if v.batch.Stream == nil {
		return
	}
	if last := v.finished(); last > v.sent && last < v.proto.last {
		v.sendResults(last, false)
	}
}

func (v *Virtual) sendResults(last uint64, all bool) {
	v.port.Send(link.Frame{Stream: v.results(link.GetBuffer(), last, all)})
	v.sent = last
}

// results appends the message of the results from the first that was not sent to the last, with all the time of the batch or, in its
// midst, only that of functions which are through.
func (v *Virtual) results(b []byte, last uint64, all bool) []byte {
	b = binary.AppendUvarint(append(b, kindResults), v.sent+1)
	tell := func(until time.Duration) {
		b = binary.AppendUvarint(b, uint64(until-v.told)<<2|entryTime)
		if v.timed {
			b = binary.AppendUvarint(b, uint64(v.begun+until))
		}
		v.told = until
	}
	fn, until := uint32(0), time.Duration(0)
	v.each(func(u unitRun) bool {
		if u.seq > last {
			return false
		}
		if u.seq > v.sent {
			if u.fn != fn && u.seq > v.proto.first {
				tell(until)
			}
			if u.err != nil {
				b = append(b, entryPart, 0, 0, 0, partRest) // no results, of no segments, from the first element on, and none
				b = append(binary.AppendUvarint(b, uint64(len(u.err))), u.err...)
			} else {
				b = binary.AppendUvarint(b, uint64(len(u.result))<<2|entryOK)
				b = append(b, u.result...)
			}
		}
		fn, until = u.fn, u.end
		return true
	})
	if all {
		tell(v.port.Now() - v.begun)
	}
	return b
}

// cancel ends the contexts of units. Somebody receives while a batch runs only after what had not begun of it has gone back: so it is
// about the one that runs, which ends with that, or about none. For the same reason there is nothing left to be recalled.
func (v *Virtual) cancel(units span) {
	if !v.proto.running || v.batch.Stream == nil {
		return
	}
	if runs := v.finished() + 1; units.has(runs) {
		v.cut, v.cutAt = runs, v.port.Now()-v.begun
		v.shorten()
	}
}

func (v *Virtual) send(kind byte) { v.port.Send(link.Frame{Stream: append(link.GetBuffer(), kind)}) }

func (v *Virtual) number(kind byte, n uint64) {
	v.port.Send(link.Frame{Stream: number(kind, n)})
}
