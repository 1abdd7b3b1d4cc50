package futures

import (
	"fmt"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/rankpool/rankpool/internal/lane"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/trace"
)

// WithTrace records in a file what each worker did and when; `rankpool report FILE` reads it. All executors of a program can record into
// the same file, even one after the other. So can the same program when it is started again, for example by a batch system: the new run is
// appended. If the program is killed, the file lacks the last quarter of a second. The file must be new or a recording: any other file is
// left as it is. While another program writes it, and where the file system has no locks, the run has a file of its own, with the host and
// the process after its name, and the log says so.
//
// The master writes the file, on a goroutine that nobody waits for. A disk that hangs or is full costs details of the recording and nothing
// else; Close and a Shutdown that waits wait a second for it. Problems with the file are warnings in the log. A recording takes 20 to 40
// bytes for each call, and for each batch of tiny ones. It has at most 256 MiB, or RANKPOOL_TRACE_LIMIT (a number of bytes, or of those
// with KiB, MiB or GiB behind it). From half of that on, calls are merged.
//
// Without the option the variable RANKPOOL_TRACE names the file, for all executors of the master's process, including those of tasks that
// run on its goroutines. An executor that a task makes in a worker process records nothing then. An empty name records nothing, whatever
// the variable says.
func WithTrace(file string) Option {
	return option(func(c *config) error {
		if strings.ContainsRune(file, 0) {
			return fmt.Errorf("WithTrace(%q): this is not the name of a file", file)
		}
		c.trace, c.noTrace = file, file == ""
		return nil
	})
}

// readTrace reads the variables of recordings. All executors respect them.
func (e *environment) readTrace() error {
	e.trace = os.Getenv(envTrace)
	v := os.Getenv(envTraceLimit)
	if v == "" {
		return nil
	}
	n, err := parseSize(v)
	if err != nil || n < trace.LeastLimit {
		return fmt.Errorf("futures: %s=%q is not a size of a recording; use 1MiB or more", envTraceLimit, v)
	}
	e.limit = n
	return nil
}

// parseSize takes bytes, or KiB, MiB, GiB.
func parseSize(v string) (int64, error) {
	unit := int64(1)
	for i, name := range []string{"KiB", "MiB", "GiB"} {
		if rest, ok := strings.CutSuffix(v, name); ok {
			v, unit = strings.TrimSpace(rest), 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(v, 10, 64)
	if err == nil && n > math.MaxInt64/unit {
		err = strconv.ErrRange
	}
	return n * unit, err
}

// record begins the recording of this executor, and the hooks, if there are to be any.
func (e *executor) record(env environment, complaints lane.Logger) (*trace.Pool, error) {
	file := e.cfg.trace
	if file == "" && !e.cfg.noTrace && !life.InWorker() {
		file = env.trace
	}
	if file == "" && len(e.cfg.hooks) == 0 {
		return nil, nil
	}
	program, err := os.Executable()
	if err != nil {
		program = os.Args[0]
	}
	host, _ := os.Hostname()
	rec, err := trace.Open(trace.Config{
		Path: file, Limit: env.limit, Kind: e.backend,
		Run: trace.Run{Program: program, Host: host, Pid: os.Getpid(), System: runtime.GOOS + "/" + runtime.GOARCH, Go: runtime.Version(),
			Version: moduleVersion(), Cores: cores()},
		Hooks: e.newHooks(complaints),
		Warn:  func(text string, err error) { complaints.Warn(text, "file", file, "err", err) },
	})
	if err != nil {
		return nil, fmt.Errorf("futures: the recording %s: %w", file, err)
	}
	return rec, nil
}

// moduleVersion is that of this library, as far as the program knows.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	const path = "github.com/rankpool/rankpool"
	for _, m := range append([]*debug.Module{&info.Main}, info.Deps...) {
		if m.Path == path {
			return m.Version
		}
	}
	return ""
}
