package futures

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/internal/link/mpilink"
)

// Option is a choice for an executor. The constructors check all of them at once and return every complaint.
type Option interface {
	apply(*config) error
}

// config is what Options set.
type config struct {
	workers     int // 0: not set
	executable  string
	args        []string
	hasArgs     bool
	dir         string
	env         map[string]string
	globals     []globalValue
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
	maxTasks    int // 0: not set
	output      outputChoice
	task        taskConfig
}

type option func(*config) error

func (o option) apply(c *config) error { return o(c) }

// newConfig applies the options and joins their complaints.
func newConfig(constructor string, opts []Option) (config, error) {
	var c config
	var problems []error
	for _, o := range opts {
		if o == nil {
			continue // an unset option is the default
		}
		if err := o.apply(&c); err != nil {
			problems = append(problems, err)
		}
	}
	if err := errors.Join(problems...); err != nil {
		return c, fmt.Errorf("futures: %s: %w", constructor, err)
	}
	return c, nil
}

// WithMaxWorkers sets how many workers there are at most. Without it RANKPOOL_MAX_WORKERS decides, else there is one
// per core that Go uses: GOMAXPROCS, which follows the quota of a container, and no more than the process may run on. In a task
// there is one process, whatever the variable says: every worker would start as many. A thread pool respects only the option.
func WithMaxWorkers(n int) Option {
	return option(func(c *config) error {
		if n < 1 {
			return fmt.Errorf("WithMaxWorkers(%d): there must be at least 1 worker", n)
		}
		c.workers = n
		return nil
	})
}

// WithMaxTasksPerChild has a worker replaced after it has run n tasks, so that what it has piled up is given back: a task
// is a submitted call, or one chunk of a [Map]. No task is lost and no order changes; a new process runs the initializer
// again, a goroutine does not. The ranks of an MPI job cannot be replaced: there the executor refuses to start.
func WithMaxTasksPerChild(n int) Option {
	return option(func(c *config) error {
		if n < 1 {
			return fmt.Errorf("WithMaxTasksPerChild(%d): a worker must run at least 1 task; leave the option out to keep workers", n)
		}
		c.maxTasks = n
		return nil
	})
}

// WithExecutable sets the program that worker processes run; the default is the running one. It must register the same
// functions and call [Main]: a program that was built from other source is refused with a [*MismatchError].
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

// WithDir sets the working directory of the workers, before their environment, the initializer and any task.
// Workers that are goroutines cannot have one of their own: the executor then refuses to start.
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

// WithEnv adds variables to the environment of the workers, before the initializer and any task. The values arrive as they are, where
// a GOMEMLIMIT of the program's own environment is divided among local workers. Workers that are
// goroutines cannot have one of their own: the executor then refuses to start.
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

// WithMPIInfo sets what MPI_Comm_spawn is told, as it is: keys like "host", "hostfile" or "wdir" mean what the MPI library
// says. It replaces the default, which lets the library start fewer workers than asked for. Where nothing is spawned
// it changes nothing.
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

// WithOutOfBand says whether large slices travel beside the message, untouched (the default), or are copied into it. It
// overrides RANKPOOL_USE_PKL5 and holds for both directions. Results do not depend on it.
func WithOutOfBand(on bool) Option {
	return option(func(c *config) error {
		c.outOfBand = &on
		return nil
	})
}

// WithOutOfBandThreshold sets from how many bytes on a slice travels beside the message; the default is 256 KiB, and 0 means every
// slice.
func WithOutOfBandThreshold(bytes int) Option {
	return option(func(c *config) error {
		if bytes < 0 {
			return fmt.Errorf("WithOutOfBandThreshold(%d): the size must not be below 0", bytes)
		}
		c.threshold = max(bytes, allOutOfBand)
		return nil
	})
}

// WithBackoff bounds how long a worker or master that polls sleeps between looks; the default is 1 ms. With 0 it never sleeps, and
// takes a core on each side as long as the executor is open. It overrides RANKPOOL_BACKOFF. Local processes and goroutines are woken and never poll: for them
// it changes nothing.
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

// WithStartTimeout bounds how long a worker may take until it is ready, its initializer included; the default is 30 s. The other ranks
// of an [MPICommExecutor] are waited for without a limit, unless this option sets one.
func WithStartTimeout(d time.Duration) Option {
	return positive("WithStartTimeout", d, func(c *config) { c.start = d })
}

// WithLiveness bounds how long a worker with work may be silent before it is taken for lost; the default is 60 s. A
// worker answers also while its task computes, so the limit need not be longer than the tasks.
func WithLiveness(d time.Duration) Option {
	return positive("WithLiveness", d, func(c *config) { c.liveness = d })
}

// WithStopTimeout bounds how long workers may take to leave after the last task, closing their states included; the default is
// 10 s. A close that has not returned by then is left behind, and workers that are there a second later are killed.
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

