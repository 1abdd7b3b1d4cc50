//go:build mpi && linux && (amd64 || arm64)

package mpilink

import (
	"errors"
	"slices"
	"testing"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
)

// arrivals notes what each slot has received, and why it was lost.
type arrivals struct {
	streams []string
	losses  [][]error
}

func (a *arrivals) Receive(slot int, f link.Frame) { a.streams[slot] += string(f.Stream) }

func (a *arrivals) Lost(slot int, l link.Loss) { a.losses[slot] = append(a.losses[slot], l.Err) }

// Of a message that several slots of a rank share, one wrong length leaves nothing that can be trusted: the rank is lost with all of its
// slots, and none of them has received anything of it.
func TestADamagedMessageCostsItsRankAndNoOther(t *testing.T) {
	if !alone(t) {
		return
	}
	a := &arrivals{make([]string, 3), make([][]error, 3)}
	hub, g := failing(t, 3, a)
	second := g.slots[1].Load() // slots 0 and 1 are of one rank
	second.peer = g.slots[0].Load().peer
	message := func(numbers ...uint32) []byte {
		return slices.Concat(numbered(trail([]byte("one"), 1, kindFrame), numbers[0]), numbered(trail([]byte("two"), 2, kindFrame), numbers[1]))
	}
	hub.event(&mpi.Event{Kind: mpi.Received, Peer: 1, Data: message(1, 2)})
	if want := []string{"one", "two", ""}; !slices.Equal(a.streams, want) {
		t.Fatalf("%q came of the message of two slots, want %q", a.streams, want)
	}
	damaged := message(3, 4)
	damaged[len(damaged)-2]++ // it says that the second stream is longer than it is, so what is before that is no head
	hub.event(&mpi.Event{Kind: mpi.Received, Peer: 1, Data: damaged})
	hub.event(&mpi.Event{Kind: mpi.Received, Peer: 3, Data: numbered(trail([]byte("three"), 3, kindFrame), 1)})
	if want := []string{"one", "two", "three"}; !slices.Equal(a.streams, want) {
		t.Errorf("%q came, want %q", a.streams, want)
	}
	for slot, n := range []int{1, 1, 0} {
		if l := a.losses[slot]; len(l) != n || n > 0 && !errors.Is(l[0], errHead) {
			t.Errorf("slot %d was lost %d times, want %d: %v", slot, len(l), n, l)
		}
	}
}
