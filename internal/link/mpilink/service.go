package mpilink

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
)

// Service is a program whose ranks serve masters that were started apart.
type Service struct {
	Options

	Place Place

	// Bind is the host or address at which masters call, unless the place has one: empty for this host alone, 0.0.0.0 for all that
	// this host has.
	Bind string

	// Keep has the service serve one master after another. Without it the service ends with the first one.
	Keep bool

	// World is a communicator of all ranks that nobody else uses.
	World *mpi.Comm

	// Said is called in rank 0 with what users may want to read.
	Said func(text string)
}

// What rank 0 tells the others, one byte.
const (
	serviceTag    = 3
	serviceAccept = 'a'
	serviceEnd    = 'e'
)

// Limits of a server: for a master to get ready once it is its turn, which may include its MPI_Init; for MPI_Comm_accept, once
// the master is about to connect; for the other ranks to look whether there is news.
const (
	readyLimit  = 30 * time.Second
	acceptLimit = 30 * time.Second
	newsTurn    = 20 * time.Millisecond
)

// maxCallers is how many masters may wait at once.
const maxCallers = 64

// ServeMasters runs workers, see Serve, on every rank for the masters that connect, and leaves word for them at the place. Every rank
// calls it. It blocks until its last master has closed its group, or until ctx ends in rank 0 while no master is being
// served, which are nil; until a master is lost, or MPI fails. After an error MPI must be aborted. While it waits it needs no
// processor time to speak of.
func ServeMasters(ctx context.Context, s Service, serve func(link.Endpoint) error) error {
	if s.World.Rank() > 0 {
		return s.follow(serve)
	}
	d, err := s.open(ctx)
	if err != nil {
		return err
	}
	defer d.close()
	s.say(fmt.Sprintf("%d workers wait for a master at %v", s.World.Size(), s.Place))
	for {
		caller, err := d.next(ctx)
		if err != nil { // ctx
			return s.tell(serviceEnd)
		}
		connected, err := d.serve(caller, serve)
		if err != nil {
			return err
		}
		if connected && !s.Keep {
			return s.tell(serviceEnd)
		}
	}
}

// tell sends the other ranks one byte.
func (s *Service) tell(what byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), leaving)
	defer cancel()
	for rank := 1; rank < s.World.Size(); rank++ {
		if err := s.World.Send(ctx, []byte{what}, rank, serviceTag); err != nil {
			return fmt.Errorf("mpilink: rank %d of the server does not answer: %w", rank, err)
		}
	}
	return nil
}

// follow does what rank 0 says.
func (s *Service) follow(serve func(link.Endpoint) error) error {
	for {
		for {
			_, here, err := s.World.Iprobe(0, serviceTag)
			if err != nil {
				return err
			}
			if here {
				break
			}
			time.Sleep(newsTurn)
		}
		what := make([]byte, 1)
		if _, err := s.World.Recv(context.Background(), what, 0, serviceTag); err != nil {
			return err
		}
		if what[0] == serviceEnd {
			return nil
		}
		comm, err := s.accept("", nil)
		if err != nil {
			return err
		}
		if err := s.serveOne(comm, nil, serve); err != nil {
			return err
		}
	}
}

// meeting is what a call of MPI has come to that nothing can interrupt.
type meeting struct {
	comm *mpi.Comm
	err  error
}

// meet has two programs that were started apart meet. A caller that gives up leaves the call behind.
func meet(call func() (*mpi.Comm, error)) <-chan meeting {
	met := make(chan meeting, 1)
	go func() {
		comm, err := call()
		met <- meeting{comm, err}
	}()
	return met
}

// accept meets the master. MPI_Comm_accept cannot be interrupted: when the master has gone meanwhile, gone says so.
func (s *Service) accept(port string, gone <-chan struct{}) (*mpi.Comm, error) {
	accepted := meet(func() (*mpi.Comm, error) { return s.World.Accept(port) })
	limit := time.NewTimer(acceptLimit)
	defer limit.Stop()
	select {
	case o := <-accepted:
		return o.comm, o.err
	case <-limit.C:
		markLost(nil)
		return nil, errors.New("mpilink: MPI_Comm_accept does not end although the master is about to connect: the name server may have " +
			"ended (ompi-server, prte), or a firewall may be between the two programs")
	case <-gone:
		markLost(nil)
		return nil, errors.New("mpilink: the master has gone while it connected")
	}
}

// serveOne serves one master to its end. gone, which may be nil, is closed when that is lost.
func (s *Service) serveOne(comm *mpi.Comm, gone <-chan struct{}, serve func(link.Endpoint) error) error {
	o := s.Options
	o.gone = gone
	if err := Serve(comm, o, serve); err != nil {
		return err
	}
	if mpi.Lost() {
		return errors.New("mpilink: another rank of this server was lost")
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaving)
	defer cancel()
	return Disconnect(ctx, comm)
}

// failWhen fails the rank when its master is known to be gone.
func (r *rank) failWhen(gone <-chan struct{}, stop <-chan struct{}) {
	select {
	case <-stop:
	case <-gone:
		r.rankMu.Lock()
		defer r.rankMu.Unlock()
		if !r.leave {
			r.fail(errors.New("the master is gone: it was killed, it crashed or its host cannot be reached any more"))
		}
	}
}
