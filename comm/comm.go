package comm

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"reflect"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
)

// Wildcards of [Recv].
const (
	AnySource = -1
	AnyTag    = -1
)

// Comm is the communicator of the workers, in the hands of one task. It may be used until the task returns, by any of its
// goroutines; the collective operations by one at a time. It comes from [Workers]: a nil one, or a zero value, has
// no ranks, and its operations return errors.
type Comm struct{ peers *dispatch.Peers }

// Workers returns the communicator of all workers, for the task whose context ctx is or descends from. It is
// futures.CommWorkers for code that needs nothing else of package futures, and does not block. Outside of a task that has other
// workers the error is futures.ErrNoWorkersComm.
func Workers(ctx context.Context) (*Comm, error) {
	p, err := dispatch.Workers(ctx)
	if err != nil {
		return nil, err
	}
	return &Comm{p}, nil
}

var errNone = errors.New("there is no communicator: look at the error of futures.CommWorkers")

func (c *Comm) none() bool { return c == nil || c.peers == nil }

// Rank returns this worker's number, from 0; -1 where there is no communicator.
func (c *Comm) Rank() int {
	if c.none() {
		return -1
	}
	return c.peers.Rank
}

// Size returns the number of workers.
func (c *Comm) Size() int {
	if c.none() {
		return 0
	}
	return c.peers.Size
}

// String says which rank of how many it is.
func (c *Comm) String() string {
	if c.none() {
		return "no communicator"
	}
	return fmt.Sprintf("rank %d of %d workers", c.Rank(), c.Size())
}

// Status says where a message came from.
type Status struct{ Source, Tag int }

// Send sends v to the task of rank dest. Tags are 0 or above, and choose what a [Recv] takes. It blocks until the message has
// left this worker, not until it has been received; v may be changed then. The error of a bad rank or tag, or of a value
// that cannot be encoded, comes at once.
func Send[T any](ctx context.Context, c *Comm, v T, dest, tag int) error {
	if c.none() {
		return fmt.Errorf("comm: Send: %w", errNone)
	}
	if tag < 0 {
		return fmt.Errorf("comm: Send: tag %d: a tag is 0 or above", tag)
	}
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("comm: Send to rank %d: %w", dest, context.Cause(ctx))
	}
	if err := send(c, &v, dest, userTag(tag)); err != nil {
		return fmt.Errorf("comm: Send to rank %d: %w", dest, err)
	}
	return nil
}

// Recv receives the next message from rank source with that tag; either may be the wildcard. It blocks until one is there,
// until ctx ends, or until none can come any more.
func Recv[T any](ctx context.Context, c *Comm, source, tag int) (T, error) {
	v, _, err := RecvStatus[T](ctx, c, source, tag)
	return v, err
}

// RecvStatus is [Recv] that tells where the message came from.
func RecvStatus[T any](ctx context.Context, c *Comm, source, tag int) (T, Status, error) {
	fits := func(got uint64) bool { return got&1 == 0 && (tag == AnyTag || got == userTag(tag)) }
	var v T
	if c.none() {
		return v, Status{}, fmt.Errorf("comm: Recv: %w", errNone)
	}
	if tag < AnyTag {
		return v, Status{}, fmt.Errorf("comm: Recv: tag %d: a tag is 0 or above, or AnyTag", tag)
	}
	from, err := receive(ctx, c, &v, source, fits)
	if err != nil {
		return v, Status{}, fmt.Errorf("comm: Recv from %s: %w", rankName(source), err)
	}
	return v, Status{from.Source, int(from.Tag >> 1)}, nil
}

func rankName(r int) string {
	if r == AnySource {
		return "any rank"
	}
	return fmt.Sprintf("rank %d", r)
}

// Tags of users are even, those of collective operations odd.
func userTag(tag int) uint64        { return uint64(tag) << 1 }
func collectiveTag(n uint64) uint64 { return n<<1 | 1 }

// codec encodes and decodes messages of one type.
type codec[T any] struct {
	*pkl5.Typed[T]
	sum uint32 // of the type's description, so that a receiver of another type is told
}

var codecs sync.Map // reflect.Type → *codec[T]

func codecOf[T any]() (*codec[T], error) {
	t := reflect.TypeFor[T]()
	if c, ok := codecs.Load(t); ok {
		return c.(*codec[T]), nil
	}
	typed, err := pkl5.Of[T]()
	if err != nil {
		return nil, err
	}
	c, _ := codecs.LoadOrStore(t, &codec[T]{typed, crc32.ChecksumIEEE([]byte(registry.Describe(t)))})
	return c.(*codec[T]), nil
}

const sumSize = 4

func send[T any](c *Comm, v *T, dest int, tag uint64) error {
	codec, err := codecOf[T]()
	if err != nil {
		return err
	}
	e := encoders.Get().(*pkl5.Encoder)
	defer func() {
		e.Reset()
		encoders.Put(e)
	}()
	e.Stream = append(e.Stream, byte(codec.sum), byte(codec.sum>>8), byte(codec.sum>>16), byte(codec.sum>>24))
	if err := codec.Encode(e, v); err != nil {
		return err
	}
	return c.peers.Send(dest, tag, e.Stream, e.Segments)
}

var encoders = sync.Pool{New: func() any { return new(pkl5.Encoder) }}

func receive[T any](ctx context.Context, c *Comm, v *T, source int, fits func(uint64) bool) (dispatch.Letter, error) {
	codec, err := codecOf[T]()
	if err != nil {
		return dispatch.Letter{}, err
	}
	l, err := c.peers.Recv(ctx, source, fits)
	if err != nil {
		return l, err
	}
	if len(l.Text) < sumSize {
		return l, fmt.Errorf("the message of rank %d is damaged", l.Source)
	}
	sum := uint32(l.Text[0]) | uint32(l.Text[1])<<8 | uint32(l.Text[2])<<16 | uint32(l.Text[3])<<24
	if sum != codec.sum {
		return l, fmt.Errorf("rank %d sent a value of another type than %v", l.Source, reflect.TypeFor[T]())
	}
	var d pkl5.Decoder
	d.Reset(l.Text[sumSize:], l.Segments)
	return l, codec.Decode(&d, v)
}
