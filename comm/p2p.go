package comm

import (
	"context"
	"fmt"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/pkl5"
)

// Wildcards of [Recv], [Irecv], [Probe] and [Sendrecv].
const (
	AnySource = -1
	AnyTag    = -1
)

// Status says where a message came from.
type Status struct{ Source, Tag int }

// Send sends v to the task of rank dest. Tags are 0 or above; a [Recv] selects messages by them. It blocks until the message has left this
// worker, not until it has been received; v may be changed then. A bad rank or tag, or a value that cannot be encoded, is an error at once.
// MPI 4.1, section 3.2: MPI_Send.
func Send[T any](ctx context.Context, c *Comm, v T, dest, tag int) error {
	if err := c.mayMeet("Send", dest, tag); err != nil {
		return err
	}
	return sendUser(ctx, c, "Send", &v, dest, tag)
}

func sendUser[T any](ctx context.Context, c *Comm, verb string, v *T, dest, tag int) error {
	err := context.Cause(ctx)
	if err == nil {
		err = send(c, v, dest, userTag(tag), nil)
	}
	if err != nil {
		return fmt.Errorf("comm: %s to rank %d: %w", verb, dest, err)
	}
	return nil
}

// Recv receives the next message from rank source with that tag; either may be the wildcard. It blocks until there is one, until ctx ends,
// or until none can come any more. Of several matching messages it takes the one that came first. Of several matching Recv and [Irecv] the
// one that was called first gets a message. MPI 4.1, section 3.2: MPI_Recv.
func Recv[T any](ctx context.Context, c *Comm, source, tag int) (T, error) {
	v, _, err := RecvStatus[T](ctx, c, source, tag)
	return v, err
}

// RecvStatus is [Recv] that also returns where the message came from.
func RecvStatus[T any](ctx context.Context, c *Comm, source, tag int) (T, Status, error) {
	return recvUser[T](ctx, c, "Recv", source, tag)
}

func recvUser[T any](ctx context.Context, c *Comm, verb string, source, tag int) (v T, from Status, err error) {
	want, err := c.mayCome(verb, source, tag)
	if err != nil {
		return v, from, err
	}
	codec, err := codecOf[T]()
	if err != nil {
		return v, from, fmt.Errorf("comm: %s: %w", verb, err)
	}
	l, err := c.peers.Receive(want).Wait(ctx)
	return opened(c, codec, verb, source, l, err)
}

// opened returns what a message of a user's has brought.
func opened[T any](c *Comm, codec *codec[T], verb string, source int, l dispatch.Letter, err error) (v T, from Status, _ error) {
	if err == nil {
		from = c.status(l)
		var text []byte
		if text, err = codec.typed(from.Source, l.Text); err == nil {
			err = codec.read(from.Source, text, l.Segments, &v)
		}
	}
	if err != nil {
		return v, Status{}, fmt.Errorf("comm: %s from %s: %w", verb, rankName(source), err)
	}
	return v, from, nil
}

// Sendrecv sends v to rank dest with one tag and receives from rank source with another, as by [Send] and then [Recv]. Send does not wait
// for the receiver, so a shift along a ring or the exchange of borders is one call on every rank. The two values may have different types;
// name that of the received one. MPI 4.1, section 3.10: MPI_Sendrecv.
func Sendrecv[R, S any](ctx context.Context, c *Comm, v S, dest, sendTag, source, recvTag int) (R, error) {
	var got R
	if err := c.mayMeet("Sendrecv", dest, sendTag); err != nil {
		return got, err
	}
	if _, err := c.mayCome("Sendrecv", source, recvTag); err != nil {
		return got, err
	}
	if err := sendUser(ctx, c, "Sendrecv", &v, dest, sendTag); err != nil {
		return got, err
	}
	got, _, err := recvUser[R](ctx, c, "Sendrecv", source, recvTag)
	return got, err
}

// Probe blocks until there is a message that [Recv] from source with that tag would take, and returns where it came from; either may be the
// wildcard. The message is not removed. The wait can end in the same other ways as that of [Recv]. When several goroutines of the task
// receive, another of them may take the message first. MPI 4.1, section 3.8: MPI_Probe.
func Probe(ctx context.Context, c *Comm, source, tag int) (Status, error) {
	want, err := c.mayCome("Probe", source, tag)
	if err != nil {
		return Status{}, err
	}
	l, err := c.peers.Look(want).Wait(ctx)
	if err != nil {
		return Status{}, fmt.Errorf("comm: Probe of %s: %w", rankName(source), err)
	}
	return c.status(l), nil
}

// Iprobe is [Probe] that does not block: ok says whether there is such a message. When there is none and none can come any more, it returns
// the error that [Probe] would return. MPI 4.1, section 3.8: MPI_Iprobe.
func Iprobe(c *Comm, source, tag int) (from Status, ok bool, err error) {
	want, err := c.mayCome("Iprobe", source, tag)
	if err != nil {
		return Status{}, false, err
	}
	r := c.peers.Look(want)
	if r.Cancel(context.Canceled) {
		return Status{}, false, nil
	}
	l, err := r.Letter()
	if err != nil {
		return Status{}, false, fmt.Errorf("comm: Iprobe of %s: %w", rankName(source), err)
	}
	return c.status(l), true, nil
}

func (c *Comm) status(l dispatch.Letter) Status { return Status{c.rankOf(l.Source), int(l.Tag >> 1)} }

func rankName(r int) string {
	if r == AnySource {
		return "any rank"
	}
	return fmt.Sprintf("rank %d", r)
}

// mayMeet refuses a send that cannot be.
func (c *Comm) mayMeet(verb string, dest, tag int) error {
	switch {
	case c.none():
		return fmt.Errorf("comm: %s: %w", verb, errNone)
	case dest < 0 || dest >= c.Size():
		return fmt.Errorf("comm: %s: rank %d is out of range: %s", verb, dest, c.ranks())
	case tag < 0:
		return fmt.Errorf("comm: %s: tag %d: a tag is 0 or above", verb, tag)
	}
	return nil
}

// mayCome says what a receive waits for, or refuses one that cannot be.
func (c *Comm) mayCome(verb string, source, tag int) (dispatch.Want, error) {
	switch {
	case c.none():
		return dispatch.Want{}, fmt.Errorf("comm: %s: %w", verb, errNone)
	case source < AnySource || source >= c.Size():
		return dispatch.Want{}, fmt.Errorf("comm: %s: rank %d is out of range: %s", verb, source, c.ranks())
	case tag < AnyTag:
		return dispatch.Want{}, fmt.Errorf("comm: %s: tag %d: a tag is 0 or above, or AnyTag", verb, tag)
	}
	return c.want(source, func(got uint64) bool { return got&1 == 0 && (tag == AnyTag || got == userTag(tag)) }), nil
}

// Tags of users are even, those of collective operations odd.
func userTag(tag int) uint64 { return uint64(tag) << 1 }

// send sends a value behind a head.
func send[T any](c *Comm, v *T, dest int, tag uint64, head []byte) error {
	codec, err := codecOf[T]()
	if err != nil {
		return err
	}
	e := encoders.Get().(*pkl5.Encoder)
	defer release(e)
	if err := codec.letter(e, head, v); err != nil {
		return err
	}
	return c.peers.Send(c.peer(dest), c.number(), tag, e.Stream, e.Segments)
}
