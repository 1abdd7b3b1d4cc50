//go:build mpi && linux && (amd64 || arm64)

package job

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/mpi"
)

// onEveryRank runs a program that runs on all ranks, as the master of its own executors.
func onEveryRank(p Program) int {
	end, err := newFarewell()
	if err != nil {
		fmt.Fprintln(os.Stderr, "rankpool:", err)
		time.Sleep(PrintPause)
		here.Abort(ExitFailure)
		return ExitFailure
	}
	status := p.Master()
	printNotes()
	if mpi.Ended() { // by the program itself
		return status
	}
	if status != 0 {
		end.fail(status)
		return status
	}
	return end.leave()
}

// farewell is the end of a program that runs on all ranks. Nobody enters MPI_Finalize before all are known to, and of those that
// fail one aborts the job: Open MPI's mpiexec hangs or crashes when a job is aborted while one of its ranks is in MPI_Finalize,
// and when two abort it at once. Only ranks that have come to their end take part, so a rank may compute for as long as it likes.
type farewell struct {
	comm   *mpi.Comm
	roster *mpilink.Roster // the world's processes

	mu    sync.Mutex
	atEnd map[int]bool // ranks that have answered that they are at their end
}

// The messages of an end, by their tags.
const (
	tagDone   = 1 // to rank 0: this rank has come to its end; lostSome, if it knows of lost ranks
	tagLeave  = 2 // from rank 0: all have; lostSome, if MPI cannot be left in good order
	tagFailed = 3 // from a rank that fails, to all others
	tagAsk    = 4 // from a rank that waits for this one: is it at its end? A rank that is not does not see the question
	tagGone   = 5 // the answer: yes
)

const lostSome = 1

// newFarewell starts MPI and prepares the end. Collective.
func newFarewell() (*farewell, error) {
	_, limit, err := startTogether()
	if err != nil {
		return nil, err
	}
	world, err := mpi.World()
	if err != nil {
		return nil, err
	}
	f := &farewell{atEnd: map[int]bool{}}
	if f.comm, err = dup(world, limit); err != nil {
		return nil, err
	}
	var roster *mpilink.Roster
	err = meet(world, limit, "MPI_Allreduce", func() (err error) {
		roster, err = mpilink.NewRoster(f.comm)
		return err
	})
	if err != nil {
		return nil, err
	}
	f.roster = roster
	here.Lock()
	here.farewell = f
	here.Unlock()
	return f, nil
}

// tell sends a message, and says by finish when it has left, or ctx has ended.
func (f *farewell) tell(rank, tag int, lost bool) (finish func(ctx context.Context)) {
	b := []byte{0}
	if lost {
		b[0] = lostSome
	}
	q, err := f.comm.Isend(b, rank, tag)
	if err != nil { // of a rank that is lost, or all hang: that shows in another way
		return func(context.Context) {}
	}
	return func(ctx context.Context) { _, _ = q.Wait(ctx) }
}

// fail ends the job with the status, unless another rank does. It returns only if that has no effect.
func (f *farewell) fail(status int) {
	ctx, cancel := context.WithTimeout(context.Background(), PrintPause)
	defer cancel()
	if _, found, err := f.comm.Iprobe(mpi.AnySource, tagFailed); !found && err == nil {
		for rank := range f.comm.Size() {
			if rank != f.comm.Rank() {
				f.tell(rank, tagFailed, false)
			}
		}
		if !f.others(ctx) {
			_ = mpi.Abort(status)
			return
		}
	}
	time.Sleep(leaveLimit) // another one aborts the job
	_ = mpi.Abort(status)
}

// others tells whether a rank before this one says, until ctx ends, that it fails.
func (f *farewell) others(ctx context.Context) bool {
	for {
		_, st, err := f.comm.RecvAny(ctx, mpi.AnySource, tagFailed)
		if err != nil {
			return false
		}
		if st.Source < f.comm.Rank() {
			return true
		}
	}
}

