package pool

import (
	"fmt"
	"io"

	"github.com/rankpool/rankpool/futures"
)

// Option is an option of [New]: any option of an executor, or one of this package.
type Option = futures.Option

// TaskOption is an option of one call: of [Apply] and [ApplyAsync], and of [futures.Submit].
type TaskOption = futures.TaskOption

// MapOption is an option of a verb that returns all results: [Map], [Starmap], [MapAsync] or [StarmapAsync].
type MapOption = futures.ListOption

// ImapOption is an option of a verb that yields its results: [Imap], [Istarmap] and their unordered forms, and [futures.Map] and
// [futures.Starmap].
type ImapOption = futures.MapOption

// WithProcesses is [futures.WithMaxWorkers] under the name of the parameter in Python: it sets the maximum number of workers. Without it
// RANKPOOL_MAX_WORKERS decides. Otherwise there is one worker per core. On a thread pool it is the number of tasks that run at once. In a
// job of several ranks the launcher decides: all but the master are workers.
func WithProcesses(n int) Option { return futures.WithMaxWorkers(n) }

// WithInitializer is [futures.WithInitializer]: it calls fn with arg once in every process that has workers, before their first task, and
// once in all where the workers are goroutines of this process. If it fails in one process, the pool is broken: every call gets
// [futures.ErrBroken] with the cause.
func WithInitializer[A, R any](fn futures.Func[A, R], arg A) Option {
	return futures.WithInitializer(fn, arg)
}

// WithChunkSize is [futures.WithChunkSize]: n consecutive elements travel and run as one task, and each fails by itself. Without it [Map],
// [Starmap] and their asynchronous forms make four chunks for each worker, and the verbs that yield have a task for each element. With n
// below 1 the verb returns an error and takes nothing of its input.
func WithChunkSize(n int) futures.AnyMapOption { return futures.WithChunkSize(n) }

// chunkSize is what WithChunkSize of package futures returns.
type chunkSize interface{ ChunkSize() int }

// WithProgress is [futures.WithProgress] under the name of the verb. It shows on w how many elements are done and how many of them have
// failed, the rate per second, the elapsed time and the remaining time.
func WithProgress(w io.Writer) futures.AnyMapOption {
	return progressOption{futures.WithProgress(w, ""), w}
}

// progressOption is WithProgress.
type progressOption struct {
	futures.AnyMapOption
	w io.Writer
}

// KeepGoing makes [Map], [Starmap], [MapAsync] and [StarmapAsync] go on after an element has failed. They return the results of all
// elements, with the zero value in the place of one that has failed. The error is a [futures.ElementErrors] with all failures; it unwraps
// to them.
func KeepGoing() MapOption { return keepGoing{futures.WithArrivals(nil)} }

// keepGoing is KeepGoing. The option in it is one without effect.
type keepGoing struct{ futures.ListOption }

// mapConfig is what the options of a verb set, as far as this package must know.
type mapConfig struct {
	chunk int  // 0: not set by WithChunkSize
	goOn  bool // after a failure
	rest  []futures.MapOption
}

func newMapConfig[O any](verb string, opts []O) (mapConfig, error) {
	var c mapConfig
	for _, o := range opts {
		own, ok := any(o).(futures.MapOption)
		switch s := any(o).(type) {
		case chunkSize:
			if c.chunk = s.ChunkSize(); c.chunk < 1 {
				return c, fmt.Errorf("pool: %s: the chunk size is %d; it must be at least 1", verb, c.chunk)
			}
		case progressOption:
			own = futures.WithProgress(s.w, verb)
		case keepGoing:
			c.goOn = true
		}
		if ok {
			c.rest = append(c.rest, own)
		}
	}
	return c, nil
}
