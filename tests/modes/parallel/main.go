//go:build !mpi || cgo

// Command parallel is what the tests start for tasks that call MPI beside the pool: its first argument says what it does.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/mpicomm"
)

var (
	// sums adds up x on every worker, plus the worker's number, by MPI.
	sums = futures.RegisterContext("sums", func(ctx context.Context, x float64) ([3]float64, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return [3]float64{}, err
		}
		m, err := mpicomm.Workers(ctx)
		if err != nil {
			return [3]float64{}, err
		}
		own, all := []float64{x + float64(c.Rank())}, make([]float64, 1)
		if m.Rank() != c.Rank() || m.Size() != c.Size() {
			return [3]float64{}, fmt.Errorf("%v is rank %d of %d to MPI", c, m.Rank(), m.Size())
		}
		err = m.AllReduceF64(sum, all, own)
		return [3]float64{float64(m.Rank()), float64(m.Size()), all[0]}, err
	})
	// parts adds up numbers by MPI, in a communicator of the ranks of each parity, in reverse order, and in a duplicate of that.
	parts = futures.RegisterContext("parts", func(ctx context.Context, _ struct{}) (string, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return "", err
		}
		half, err := c.Split(ctx, c.Rank()%2, -c.Rank())
		if err != nil {
			return "", err
		}
		twin, err := half.Dup(ctx)
		if err != nil {
			return "", err
		}
		said := ""
		for _, one := range []*comm.Comm{half, twin, half} {
			m, err := mpicomm.Of(ctx, one)
			if err != nil {
				return "", err
			}
			all := make([]float64, 1)
			if err := m.AllReduceF64(sum, all, []float64{float64(c.Rank() + 1)}); err != nil {
				return "", err
			}
			said += fmt.Sprintf("%d of %d: %v; ", m.Rank(), m.Size(), all[0])
		}
		none, err := c.Split(ctx, comm.Undefined, 0)
		if err != nil {
			return "", err
		}
		if m, err := mpicomm.Of(ctx, none); err == nil {
			return "", fmt.Errorf("for no communicator it returned %v", m)
		}
		return said, nil
	})
	// stuck waits by MPI for rank 0, which dies instead once the others wait.
	stuck = futures.RegisterContext("stuck", func(ctx context.Context, dir string) (int, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return 0, err
		}
		m, err := mpicomm.Workers(ctx)
		if err != nil {
			return 0, err
		}
		if c.Rank() > 0 {
			return 0, errors.Join(os.WriteFile(filepath.Join(dir, fmt.Sprint(c.Rank())), nil, 0o600), m.BcastF64(0, make([]float64, 1)))
		}
		return 0, dieAfter(c.Size()-1, dir)
	})
	// early waits for the communicator itself, and so for rank 0, which dies instead.
	early = futures.RegisterContext("early", func(ctx context.Context, dir string) (int, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return 0, err
		}
		if c.Rank() == 0 {
			return 0, dieAfter(c.Size()-1, dir)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(c.Rank())), nil, 0o600); err != nil {
			return 0, err
		}
		_, err = mpicomm.Workers(ctx)
		return 0, err
	})
)

// dieAfter ends this process when there are n files in a folder, and a moment later.
func dieAfter(n int, dir string) error {
	for {
		files, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		if len(files) >= n {
			time.Sleep(200 * time.Millisecond)
			return kill(os.Getpid())
		}
	}
}

var (
	sizes = futures.RegisterContext("sizes", func(ctx context.Context, _ struct{}) ([2]int, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return [2]int{}, err
		}
		return [2]int{c.Rank(), c.Size()}, nil
	})
	where = futures.Register("where", func(struct{}) (string, error) { return os.Getwd() })
)

// sum is empi's OpSum: the value is the order of its constants.
const sum = 0

func main() { futures.Main(run) }

func run(ctx context.Context) error {
	switch act := os.Args[1]; act {
	case "sums":
		return inTurnAndTogether(ctx)
	case "gangs":
		return gangs(ctx)
	case "sizes":
		return each(ctx, sizes)
	case "where":
		return each(ctx, where, futures.WithMPIInfo(map[string]string{"wdir": os.Args[2]}))
	case "blocks":
		return blocks(ctx)
	case "survivors":
		return survivors(ctx)
	case "early":
		ex, err := futures.NewMPIPoolExecutor(futures.WithLiveness(3 * time.Second))
		if err != nil {
			return err
		}
		defer ex.Close()
		f, err := futures.SubmitEach(ex, early, os.Args[2])
		if err == nil {
			_, err = f.Result(ctx)
		}
		return err
	case "stuck":
		ex, err := futures.NewMPIPoolExecutor(futures.WithLiveness(3 * time.Second))
		if err != nil {
			return err
		}
		defer ex.Close()
		f, err := futures.SubmitEach(ex, stuck, os.Args[2])
		if err == nil {
			_, err = f.Result(ctx)
		}
		g, again := futures.SubmitEach(ex, sums, 1)
		if again == nil {
			var left [][3]float64
			left, again = g.Result(ctx)
			fmt.Printf("then: %d %v\n", len(left), again)
		}
		return fmt.Errorf("the call came back: %w", errors.Join(err, again))
	default:
		return fmt.Errorf("unknown: %s", act)
	}
}

