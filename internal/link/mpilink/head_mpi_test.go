//go:build mpi && linux && (amd64 || arm64)

package mpilink

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestShortFramesOfManyWorkersThatWaitAtTheSameTimeShareAMessage(t *testing.T) {
	if !mpitest.Under(t, 1) {
		return
	}
	port := ownPort(t)
	defer func() {
		if err := port.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}()
	var w wire
	w.join(port)

	// come sends what is queued and returns how many messages it was, and whose heads, until the given one is there.
	lanes := map[uint64]*lane{}
	come := func(last uint64) (messages int, ids []uint64) {
		events := make([]mpi.Event, pollRoom)
		for end := time.Now().Add(testkit.Limit); !slices.Contains(ids, last) || w.parts(); {
			if time.Now().After(end) {
				t.Fatalf("%d messages with the heads of %d", messages, ids)
			}
			n, err := port.Poll(spinOnce, events)
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range events[:n] {
				if e.Kind != mpi.Received {
					w.settle(&e)
					continue
				}
				messages++
				if !w.eachHead(e.Data, func(h head) {
					ids = append(ids, h.id)
					if lanes[h.id] == nil {
						lanes[h.id] = new(lane)
					}
					if err := w.came.check(0, h.number); err != nil {
						t.Error(err)
					}
					if err := w.receive(lanes[h.id], 0, h.kind, h.data); err != nil {
						t.Error(err)
					}
				}) {
					t.Error(errHead)
				}
			}
		}
		return messages, ids
	}
	send := func(id uint64, segments ...[]byte) {
		stream := append(link.GetBuffer(), "the stream of "...)
		if _, err := w.frame(0, id, link.Frame{Stream: append(stream, byte(id)), Segments: segments}, nil); err != nil {
			t.Error(err)
		}
	}

	const workers = 32
	for id := range uint64(workers) {
		send(id)
	}
	if messages, ids := come(workers - 1); messages != 1 || len(ids) != workers || !slices.IsSorted(ids) {
		t.Errorf("%d messages of %d", messages, ids)
	}
	for id, l := range lanes {
		if in, ok := l.pop(); !ok || in.frame.Stream[len(in.frame.Stream)-1] != byte(id) || !l.empty() {
			t.Errorf("worker %d: %q", id, in.frame.Stream)
		}
	}

	large := bytes.Repeat([]byte("large"), 100_000)
	send(1)
	send(2, large)
	send(1)
	send(3)
	if messages, ids := come(3); messages != 2 || !slices.Equal(ids, []uint64{1, 2, 1, 3}) {
		t.Errorf("with a part: %d messages of %d", messages, ids)
	}
	if in, ok := lanes[2].pop(); !ok || len(in.frame.Segments) != 1 || !bytes.Equal(in.frame.Segments[0], large) {
		t.Error("the part has not come as it was")
	}

	for range 2 * longest / (15 + tail) {
		send(7)
	}
	send(8)
	if messages, ids := come(8); messages != 3 || len(ids) != 2*longest/(15+tail)+1 {
		t.Errorf("twice what fits, and one more: %d messages of %d heads", messages, len(ids))
	}
}
