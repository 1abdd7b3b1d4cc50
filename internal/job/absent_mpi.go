//go:build mpi && linux && (amd64 || arm64)

package job

import (
	"context"
	"fmt"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
)

// This file finds out which ranks will not come to a meeting, in a program that runs on every rank. A rank that is at its end answers
// when it is asked. One that computes does not: it may still come.

// How long a meeting takes before ranks are asked, and how often a rank that has asked looks for answers.
const (
	askAfter  = time.Second
	askedLook = 50 * time.Millisecond
)

// absent calls gone for one of the members of a meeting, the first whose process is found to have ended, or for one of the ranks that is
// at its end, and perhaps for others. All are ranks of the world. It returns at once, and what it has begun ends when stop is closed.
func (f *farewell) absent(stop <-chan struct{}, members, ranks []int, gone func(why string, ended bool)) {
	f.roster.AwaitEnds(stop, members, func(rank int) { gone(fmt.Sprintf("the process of rank %d has ended", rank), true) })
	go func() {
		select {
		case <-stop:
			return
		case <-time.After(askAfter):
		}
		f.say(ranks, tagAsk)
		for {
			for _, rank := range ranks {
				if f.isAtEnd(rank) {
					gone(fmt.Sprintf("rank %d has come to the end of its program", rank), false)
					return
				}
			}
			m, err := f.comm.Improbe(mpi.AnySource, tagGone)
			if err != nil {
				return
			}
			if m != nil {
				if st, err := m.Recv(context.Background(), make([]byte, max(m.Len, 1))); err == nil {
					f.noteEnd(st.Source)
				}
				continue
			}
			select {
			case <-stop:
				return
			case <-time.After(askedLook):
			}
		}
	}()
}

// say sends a message that nobody has to wait for: it is so short that it leaves at once. A rank that it does not leave for, because it
// is lost, keeps the others from nothing.
func (f *farewell) say(ranks []int, tag int) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveLimit)
	defer cancel()
	var said []func(context.Context)
	for _, rank := range ranks {
		said = append(said, f.tell(rank, tag, false))
	}
	for _, finish := range said {
		finish(ctx)
	}
}

// noteEnd remembers that a rank is at its end, where it stays.
func (f *farewell) noteEnd(rank int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.atEnd[rank] = true
}

func (f *farewell) isAtEnd(rank int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.atEnd[rank]
}
