package futures

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/link/mpilink"
)

// Option is an option of an executor. The constructors check all options at once and return every problem.
type Option interface {
	apply(*config) error
}

// config is what Options set.
type config struct {
	workers     int // 0: not set
	slots       int // 0: not set
	executable  string
	args        []string
	hasArgs     bool
	dir         string
	env         map[string]string
	globals     []globalOption // until they are encoded
	initializer *initializer
	mpiInfo     map[string]string
	service     *mpilink.Place
	outOfBand   *bool
	threshold   int // 0: not set
	backoff     time.Duration
	start       time.Duration
	liveness    time.Duration
	stop        time.Duration
	log         *slog.Logger
	trace       string // where the recording is; "": the environment decides
	noTrace     bool
	hooks       []Hook
	maxTasks    int // 0: not set
	output      outputChoice
	task        taskConfig
}

type option func(*config) error

func (o option) apply(c *config) error { return o(c) }

// newConfig applies the options and returns their complaints.
func newConfig(opts []Option) (c config, problems []error) {
	for _, o := range opts {
		if o == nil {
			continue // an unset option is the default
		}
		if err := o.apply(&c); err != nil {
			problems = append(problems, err)
		}
	}
	return c, problems
}

// WithMaxWorkers sets the maximum number of workers. Without it RANKPOOL_MAX_WORKERS decides. Otherwise there is one per core that Go uses:
// GOMAXPROCS, which follows the quota of a container, and no more than the process may run on. In a task there is one process, whatever the
// variable says, because otherwise every worker would start as many. A thread pool respects only the option. Under a launcher that has started
// several ranks, all ranks but the master are workers, whatever the option says.
func WithMaxWorkers(n int) Option {
	return option(func(c *config) error {
		if n < 1 {
			return fmt.Errorf("WithMaxWorkers(%d): there must be at least 1 worker", n)
		}
		c.workers = n
		return nil
	})
}

// WithMaxTasksPerChild replaces a worker after it has run n tasks, to release the resources that it has accumulated. A task is a submitted
// call, or one chunk of a [Map]. No task is lost and the order does not change. A new process runs the initializer again, a goroutine does
// not. The ranks of an MPI job cannot be replaced: there the executor refuses to start.
func WithMaxTasksPerChild(n int) Option {
	return option(func(c *config) error {
		if n < 1 {
			return fmt.Errorf("WithMaxTasksPerChild(%d): a worker must run at least 1 task; leave the option out to keep workers", n)
		}
		c.maxTasks = n
		return nil
	})
}

// WithExecutable sets the program that worker processes run; the default is the running one. It must register the same functions and call
// [Main]. A program that was built from other source is refused with a [*MismatchError].
func WithExecutable(path string) Option {
	return option(func(c *config) error {
		if path == "" {
			return errors.New("WithExecutable: the path is empty; leave the option out to run this program")
		}
		c.executable = path
		return nil
	})
}

// WithArgs sets the arguments of worker processes, without the program's name; the default is this program's own, so
// that flags parsed before [Main] read the same.
func WithArgs(args ...string) Option {
	return option(func(c *config) error {
		c.args, c.hasArgs = slices.Clone(args), true
		return nil
	})
}

// WithDir sets the working directory of the workers, before their environment, the initializer and any task. Goroutines cannot have a
// working directory of their own: if they are the workers, the executor refuses to start.
func WithDir(dir string) Option {
	return option(func(c *config) error {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return fmt.Errorf("WithDir(%q): %w", dir, err)
		}
		if dir == "" {
			return errors.New("WithDir: the directory is empty")
		}
		if st, err := os.Stat(abs); err != nil {
			return fmt.Errorf("WithDir: %w", err)
		} else if !st.IsDir() {
			return fmt.Errorf("WithDir: %s is not a directory", abs)
		}
		c.dir = abs
		return nil
	})
}

// WithEnv adds variables to the environment of the workers, before the initializer and any task. The values arrive unchanged, whereas a
// GOMEMLIMIT of the program's own environment is divided among local workers. Goroutines cannot have an environment of their own: if they
// are the workers, the executor refuses to start.
func WithEnv(env map[string]string) Option {
	return option(func(c *config) error {
		for name := range env {
			if name == "" || strings.ContainsAny(name, "=\x00") {
				return fmt.Errorf("WithEnv: %q is not the name of a variable", name)
			}
		}
		c.env = maps.Clone(env)
		return nil
	})
}

// WithMPIInfo sets the info that MPI_Comm_spawn gets, unchanged: the MPI library defines keys like "host", "hostfile" or "wdir". It
// replaces the default, which lets the library start fewer workers than asked for. With it, spawning is always tried under `mpiexec -n 1`,
// and the pool is broken where that is impossible. Otherwise, where nothing is spawned, it has no effect.
func WithMPIInfo(info map[string]string) Option {
	return option(func(c *config) error {
		for key, value := range info {
			if key == "" || strings.Contains(key+value, "\x00") {
				return fmt.Errorf("WithMPIInfo: %q=%q is not an entry of an MPI_Info", key, value)
			}
		}
		c.mpiInfo = maps.Clone(info)
		return nil
	})
}

