package futures

import (
	"errors"
	"fmt"
	"os"

	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/link/proc"
	"github.com/rankpool/rankpool/internal/mpi"
)

// WithService makes an [MPIPoolExecutor] use workers that were started separately: all ranks of a program that `rankpool serve` runs. The
// program must be the same. The argument says where they are, as the option --service of that command does:
//
//	NAME           a name that the server has published; "" is "rankpool"
//	file:PATH      a file that the server has written
//	tcp:HOST:PORT  an address at which the server listens; the defaults are 127.0.0.1 and 31415
//
// Master and server prove to each other that they know a secret, which is never sent. With file:PATH it is in that file. For a name and an
// address it is in the file that RANKPOOL_SERVICE_SECRET names, or in rankpool/secret in the user's folder for settings (os.UserConfigDir),
// which the first server makes. A file that others may read, or that belongs to another user, is refused.
//
// Without the option RANKPOOL_SERVICE decides, if it is set. The executor connects when it starts. It waits 10 s for a server that is not
// there yet, and for its turn if the server serves another master, but no longer than [WithStartTimeout]. When it is closed it lets the
// server go. If the server ends earlier its tasks fail with [ErrBroken].
//
// The server sets the number of workers; [WithMaxWorkers] has no effect. [WithDir], [WithEnv] and the initializer apply as in the program's
// own workers, but what they set stays for the next master. [WithMPIInfo] is for MPI_Comm_connect. The ranks of the program's own world
// take precedence over a service, and so do RANKPOOL_BACKEND=processes and threads. A service needs Open MPI. A program that was started
// without an mpiexec can use it too. One that srun has started cannot, nor can one that is on another host than its mpiexec.
func WithService(service string) Option {
	return option(func(c *config) error {
		p, err := mpilink.ParsePlace(service)
		if err != nil {
			return fmt.Errorf("WithService: %w", err)
		}
		c.service = &p
		return nil
	})
}

// refuseService complains about what contradicts WithService.
func (e *executor) refuseService() error {
	if e.cfg.service == nil {
		return nil
	}
	var problems []error
	if e.class != mpiClass || e.comm != nil {
		problems = append(problems, errors.New("WithService: only an executor made by NewMPIPoolExecutor connects to a service"))
	}
	if e.cfg.executable != "" || e.cfg.hasArgs {
		problems = append(problems, errors.New("WithService: the workers have been started already: leave WithExecutable and WithArgs out, "+
			"and give them to the server's mpiexec"))
	}
	return errors.Join(problems...)
}

// useService returns the service that the workers of this executor are, or nil when they are something else.
func (e *executor) useService(env environment) (*mpilink.Place, error) {
	if e.class != mpiClass || e.comm != nil || env.backend == backendProcesses || env.backend == backendThreads {
		return nil, nil
	}
	place := e.cfg.service
	if place == nil && !life.OwnRanks() { // what the environment says is not meant for executors within tasks
		place = env.service
	}
	if place == nil || job.This.Leads() {
		return nil, nil
	}
	if err := mpi.Connects(); err != nil {
		return nil, fmt.Errorf("futures: the service %v cannot be used: %w", place, err)
	}
	if proc.IsWorker() {
		return nil, errors.New("futures: WithService: this process is a worker; an executor in a task uses processes or threads")
	}
	return place, nil
}

// readService reads RANKPOOL_SERVICE, which counts only when it is not empty.
func readService() (*mpilink.Place, error) {
	v := os.Getenv(envService)
	if v == "" {
		return nil, nil
	}
	p, err := mpilink.ParsePlace(v)
	if err != nil {
		return nil, fmt.Errorf("futures: %s: %w", envService, err)
	}
	return &p, nil
}

// serveAsked tells whether this process is such a server. Programs that its tasks start are not.
func serveAsked() (s job.Server, asked bool, err error) {
	v, asked := os.LookupEnv(job.EnvServe)
	if !asked {
		return s, false, nil
	}
	s.Keep, s.Bind = os.Getenv(envServeKeep) == "1", os.Getenv(envServeBind)
	if err := errors.Join(os.Unsetenv(job.EnvServe), os.Unsetenv(envServeKeep), os.Unsetenv(envServeBind)); err != nil {
		return s, true, err
	}
	if s.Place, err = mpilink.ParsePlace(v); err != nil {
		err = fmt.Errorf("%s: %w", job.EnvServe, err)
	}
	return s, true, err
}
