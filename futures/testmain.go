package futures

import (
	"context"

	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/registry"
)

// TestMain lets tests of a program use executors with processes, which start the test binary again. It takes the place of m.Run:
//
//	func TestMain(m *testing.M) { futures.TestMain(m) }
//
// When the tests are over, executors that are still open finish their queues and are closed. A worker that ends with a status other than 0
// after its work fails the tests, whether or not they look at the error of Close. The race detector's status after a data race is 66. A
// state that could not be closed fails the tests too, unless they have looked at the error of Close, Shutdown, [With] or pool.Pool.Join, by
// its Error method, [errors.Is] or [errors.As].
//
// Signals do to a test what they do without rankpool. When all executors are closed no goroutine of rankpool is left, so goleak.VerifyNone
// passes. Where ranks are the workers, some goroutines live as long as the job: the one that has MPI's thread, the one that receives from
// the ranks, those that watch them, and the one that tells ranks on other hosts that the master is there. Give their names to
// goleak.IgnoreAnyFunction:
//
//	github.com/rankpool/rankpool/internal/mpi.holdThread
//	github.com/rankpool/rankpool/internal/link/mpilink.(*Hub).run
//	github.com/rankpool/rankpool/internal/link/mpilink.(*Hub).beat
//	github.com/rankpool/rankpool/internal/link/mpilink.process.awaitEnd
//	github.com/rankpool/rankpool/internal/link/mpilink.process.awaitEnd.func1
func TestMain(m interface{ Run() int }) {
	p := program(func(context.Context) error {
		if status := m.Run(); status != 0 {
			return life.TestsFailed(status)
		}
		return nil
	}, nil)
	p.Test = true
	mpi.Exit(p.Main(registry.Caller(0)))
}