// leave waits until every rank has come to its end, without a limit, and ends MPI. It returns the exit status.
func (f *farewell) leave() int {
	lost, err := f.agree()
	ctx, cancel := context.WithTimeout(context.Background(), followLimit)
	defer cancel()
	switch {
	case errors.Is(err, errOtherFails):
		time.Sleep(leaveLimit)
		_ = mpi.Abort(ExitFailure)
		return ExitFailure
	case err != nil:
	case lost:
		mpi.MarkLost()
		if f.comm.Rank() > 0 {
			return 0
		}
		return leaveWithoutMPI(0)
	default:
		err = mpi.Finalize(ctx)
	}
	if err == nil {
		return 0
	}
	fmt.Fprintf(os.Stderr, "rankpool: rank %d: the job is aborted: %v\n", f.comm.Rank(), err)
	time.Sleep(PrintPause)
	_ = mpi.Abort(ExitFailure)
	return ExitFailure
}

var errOtherFails = errors.New("another rank fails")

// agree waits until all ranks have come to their end but for those that are lost, and tells whether there are such.
func (f *farewell) agree() (lost bool, err error) {
	stop, ended := make(chan struct{}), make(chan int, f.comm.Size())
	defer close(stop)
	f.roster.AwaitEnds(stop, nil, func(rank int) {
		time.Sleep(PrintPause) // its last message may be on the way
		ended <- rank
	})
	if f.comm.Rank() > 0 {
		return f.await(ended, f.tell(0, tagDone, mpi.Lost()))
	}
	done, gone := map[int]bool{0: true}, map[int]bool{}
	lost = mpi.Lost()
	for len(done) < f.comm.Size() {
		b, st, err := f.next(ended)
		switch {
		case err != nil:
			return false, err
		case b == nil: // its process has ended
			gone[st.Source], lost = true, true
		case b[0] == lostSome:
			lost = true
		}
		done[st.Source] = true
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveLimit)
	defer cancel()
	var told []func(context.Context)
	for rank := 1; rank < f.comm.Size(); rank++ {
		if !gone[rank] {
			told = append(told, f.tell(rank, tagLeave, lost))
		}
	}
	for _, finish := range told {
		finish(ctx)
	}
	return lost, nil
}

// await waits for rank 0 to say that all have come to their end.
func (f *farewell) await(ended chan int, finish func(context.Context)) (lost bool, err error) {
	for {
		b, st, err := f.next(ended)
		switch {
		case err != nil:
			return false, err
		case b != nil:
			finish(context.Background())
			return b[0] == lostSome, nil
		case st.Source == 0:
			return false, errors.New("rank 0 has ended without a goodbye: it was killed, or it crashed")
		}
	}
}

// next waits for a message, or for the end of a process whose last message has been read: then there is none, but its rank.
func (f *farewell) next(ended chan int) (b []byte, st mpi.Status, err error) {
	from := mpi.AnySource
	for nap := shortestLook; ; nap = min(2*nap, longestLook) {
		m, err := f.comm.Improbe(from, mpi.AnyTag)
		switch {
		case err != nil:
			return nil, mpi.Status{}, err
		case m == nil && from != mpi.AnySource:
			return nil, mpi.Status{Source: from}, nil
		case m == nil:
			select {
			case from = <-ended:
			case <-time.After(nap):
			}
			continue
		}
		if from != mpi.AnySource { // to be looked at again
			ended <- from
		}
		b := make([]byte, max(m.Len, 1))
		st, err := m.Recv(context.Background(), b)
		switch {
		case err != nil:
		case st.Tag == tagFailed:
			err = errOtherFails
		case st.Tag == tagAsk:
			f.say([]int{st.Source}, tagGone)
			continue
		case st.Tag == tagGone: // nobody here waits for that rank any more
			continue
		}
		return b, st, err
	}
}

// How often a rank that waits for the end of the others polls.
const shortestLook, longestLook = 50 * time.Microsecond, 5 * time.Millisecond
