package dispatch_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// puppet is a group of one worker, whose every word the test writes.
type puppet struct {
	handler link.Handler
	started chan struct{}
	sent    chan link.Frame
	killed  chan error
}

func newPuppet() *puppet {
	return &puppet{started: make(chan struct{}, 10), sent: make(chan link.Frame, 100), killed: make(chan error, 100)}
}

func (p *puppet) Traits() link.Traits {
	return link.Traits{Kind: "puppet", Replaces: true, Kills: true}
}
func (p *puppet) Open(_ context.Context, h link.Handler) (int, error) {
	p.handler = h
	return 1, nil
}
func (p *puppet) Start(int)                   { p.started <- struct{}{} }
func (p *puppet) Send(_ int, f link.Frame)    { p.sent <- f }
func (p *puppet) Kill(_ int, cause error)     { p.killed <- cause }
func (p *puppet) Close(context.Context) error { return nil }

// say delivers a frame of the worker.
func (p *puppet) say(stream []byte, segments ...[]byte) {
	p.handler.Receive(0, link.Frame{Stream: stream, Segments: segments})
}

// begin brings the puppet up and gives it a job of three units.
func (p *puppet) begin(t *testing.T) (*dispatch.Master, *sink) {
	m := dispatch.New(dispatch.Config{
		Group:            p,
		DecodeError:      func(b []byte, _ uint32, _ int, _ dispatch.Hello) error { return io.ErrUnexpectedEOF },
		DecodeSetupError: func(b []byte, _ int, _ dispatch.Hello) error { return io.ErrUnexpectedEOF },
	})
	j, s := job(0, 1, 2, 3)
	if err := m.Submit(j); err != nil {
		t.Fatal(err)
	}
	await(t, p.started, "start of the worker")
	p.say([]byte{'h', 1, 1, 0, 0})
	p.hears(t, 's')
	p.say([]byte{'r'})
	p.hears(t, 't')
	return m, s
}

// proven is begin, and the three units are answered and were tiny: the next is number 4.
func (p *puppet) proven(t *testing.T) *dispatch.Master {
	m, s := p.begin(t)
	p.say([]byte{'R', 1, 1 << 2, 7, 10<<2 | 3})
	p.hears(t, 't')
	p.say([]byte{'R', 2, 1 << 2, 7, 1 << 2, 7})
	s.wait(t)
	return m
}

// hears waits for a frame of a kind from the master.
func (p *puppet) hears(t *testing.T, kind byte) {
	t.Helper()
	select {
	case f := <-p.sent:
		if f.Stream[0] != kind {
			t.Fatalf("the master sent %q, want a frame of kind %q", f.Stream, kind)
		}
	case <-time.After(limit):
		t.Fatalf("no frame of kind %q from the master within %v", kind, limit)
	}
}

// end loses the worker for good and expects that every unit is accounted for.
func (p *puppet) end(t *testing.T, m *dispatch.Master, s *sink) {
	if _, err := m.Shutdown(t.Context(), false, true); err != nil {
		t.Fatal(err)
	}
	p.handler.Lost(0, link.Loss{Err: io.EOF})
	s.wait(t)
	await(t, m.Closed(), "end of the master")
}

func TestDamagedFramesEndTheirWorkerAndLoseNoTask(t *testing.T) {
	for name, stream := range map[string][]byte{
		"empty":                      {},
		"unknown kind":               {'?'},
		"result that was not due":    {'R', 2, 1 << 2, 5},
		"length beyond the end":      {'R', 1, 30 << 2, 5},
		"segments that did not come": {'R', 1, 1<<2 | 1, 3, 5},
		"number that does not end":   {'R', 0x80, 0x80},
		"error cut off":              {'R', 1, 2, 0, 0, 9},
		"failure without an error":   {'R', 1, 2, 0, 0, 0},
		"more elements than it has":  {'R', 1, 1<<2 | 2, 0, 2, 1, 5, 'e'},
		"second hello":               {'h', 1, 1, 0, 0},
		"hand-back without a number": {'b'},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPuppet()
			m, s := p.begin(t)
			p.say(stream)
			select {
			case err := <-p.killed:
				if err == nil {
					t.Error("killed without a cause")
				}
			case <-time.After(limit): // another goroutine may be sending, and does this too
				t.Error("the worker was not ended")
			}
			p.end(t, m, s)
		})
	}
}

