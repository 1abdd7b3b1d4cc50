package dispatch_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// outgrowing is a body whose argument 2 encodes more than the journal holds and then fails, as a value does whose last
// part cannot be encoded; 3 waits.
type outgrowing struct{ release chan struct{} }

func (outgrowing) NeedsContext() bool { return false }

func (o outgrowing) Call(c *dispatch.Call) error {
	x, _ := binary.Uvarint(c.In.Rest())
	switch x {
	case 2:
		n := len(c.Out.Stream)
		c.Out.Stream = append(c.Out.Stream, make([]byte, 1<<16)...)[:n]
		return errors.New("no")
	case 3:
		<-o.release
	}
	c.Out.Stream = binary.AppendUvarint(c.Out.Stream, x+40)
	c.Done++
	return nil
}

func TestResultsThatHaveLeftTheJournalAreSentFromWhereTheyAre(t *testing.T) {
	body := outgrowing{make(chan struct{})}
	svc := dispatch.Service{
		Function:    func(uint32) dispatch.Body { return body },
		Setup:       func(ctx context.Context, _ []byte, _ [][]byte) (int, context.Context, error) { return -1, ctx, nil },
		AppendError: func(b []byte, err error) []byte { return append(b, err.Error()...) },
	}
	w := &wire{down: make(chan link.Frame, 8), up: make(chan []byte, 64), journal: link.NewJournal(make([]byte, 1<<10))}
	served := make(chan error, 1)
	go func() { served <- dispatch.Serve(w, svc) }()
	w.say('s', 0, 1)
	w.hear(t, 'r')
	units := []byte{1, 1, 1, 2, 1, 1, 1, 3} // four: 1, 2, 1, 3
	w.say(append([]byte{'t', 1, 0, 0, 0, 4, 0, 0, 0}, units...)...)
	var got []byte
	done, back := 0, 0                                      // units
	for number, epoch := byte(5), byte(0); len(got) < 12; { // the fourth unit runs until then
		select {
		case b := <-w.up:
			switch b[0] {
			case 'R':
				some, n := untimed(b[2:])
				got, done = append(got, some...), done+n
			case 'b': // one took long
				back, epoch = int(number-b[1]), epoch+1
			}
			if back > 0 && done == 4-back {
				w.say(append([]byte{'t', number, epoch, 1 << 5 /* all before is answered */, 0, byte(back), 0, 0, 0}, units[len(units)-2*back:]...)...)
				number, back = number+byte(back), 0
			}
		case <-time.After(limit):
			t.Fatalf("only %q came", got)
		}
	}
	want := []byte{1 << 2, 41, 0<<2 | 2, 0, 0, 0, 0, 2, 'n', 'o', 1 << 2, 41}
	if !bytes.Equal(got, want) {
		t.Errorf("the results are %q, want %q", got, want)
	}
	close(body.release)
	w.say('q')
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// untimed returns the entries of a frame of results that are no times, and how many there are. Their numbers are small.
func untimed(entries []byte) (all []byte, count int) {
	for len(entries) > 0 {
		v, n := binary.Uvarint(entries)
		switch v & 3 {
		case 3:
			entries = entries[n:]
			continue
		case 2:
			n += 5 + int(entries[5])
		}
		n += int(v >> 2)
		all, count, entries = append(all, entries[:n]...), count+1, entries[n:]
	}
	return all, count
}