// WithOutOfBand selects whether large slices travel beside the message, uncopied (the default), or are copied into it. It overrides
// RANKPOOL_USE_PKL5 and applies to both directions. Results do not depend on it.
func WithOutOfBand(on bool) Option {
	return option(func(c *config) error {
		c.outOfBand = &on
		return nil
	})
}

// WithOutOfBandThreshold sets the size in bytes from which a slice travels beside the message. The default is 256 KiB; 0 means every slice.
func WithOutOfBandThreshold(bytes int) Option {
	return option(func(c *config) error {
		if bytes < 0 {
			return fmt.Errorf("WithOutOfBandThreshold(%d): the size must not be below 0", bytes)
		}
		c.threshold = max(bytes, allOutOfBand)
		return nil
	})
}

// WithBackoff limits how long a worker or master that polls sleeps between polls; the default is 1 ms. With 0 it never sleeps, and takes a
// core on each side while the executor is open. It overrides RANKPOOL_BACKOFF. Local processes and goroutines are woken and never poll: for
// them it has no effect.
func WithBackoff(d time.Duration) Option {
	return option(func(c *config) error {
		if d < 0 {
			return fmt.Errorf("WithBackoff(%v): the time must not be below zero", d)
		}
		c.backoff = max(d, mpilink.NoBackoff)
		return nil
	})
}

// allOutOfBand is the threshold with which every slice travels beside the message. An empty one needs no place there.
const allOutOfBand = 1

// WithStartTimeout limits how long a worker may take until it is ready, its initializer included; the default is 30 s. The other ranks of
// an [MPICommExecutor] are waited for without a limit, unless this option sets one. Globals and the argument of the initializer extend the
// limit by a second for each 16 MiB. While their bytes still move to the worker the limit starts again, but only for the time in which all
// workers could have received them at that rate.
func WithStartTimeout(d time.Duration) Option {
	return positive("WithStartTimeout", d, func(c *config) { c.start = d })
}

// WithLiveness limits how long a worker with work may be silent before it is taken for lost; the default is 60 s. A worker answers even
// while its task computes, so the limit need not be longer than the tasks.
func WithLiveness(d time.Duration) Option {
	return positive("WithLiveness", d, func(c *config) { c.liveness = d })
}

// WithStopTimeout limits how long workers may take to leave after the last task; the default is 10 s. The limit covers all that they do
// then: finishing what tasks have left to executors of their own, and closing their states. Anything that has not ended by then is
// abandoned, and workers that are still there a second later are killed.
func WithStopTimeout(d time.Duration) Option {
	return positive("WithStopTimeout", d, func(c *config) { c.stop = d })
}

func positive(name string, d time.Duration, set func(*config)) Option {
	return option(func(c *config) error {
		if d <= 0 {
			return fmt.Errorf("%s(%v): the time must be above zero", name, d)
		}
		set(c)
		return nil
	})
}

// WithLogger sets where the executor reports. Workers that are lost, replaced, silent or do not start are warnings. A pool that breaks is
// an error. A worker that answers again is at level info, and other events of workers at level debug. Without the option, or with nil,
// records go where [SetLogger] says: warnings and errors to standard error, unless RANKPOOL_LOG says otherwise.
//
// Worker, host, pid and attempt are attributes. The first start of a worker is attempt 1, and its replacement is attempt 2. If the same
// happens to several workers within a second, the first has a record, and the others have one together at the end of the second, with their
// count; at debug level each has its own. An error that a call returns at once is not logged too. A lost worker and a broken pool are
// logged when they happen, because the program may look at the errors of the affected calls much later, or handle them itself.
//
// The logger's handler is called on a goroutine of its own, one record after another, a moment after the event. It may take its time and
// call anything, including the executor's methods. A handler that does not return stops the log and nothing else. While it is at work up to
// 4,096 records wait for it; the next record says how many more there were. It is asked at most once a second whether it wants a level that
// it has not wanted. Close and a Shutdown that waits wait up to a second for it.
func WithLogger(l *slog.Logger) Option {
	return option(func(c *config) error {
		c.log = l
		return nil
	})
}

// WithInitializer calls fn with arg once in every process that has workers of the executor, after the working directory, environment and
// globals are set: once in each local worker process and in each rank, and once in all where the workers are goroutines of this process. No
// worker begins its first task before the initializer of its process has returned. If each worker, or goroutine, needs something for
// itself, use a [State]: see [RegisterState].
//
// The argument arrives like the value of a [Global]: local processes share the memory of its large slices until they write to them.
//
// The call's context ends when the worker that makes it leaves. If the initializer fails in one process the executor is broken: everything
// queued and every later [Submit] gets [ErrBroken] with the cause.
func WithInitializer[A, R any](fn Func[A, R], arg A) Option {
	return option(func(c *config) error {
		if fn.f == nil {
			return errors.New("WithInitializer: the function is not registered; use a handle that Register returned")
		}
		c.initializer = newInitializer(fn.f, arg)
		return nil
	})
}