// What a lost worker's memory says cannot have the task run again that it was running.
func TestTheJournalOfALostWorkerYieldsResultsAndNothingElse(t *testing.T) {
	for name, l := range map[string]link.Loss{
		"hand-back":                          {Salvage: []byte{'b', 1}, Picked: 1},
		"hand-back of the next":              {Salvage: []byte{'b', 2}, Picked: 1},
		"ready":                              {Salvage: []byte{'r', 'x'}, Picked: 1},
		"hello":                              {Salvage: []byte{'h', 1, 1, 0, 0}, Picked: 1},
		"picked less than it has answered":   {Picked: 0, Finished: 1},
		"picked nothing, and answers now":    {Salvage: []byte{'R', 1, 1 << 2, 5}, Picked: 0, Finished: 1},
		"answered what it has not been sent": {Salvage: []byte{'R', 1, 1 << 2, 5, 1 << 2, 5}, Picked: 2, Finished: 9},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPuppet()
			m, s := p.begin(t)
			unit := 0 // that may have run
			if strings.HasPrefix(name, "picked less") {
				p.say([]byte{'R', 1, 1 << 2, 5})
				p.hears(t, 't')
				unit = 1
			}
			l.Err, l.Proof = io.EOF, true
			p.handler.Lost(0, l)
			if _, err := m.Shutdown(t.Context(), false, true); err != nil {
				t.Fatal(err)
			}
			s.wait(t)
			if n := s.claims[unit]; n != 1 || errors.Is(s.errs[unit], dispatch.ErrDropped) {
				t.Errorf("the task that ran: handed out %d times, %v, %v", n, s.got[unit], s.errs[unit])
			}
			await(t, m.Closed(), "end of the master")
		})
	}
}

func FuzzFramesFromAWorker(f *testing.F) {
	result := binary.AppendUvarint([]byte{'R', 1}, 1<<2)
	f.Add(append(result, 7), []byte{'P'}, 0)
	f.Add([]byte{'R', 1, 1<<2 | 1, 1, 5}, []byte{'b', 2}, 1)
	f.Add([]byte{'R', 1, 1<<2 | 2, 0, 1, 1, 5, 'e'}, []byte{'b', 0}, 0)
	f.Add([]byte{'a'}, []byte{'o', 1}, 0)
	f.Add([]byte{'R', 1, 40<<2 | 3, 0}, []byte{'r', 'x'}, 2)
	f.Fuzz(func(t *testing.T, a, b []byte, segments int) {
		p := newPuppet()
		m, s := p.begin(t)
		p.say(append([]byte(nil), a...), make([][]byte, min(max(segments, 0), 3))...)
		p.say(append([]byte(nil), b...))
		p.end(t, m, s)
	})
}

// What a lost worker leaves behind, whatever it is, answers no unit twice and loses none.
func FuzzTheJournalOfALostWorker(f *testing.F) {
	f.Add([]byte{'R', 1, 1 << 2, 5}, uint64(1), uint64(1), true)
	f.Add([]byte{'R', 1, 1 << 2, 5, 1 << 2, 6, 1 << 2, 7, 40<<2 | 3}, uint64(3), uint64(9), true)
	f.Add([]byte{'R', 1, 1<<2 | 2, 0, 1, 1, 5, 'e'}, uint64(0), uint64(1)<<63, true)
	f.Add([]byte{'R', 1, 1<<2 | 2, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1, 1, 5, 'e'}, uint64(1), uint64(1), true)
	f.Add([]byte{'b', 1}, uint64(0), uint64(2), false)
	f.Fuzz(func(t *testing.T, salvage []byte, finished, picked uint64, proof bool) {
		p := newPuppet()
		m, s := p.begin(t)
		p.handler.Lost(0, link.Loss{Err: io.EOF, Proof: proof, Salvage: append([]byte(nil), salvage...), Finished: finished, Picked: picked})
		if _, err := m.Shutdown(t.Context(), true, true); err != nil {
			t.Fatal(err)
		}
		select {
		case <-p.started: // it was replaced
			p.handler.Lost(0, link.Loss{Err: io.EOF})
		default:
		}
		s.wait(t)
		await(t, m.Closed(), "end of the master")
	})
}
