//go:build mpi && linux && (amd64 || arm64)

package mpi_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

// joining opens a port whose messages may have 100 bytes.
func joining(t *testing.T) (*mpi.Comm, *mpi.Port) {
	return openPort(t, mpi.PortOptions{Posted: 4, Longest: 100})
}

// messages receives until the last message is there.
func messages(t *testing.T, p *mpi.Port, last string) (all []string) {
	t.Helper()
	poll(t, p, 2, func(e mpi.Event) bool {
		all = append(all, string(e.Data))
		return all[len(all)-1] == last
	})
	return all
}

func TestWhatIsJoinedForARankBetweenTwoPollsIsOneMessage(t *testing.T) {
	if !mpitest.Under(t, 3) {
		return
	}
	c, p := joining(t)
	defer closePort(t, c, p)
	whole := func(rank int) (s string) {
		for i := range 32 {
			s += fmt.Sprint(rank*i%10, ";")
		}
		return s
	}
	if rank := c.Rank(); rank > 0 {
		if got := messages(t, p, "last"); !slices.Equal(got, []string{whole(rank), "last"}) {
			t.Errorf("%q", got)
		}
		return
	}
	for i := range 32 {
		for rank := 1; rank < 3; rank++ { // in turns
			if err := p.Join(rank, []byte(fmt.Sprint(rank*i%10, ";"))); err != nil {
				t.Fatal(err)
			}
		}
	}
	if p.Idle() {
		t.Error("the port is idle")
	}
	if _, err := p.Poll(0, make([]mpi.Event, 2)); err != nil {
		t.Fatal(err)
	}
	for rank := 1; rank < 3; rank++ {
		if err := p.Join(rank, []byte("last")); err != nil { // Close sends it
			t.Fatal(err)
		}
	}
}

func TestWhatIsJoinedIsNeverTooLongNorTornAndStaysInOrder(t *testing.T) {
	if !mpitest.Under(t, 2) {
		return
	}
	c, p := joining(t)
	defer closePort(t, c, p)
	a, b, d := strings.Repeat("a", 60), strings.Repeat("b", 40), strings.Repeat("d", 100)
	if c.Rank() > 0 {
		if got := messages(t, p, "last"); !slices.Equal(got, []string{a + b, "c", d, "e", "sent", "fg", "last"}) {
			t.Errorf("%q", got)
		}
		return
	}
	send := func(text string) {
		if _, err := p.Send(1, portTag, []byte(text), 0); err != nil {
			t.Fatal(err)
		}
	}
	join := func(texts ...string) {
		for _, text := range texts {
			if err := p.Join(1, []byte(text)); err != nil {
				t.Fatal(err)
			}
		}
	}
	join(a, b, "c", d, "e")
	send("sent")
	join("f", "g")
	send("last")
	if err := p.Join(1, make([]byte, 101)); !errors.Is(err, mpi.ClassCount) {
		t.Errorf("too long: %v", err)
	}
	for _, rank := range []int{-1, 2} {
		if err := p.Join(rank, nil); !errors.Is(err, mpi.ClassRank) {
			t.Errorf("rank %d: %v", rank, err)
		}
	}
}

func TestNothingIsJoinedToAClosedPort(t *testing.T) {
	if !mpitest.Under(t, 2) {
		return
	}
	c, p := joining(t)
	closePort(t, c, p)
	if err := p.Join(0, []byte("late")); err != mpi.ErrPortClosed {
		t.Error(err)
	}
}