// WithLogger sets where the executor reports: workers that come up at debug level, lost ones as warnings, a pool that
// breaks as an error. Without it nothing is logged.
//
// The logger's handler is called on a goroutine of its own, one record after another, a moment after what it is about. It may take its
// time and call anything, the executor's methods too. One that does not return stops the log and nothing else. While it is at work 4,096
// records wait for it; how many more there were is the next record. It is asked at most once a second whether it wants a level that it has not
// wanted. Close and a Shutdown that waits wait up to a second for it.
func WithLogger(l *slog.Logger) Option {
	return option(func(c *config) error {
		c.log = l
		return nil
	})
}

// WithInitializer has fn called with arg once in every process that has workers of the executor, after the working directory,
// environment and globals are set: once in each local worker process and in each rank, and once in all where the workers are
// goroutines of this process. No worker begins its first task before the initializer of its process has returned. What each
// worker needs for itself, a goroutine too, is a [State]: see [RegisterState].
//
// The call's context ends when the worker leaves that makes it. If the initializer fails in one process the executor is broken:
// everything queued and every later [Submit] gets [ErrBroken] with the cause.
func WithInitializer[A, R any](fn Func[A, R], arg A) Option {
	return option(func(c *config) error {
		if fn.f == nil {
			return errors.New("WithInitializer: the function is not registered; use a handle that Register returned")
		}
		i, err := newInitializer(fn.f, arg)
		if err != nil {
			return fmt.Errorf("WithInitializer: %w", err)
		}
		c.initializer = i
		return nil
	})
}

// MapOption is a choice for one [Map] or [Starmap].
type MapOption interface {
	forMap(*mapConfig) error
}

// mapConfig is what MapOptions set. The checks are made in the order of the original.
type mapConfig struct {
	chunk, buffer       int
	hasChunk, hasBuffer bool
	unordered           bool
	failFast            bool
	arrivals            []func(int)
	counts              []*atomic.Int64
	task                taskConfig
}

type mapOption func(*mapConfig)

func (o mapOption) forMap(c *mapConfig) error { o(c); return nil }

// WithChunkSize has n consecutive elements travel and run as one task; each fails by itself. Where [WithRetries] may have an element run
// again after an error it changes nothing, so that no other does. Without it every element is a task of
// its own, and the scheduler sends several at once where they prove tiny.
func WithChunkSize(n int) MapOption { return chunkSize(n) }

// chunkSize is WithChunkSize.
type chunkSize int

func (n chunkSize) forMap(c *mapConfig) error {
	c.chunk, c.hasChunk = int(n), true
	return nil
}

// ChunkSize is for package pool, which chooses a size itself where this option is not given.
func (n chunkSize) ChunkSize() int { return int(n) }

// WithBufferSize limits how many chunks are submitted and not yet consumed to n, and has the input drawn as the results
// are consumed. Without it a slice is submitted whole at the call, and a sequence a few chunks per worker ahead.
func WithBufferSize(n int) MapOption {
	return mapOption(func(c *mapConfig) { c.buffer, c.hasBuffer = n, true })
}

// WithArrivals has fn told how many elements have succeeded since it was told last, soon after some have come in, whether they are
// read yet or not. fn is called where the executor's callbacks run, one call at a time: it may take its time, and the last call may
// come after the last result was read. Given several times, all are told; nil changes nothing. For a figure that is looked at
// now and then, [WithArrivalCount] is cheaper.
func WithArrivals(fn func(n int)) MapOption {
	return mapOption(func(c *mapConfig) {
		if fn != nil {
			c.arrivals = append(c.arrivals, fn)
		}
	})
}

// WithArrivalCount adds the number of elements that have succeeded to n as they come in, before they can be read. A progress bar
// lives on that. Nil changes nothing.
func WithArrivalCount(n *atomic.Int64) MapOption {
	return mapOption(func(c *mapConfig) {
		if n != nil {
			c.counts = append(c.counts, n)
		}
	})
}

// Unordered delivers results as they come instead of in the order of the input; within a chunk the order is kept.
func Unordered() MapOption { return mapOption(func(c *mapConfig) { c.unordered = true }) }

// FailFast has the first failure of an element end the results at once, wherever it is in the input: results that have not been read
// by then are not delivered. What has not begun is withdrawn, and the contexts of the tasks that run end. Without it the failure of
// an element comes in the element's place, and the map goes on.
func FailFast() MapOption { return mapOption(func(c *mapConfig) { c.failFast = true }) }

// largestChunk keeps sums of chunks within an int.
const largestChunk = math.MaxInt >> 2

func newMapConfig(verb string, opts []MapOption) (mapConfig, error) {
	var c mapConfig
	var problem error
	for _, o := range opts {
		if o == nil {
			continue
		}
		if err := o.forMap(&c); err != nil && problem == nil {
			problem = err
		}
	}
	switch {
	case c.hasChunk && c.chunk < 1:
		problem = fmt.Errorf("the chunk size is %d; it must be at least 1", c.chunk)
	case c.hasBuffer && c.buffer < 1:
		problem = fmt.Errorf("the buffer size is %d; it must be at least 1", c.buffer)
	}
	if problem != nil {
		return c, fmt.Errorf("futures: %s: %w", verb, problem)
	}
	c.chunk = min(max(c.chunk, 1), largestChunk)
	return c, nil
}
