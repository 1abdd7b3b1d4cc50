package comm

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/pkl5"
)

// verb is a collective operation, as messages name it.
type verb byte

const (
	barrierVerb verb = iota
	bcastVerb
	reduceVerb
	allreduceVerb
	gatherVerb
	allgatherVerb
	scatterVerb
	alltoallVerb
	reduceScatterVerb
	scanVerb
	exscanVerb
	gathervVerb
	allgathervVerb
	scattervVerb
	alltoallvVerb
	splitVerb
	dupVerb
)

var verbNames = [...]string{"Barrier", "Bcast", "Reduce", "Allreduce", "Gather", "Allgather", "Scatter", "Alltoall",
	"ReduceScatter", "Scan", "Exscan", "Gatherv", "Allgatherv", "Scatterv", "Alltoallv", "Split", "Dup"}

func (v verb) String() string {
	if int(v) < len(verbNames) {
		return verbNames[v]
	}
	return fmt.Sprintf("operation %d", byte(v))
}

// step is one collective operation under way: its messages have a number of their own.
type step struct {
	ctx  context.Context
	c    *Comm
	verb verb
	root int
	n    uint64 // counts the operations of this communicator
}

// Of a collective operation there are messages and questions: somebody who has waited for long asks whom he waits for whether both
// are in the same operation.
func (s step) tag() uint64      { return s.n<<2 | 1 }
func (s step) question() uint64 { return s.n<<2 | 3 }

// begin begins a collective operation with a root; those without one say 0.
func begin(ctx context.Context, c *Comm, v verb, root int) (step, error) {
	if c.none() {
		return step{}, fmt.Errorf("comm: %v: %w", v, errNone)
	}
	s := step{ctx, c, v, root, c.next()}
	if root < 0 || root >= c.Size() {
		return s, fmt.Errorf("comm: %v: root %d is out of range: %s", v, root, c.ranks())
	}
	return s, nil
}

func (s step) failed(err error) error { return fmt.Errorf("comm: %v on %v: %w", s.verb, s.c, err) }

// The kinds of messages of an operation.
const (
	valueOf = iota // a value follows
	refusal        // a text: why the sender takes no part
)

// head is what a message of the operation begins with, behind its type.
func (s step) head(buf *[16]byte, kind byte) []byte {
	return binary.AppendUvarint(append(buf[:0], byte(s.verb), kind), uint64(s.root))
}

func sendTo[T any](s step, v *T, dest int) error {
	var buf [16]byte
	if err := send(s.c, v, dest, s.tag(), s.head(&buf, valueOf)); err != nil {
		return s.failed(err)
	}
	return nil
}

// refuse fails the operation on all ranks that wait for this one.
func (s step) refuse(err error) error {
	for r := range s.c.Size() {
		if r != s.c.Rank() {
			s.tell(r, s.tag(), refusal, err.Error())
		}
	}
	return s.failed(err)
}

// tell sends a text. Who cannot be reached is told by other means.
func (s step) tell(dest int, tag uint64, kind byte, text string) {
	var buf [16]byte
	b := append(s.head(&buf, kind), text...)
	_ = s.c.peers.Send(s.c.peer(dest), s.c.number(), tag, append(make([]byte, sumSize), b...), nil)
}

// patience is how long a task waits for another in an operation before it asks whether that one is in another.
const patience = time.Second

func recvFrom[T any](s step, source int) (v T, err error) {
	codec, err := codecOf[T]()
	if err == nil {
		var l dispatch.Letter
		if l, err = s.receive(source); err == nil {
			var text []byte
			if text, err = codec.typed(source, l.Text); err == nil {
				err = codec.read(source, text[s.headSize():], l.Segments, &v)
			}
		}
	}
	if err != nil {
		err = s.failed(err)
	}
	return v, err
}

func (s step) headSize() int {
	var buf [16]byte
	return len(s.head(&buf, valueOf))
}

// receive waits for the message of a rank, and compares the operations of those who ask meanwhile.
func (s step) receive(source int) (dispatch.Letter, error) {
	want := s.c.want(source, func(tag uint64) bool { return tag == s.tag() })
	want.Also = func(tag uint64) bool { return tag == s.question() }
	asked := false
	for {
		w := s.c.peers.Receive(want)
		select {
		case <-w.Done():
		default:
			s.waitFor(w, source, &asked)
		}
		l, err := w.Wait(s.ctx)
		if err != nil {
			return l, err
		}
		from := s.c.rankOf(l.Source)
		kind, err := s.compare(from, l.Text)
		switch {
		case err != nil:
			return l, err
		case l.Tag == s.question():
			continue
		case kind == refusal:
			return l, fmt.Errorf("rank %d takes no part: %s", from, l.Text[sumSize+s.headSize():])
		}
		return l, nil
	}
}

// waitFor waits until w is over, or ctx, and asks whom it waits for when that takes long.
func (s step) waitFor(w *dispatch.Receive, source int, asked *bool) {
	if *asked || !s.c.peers.Together() {
		return
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-w.Done():
	case <-s.ctx.Done():
	case <-t.C:
		*asked = true
		s.tell(source, s.question(), valueOf, "")
	}
}

// compare says what kind of message it is, if it is of the same operation.
func (s step) compare(from int, text []byte) (kind byte, err error) {
	damaged := fmt.Errorf("the message of rank %d is damaged", from)
	if len(text) < sumSize+2 {
		return 0, damaged
	}
	b := text[sumSize:]
	root, n := binary.Uvarint(b[2:])
	if n <= 0 {
		return 0, damaged
	}
	const rule = "all ranks call the same operations in the same order, with the same root"
	if theirs := verb(b[0]); theirs != s.verb {
		return 0, fmt.Errorf("rank %d calls %v, but this rank, %d, calls %v: %s", from, theirs, s.c.Rank(), s.verb, rule)
	}
	if root != uint64(s.root) {
		return 0, fmt.Errorf("rank %d uses root %d, but this rank, %d, uses root %d: %s", from, root, s.c.Rank(), s.root, rule)
	}
	return b[1], nil
}

// clone returns a copy of v that shares nothing with it.
func clone[T any](v T) (T, error) {
	codec, err := codecOf[T]()
	if err != nil || codec.flat {
		return v, err
	}
	e := encoders.Get().(*pkl5.Encoder)
	defer release(e)
	if err := codec.Encode(e, &v); err != nil {
		return v, err
	}
	segs := make([][]byte, len(e.Segments))
	for i, s := range e.Segments {
		segs[i] = append([]byte(nil), s...)
	}
	var own T
	var d pkl5.Decoder
	d.Reset(e.Stream, segs)
	err = codec.Decode(&d, &own)
	return own, err
}
