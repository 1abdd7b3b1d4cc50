package futures

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/job"
	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/link/mpilink"
	"github.com/rankpool/rankpool/internal/link/proc"
	"github.com/rankpool/rankpool/internal/logs"
	"github.com/rankpool/rankpool/internal/profile"
	"github.com/rankpool/rankpool/internal/saturate"
)

// The environment variables. They are read when an executor starts.
const (
	envBackend    = "RANKPOOL_BACKEND"
	envMaxWorkers = "RANKPOOL_MAX_WORKERS"
	envSlots      = "RANKPOOL_SLOTS"
	envUsePkl5    = "RANKPOOL_USE_PKL5"
	envThreshold  = "RANKPOOL_PKL5_THRESHOLD"
	envBackoff    = "RANKPOOL_BACKOFF"
	envWorker     = "RANKPOOL_WORKER"      // set by a master for its local workers
	envProcSocket = "RANKPOOL_PROC_SOCKET" // 1: local processes do not read each other's memory, see internal/link/proc
	envService    = "RANKPOOL_SERVICE"     // where workers are that were started apart, see WithService
	envServeKeep  = "RANKPOOL_SERVE_KEEP"  // set by rankpool serve: 1 to serve one after another
	envTrace      = "RANKPOOL_TRACE"       // where what happens is recorded, see WithTrace
	envTraceLimit = "RANKPOOL_TRACE_LIMIT" // how large a recording becomes at most
	envServeBind  = "RANKPOOL_SERVE_BIND"  // set by rankpool serve: the host or address to listen at
)

// commandVariables is how the names of the variables begin that rankpool run and rankpool build read, with which a program may be
// started.
const commandVariables = "RANKPOOL_RUN_"

// environment is what an executor takes from its surroundings.
type environment struct {
	backend   string
	workers   int // 0: not set
	slots     int // 0: not set
	outOfBand bool
	threshold int // 0: not set
	backoff   time.Duration
	service   *mpilink.Place
	trace     string // "": nothing is recorded
	limit     int64  // of a recording, in bytes
}

// environment reads the variables, unless the executor respects none.
func (e *executor) environment(log *slog.Logger) (environment, error) {
	if err := readLogLevel(); err != nil {
		return environment{backend: backendAuto}, err
	}
	if e.class == threadClass {
		env := environment{backend: backendAuto, outOfBand: true}
		return env, env.readTrace()
	}
	return readEnvironment(log)
}

// readLogLevel says whether package logs can read its variable.
func readLogLevel() error {
	if _, err := logs.ReadLevel(os.Getenv(logs.Variable)); err != nil {
		return fmt.Errorf("futures: %w", err)
	}
	return nil
}

// topVariable is of the command, which takes an address from it.
const topVariable = "RANKPOOL_TOP"

// readEnvironment reads all variables, so that a mistake in one of them shows whichever executor is started.
func readEnvironment(log *slog.Logger) (environment, error) {
	e := environment{backend: backendAuto, outOfBand: true}
	var err error
	if e.service, err = readService(); err != nil {
		return e, err
	}
	if err := e.readTrace(); err != nil {
		return e, err
	}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "RANKPOOL_") && !strings.HasPrefix(name, commandVariables) && !slices.Contains(proc.NumberVariables[:], name) &&
			!slices.Contains([]string{envBackend, envMaxWorkers, envSlots, envUsePkl5, envThreshold, envBackoff, envWorker, envProcSocket, job.EnvLibrary,
				job.EnvThreads, job.EnvStage, envService, job.EnvServe, envServeKeep, envServeBind, envTrace, envTraceLimit, life.MonitorVariable, mpilink.SecretVariable, logs.Variable, profile.Variable, topVariable}, name) {
			log.Warn("rankpool: unknown environment variable", "name", name)
		}
	}
	if v, set := os.LookupEnv(envBackend); set && v != "" {
		v = strings.ToLower(v)
		if !slices.Contains([]string{backendAuto, backendMPI, backendProcesses, backendThreads}, v) {
			return e, fmt.Errorf("futures: %s=%q is unknown; use auto, mpi, processes or threads", envBackend, v)
		}
		e.backend = v
	}
	if v, set := os.LookupEnv(envMaxWorkers); set && v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 1 {
			return e, fmt.Errorf("futures: %s=%q is not a number of workers; use 1 or more", envMaxWorkers, v)
		}
		e.workers = n
	}
	if e.slots, err = readSlots(); err != nil {
		return e, err
	}
	if v, set := os.LookupEnv(envThreshold); set && v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 {
			return e, fmt.Errorf("futures: %s=%q is not a size in bytes; use 0 or more", envThreshold, v)
		}
		e.threshold = max(n, allOutOfBand)
	}
	if v, set := os.LookupEnv(envBackoff); set && v != "" {
		d, err := parseBackoff(v)
		if err != nil || d < 0 {
			return e, fmt.Errorf("futures: %s=%q is not a time; use seconds (0.001) or a duration (1ms)", envBackoff, v)
		}
		e.backoff = max(d, mpilink.NoBackoff)
	}
	if v, set := os.LookupEnv(envUsePkl5); set {
		switch strings.ToLower(v) {
		case "true", "yes", "on", "y", "1":
		case "false", "no", "off", "n", "0":
			e.outOfBand = false
		default: // not an error, but it means no
			e.outOfBand = false
			log.Warn("rankpool: the environment variable is neither yes nor no; taken for no", "name", envUsePkl5, "value", v)
		}
	}
	return e, nil
}

// parseBackoff takes seconds, as the original does, or a Go duration.
func parseBackoff(v string) (time.Duration, error) {
	if s, err := strconv.ParseFloat(v, 64); err == nil {
		if math.IsNaN(s) {
			return 0, errors.New("not a number")
		}
		if d := saturate.Seconds(s); d < math.MaxInt64 {
			return d, nil
		}
		return 0, errors.New("too long")
	}
	return time.ParseDuration(v)
}

// cores is how many workers there are when nobody says: as many as can run at once. Go's runtime knows the process's
// affinity and, in GOMAXPROCS, the quota of its cgroup, which the number of cores does not show.
func cores() int { return min(runtime.NumCPU(), runtime.GOMAXPROCS(0)) }
