package job

import (
	"context"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/mpilink"
)

// The environment variables of MPI.
const (
	EnvLibrary = "RANKPOOL_MPI"         // the library to load: a path, or openmpi, mpich, abi
	EnvThreads = "RANKPOOL_MPI_THREADS" // the thread level to ask for: multiple unless set
	EnvStage   = "RANKPOOL_MPI_STAGE"   // 1: large messages go through memory that is not Go's
)

// EnvServe is set by rankpool serve: serve masters there, instead of running the program.
const EnvServe = "RANKPOOL_SERVE"

// Job is the MPI job of this process. There are two: with MPI in the program, and without.
type Job interface {
	// Built tells whether MPI is in this program.
	Built() bool

	// Launched tells whether this process is the master of a job, so that ranks are its workers unless somebody chooses
	// otherwise.
	Launched() bool

	// WillServe tells whether this process is a rank that is to serve. It is asked before the program has begun, and looks at the
	// environment alone.
	WillServe() bool

	// Loading is WillServe for what must not be mistaken. It starts MPI in a process that looks like a master alone: a library may
	// not say in the environment that it was spawned.
	Loading() bool

	// Leads tells whether this process is the master of a world with other ranks.
	Leads() bool

	// Serves tells whether this process is a rank that serves a master until its end.
	Serves() bool

	// Abort ends every process of the job, if this one is part of one.
	Abort(status int)

	// Run runs a program that is no local worker: as the master, or as a rank that serves it. It returns the exit status.
	Run(p Program) (status int)

	// ServeMasters serves masters that were started apart instead of running the program.
	ServeMasters(p Program, s Server) error

	// Ranks makes the group of an executor whose workers are ranks: those of the world, whatever their number, or spawned ones.
	// Shared tells that other executors have used them.
	Ranks(r Request) (g Group, world, shared bool, err error)

	// Spawnless says why a master without ranks cannot spawn any, and how to start the program instead, as far as that is known without
	// trying. Both are empty otherwise, and before MPI is started.
	Spawnless() (why, instead string)

	// Connect makes the group of an executor whose workers serve at a place.
	Connect(r Request, place mpilink.Place) (Group, error)

	// Comm looks at a communicator of empi; nil is the world, of this process alone where there is no launcher.
	Comm(c any) (Comm, error)
}

// Program is what a process of the job runs.
type Program struct {
	Everywhere   bool       // on every rank
	Master       func() int // where it runs; it returns the exit status
	Service      func() dispatch.Service
	LeaveSignals func() // to the master
}

// Request is what an executor asks of ranks.
type Request struct {
	Backoff, Liveness time.Duration
	Workers           int           // 0: as many as there is room for
	Slots             int           // of each worker's process; 0 and 1: it is a worker
	Limit             time.Duration // of the wait for the ranks of a communicator; 0: as long as they live

	Command string   // to spawn; "" is this program
	Args    []string // nil: those of this process
	Info    map[string]string
}

// Group is a group of ranks.
type Group interface {
	link.Group
	link.Helper
}

// Server is what a process is told that is to serve masters which are started apart.
type Server struct {
	Place mpilink.Place
	Bind  string
	Keep  bool // one master after another
}

// Comm is a communicator whose ranks serve one of them.
type Comm interface {
	Rank() int
	Size() int

	// World tells whether these are all ranks of the job.
	World() bool

	// Enter refuses a communicator whose other ranks serve this one already, and would never answer. It is left when the group has
	// let them go, or LetGo has, however much later than its call has returned.
	Enter() error

	// Group makes the group of the other ranks.
	Group(r Request) (Group, error)

	// LetGo meets the other ranks and sends them on, for a root that has no executor for them.
	LetGo(ctx context.Context) error

	// Serve runs workers for root until it lets this rank go.
	Serve(ctx context.Context, p Program, root int) error
}