// inTurnAndTogether runs many parallel tasks in two executors at once.
func inTurnAndTogether(ctx context.Context) error {
	var all [2][]*futures.Future[[][3]float64]
	for i := range all {
		ex, err := futures.NewMPIPoolExecutor(futures.WithMaxWorkers(2))
		if err != nil {
			return err
		}
		defer ex.Close()
		for j := range 10 {
			f, err := futures.SubmitEach(ex, sums, float64(10*i+j))
			if err != nil {
				return err
			}
			all[i] = append(all[i], f)
		}
	}
	for i := range all {
		for j, f := range all[i] {
			got, err := f.Result(ctx)
			if err != nil {
				return err
			}
			x := float64(10*i + j)
			for w, g := range got {
				if want := ([3]float64{float64(w), 2, 2*x + 1}); g != want {
					return fmt.Errorf("worker %d of executor %d: %v, want %v", w, i, g, want)
				}
			}
		}
	}
	fmt.Println("all sums are right")
	return nil
}

// gangs runs gangs of several sizes side by side, each with a communicator of its own.
func gangs(ctx context.Context) error {
	ex, err := futures.NewMPIPoolExecutor()
	if err != nil {
		return err
	}
	defer ex.Close()
	var all []*futures.Future[[][3]float64]
	for i := range 20 {
		f, err := futures.SubmitEach(ex, sums, float64(i), futures.OnWorkers(1+i%4))
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	for i, f := range all {
		got, err := f.Result(ctx)
		if err != nil {
			return err
		}
		k := float64(1 + i%4)
		for rank, g := range got {
			if want := ([3]float64{float64(rank), k, k*float64(i) + k*(k-1)/2}); g != want {
				return fmt.Errorf("rank %d of gang %d: %v, want %v", rank, i, g, want)
			}
		}
	}
	fmt.Println("all gangs are right")
	f, err := futures.SubmitEach(ex, parts, struct{}{}, futures.OnWorkers(4))
	if err != nil {
		return err
	}
	said, err := f.Result(ctx)
	if err != nil {
		return err
	}
	for rank, s := range said {
		want := strings.Repeat(fmt.Sprintf("%d of 2: %d; ", 1-rank/2, 4+rank%2*2), 3)
		if s != want {
			return fmt.Errorf("rank %d says %q, want %q", rank, s, want)
		}
	}
	fmt.Println("all parts are right")
	return nil
}

// survivors has tasks call MPI on all workers, and then on those that are left, in two executors.
func survivors(ctx context.Context) error {
	for _, lose := range []bool{true, false} {
		if err := sumsAndLoss(ctx, lose); err != nil {
			return err
		}
	}
	return nil
}

func sumsAndLoss(ctx context.Context, first bool) error {
	ex, err := futures.NewMPIPoolExecutor()
	if err != nil {
		return err
	}
	defer ex.Close()
	for _, lose := range []bool{first, false, false} {
		f, err := futures.SubmitEach(ex, sums, 1)
		if err != nil {
			return err
		}
		all, err := f.Result(ctx)
		fmt.Println("sums:", all, err)
		if lose {
			if err := kill(ex.Stats().Workers[1].Pid); err != nil {
				return err
			}
			for n := 3; err == nil && n == 3; {
				n, err = ex.NumWorkers(ctx)
			}
		}
	}
	return nil
}

// each prints what a function returns on every worker.
func each[R any](ctx context.Context, fn futures.Func[struct{}, R], opts ...futures.Option) error {
	ex, err := futures.NewMPIPoolExecutor(append(opts, futures.WithMaxWorkers(2))...)
	if err != nil {
		return err
	}
	defer ex.Close()
	n, err := ex.NumWorkers(ctx)
	if err != nil {
		return err
	}
	f, err := futures.SubmitEach(ex, fn, struct{}{})
	if err != nil {
		return err
	}
	all, err := f.Result(ctx)
	fmt.Println(n, "workers:", all)
	return err
}

// blocks enters communicators in a program whose ranks serve all the time.
func blocks(ctx context.Context) error {
	for _, c := range []futures.Communicator{nil, one{}} {
		err := futures.MPICommExecutor(ctx, c, 0, func(ctx context.Context, ex futures.Executor) error {
			n, err := ex.NumWorkers(ctx)
			fmt.Println("block of", n, ex.Backend())
			return err
		})
		if err != nil {
			return err
		}
	}
	fmt.Println("not shared:", futures.MPICommExecutor(ctx, nil, 1, func(context.Context, futures.Executor) error { return nil }))
	return nil
}

// one is a communicator that has nothing to do with MPI.
type one struct{}

func (one) Rank() int { return 0 }
func (one) Size() int { return 1 }
