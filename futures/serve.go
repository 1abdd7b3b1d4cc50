package futures

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
	"github.com/rankpool/rankpool/internal/remote"
	"github.com/rankpool/rankpool/internal/settings"
)

// setup is what a master sends to a worker before its first task.
type setup struct {
	Settings  *settings.Settings // of the program; nil where the worker shares them or has its own
	Dir       string
	Env       map[string]string
	Threshold int
	Globals   []globalValue
	Init      *initCall
	Output    outputChoice // only for ranks
}

var setupCodec = sync.OnceValues(pkl5.Of[setup])

// setupMessage encodes what the workers of this executor need, but for the segments of the payload.
func (e *executor) setupMessage() ([]byte, error) {
	c, err := setupCodec()
	if err != nil {
		return nil, err
	}
	s := setup{Settings: e.settings, Dir: e.cfg.dir, Env: e.cfg.env, Threshold: e.threshold(), Globals: e.globals}
	if e.joins { // another executor has set these ranks up
		s.Dir, s.Env = "", nil
	}
	if e.backend == backendMPI { // others have it from their start, or share it
		s.Output = e.cfg.output
	}
	if i := e.cfg.initializer; i != nil {
		s.Init = &initCall{i.name, i.arg}
	}
	enc := pkl5.Encoder{Threshold: -1}
	if err := c.Encode(&enc, &s); err != nil {
		return nil, err
	}
	return enc.Stream, nil
}

// applySetup prepares this worker: what the program has set, directory, environment, globals, initializer, in this order. Workers that share the
// process share the globals and the initializer's run too, unless shared is nil.
func applySetup(ctx context.Context, b []byte, segments [][]byte, shared *initialization) (int, context.Context, error) {
	c, err := setupCodec()
	if err != nil {
		return 0, nil, err
	}
	var d pkl5.Decoder
	var s setup
	d.Reset(b, nil)
	if err := c.Decode(&d, &s); err != nil {
		return 0, nil, fmt.Errorf("the set-up cannot be decoded: %w", err)
	}
	common := shared
	if common == nil {
		common = new(initialization)
		ctx = serveMaster(ctx)
	}
	served, isSetUp := ctx, false
	defer func() {
		if !isSetUp { // the master may start another executor as soon as it hears of that, and after a change
			leaveSettings(served)
			if shared == nil {
				servedMaster(served)
			}
		}
	}()
	if s.Settings != nil {
		if ctx, err = enterSettings(ctx, s.Settings); err != nil {
			return 0, nil, err
		}
		served = ctx
	}
	if err := s.Output.redirect(ctx); err != nil {
		return 0, nil, err
	}
	if err := s.place(ctx); err != nil {
		return 0, nil, err
	}
	values, rest, err := common.globals(s.Globals, segments)
	if err != nil {
		return 0, nil, err
	}
	ctx = withFound(ctx, values)
	run := func(ctx context.Context) error { return s.Init.run(ctx, rest) }
	switch {
	case s.Init == nil:
	case shared != nil:
		err = shared.run(withoutStates(ctx), run)
	default:
		err = run(withoutStates(ctx))
	}
	isSetUp = err == nil
	return s.Threshold, withStates(ctx), err
}

// processService is what a worker process does for its master.
func processService() dispatch.Service {
	own := registry.Default().Fingerprint()
	own.MPI = mpi.Library()
	return dispatch.Service{
		Hello:       hello(own.Encode()),
		Function:    functionBody,
		AppendError: remote.Append,
		Recovered:   recovered,
		Leave:       leaveWorker,
		Unheard:     unheard,
		Setup: func(ctx context.Context, b []byte, segments [][]byte) (int, context.Context, error) { // a process has one worker of an executor
			return applySetup(ctx, b, segments, nil)
		},
		Remark: func(text string, err error) { log(slog.LevelWarn, text, "err", err) },
		Slots:  slotService,
		Values: func() dispatch.Values { return newGenerations() },
	}
}

// threadService is what a worker that is a goroutine does. The globals are decoded and the initializer runs once for all of them; in a
// thread pool they need no other set-up. Segments do not travel: they are here.
func (e *executor) threadService(segments [][]byte) dispatch.Service {
	once := new(initialization)
	s := dispatch.Service{
		Hello: hello(nil), Function: functionBody, AppendError: remote.Append, Recovered: recovered, Leave: leaveWorker, Unheard: unheard,
		Setup: func(ctx context.Context, b []byte, _ [][]byte) (int, context.Context, error) {
			return applySetup(ctx, b, segments, once)
		},
		Together: true,
		Values:   func() dispatch.Values { return sharedValues{} },
	}
	if !e.shares {
		registry.Default().Freeze("the start of an executor")
		return s
	}
	s.NoPeers = true // tasks of a thread pool have no communicator of the workers
	s.Home = e.home
	s.Setup = func(ctx context.Context, _ []byte, _ [][]byte) (int, context.Context, error) {
		values, _, err := once.globals(e.globals, segments)
		ctx = withFound(ctx, values)
		if err == nil && e.cfg.initializer != nil {
			err = once.run(withoutStates(ctx), e.cfg.initializer.call)
		}
		if err != nil {
			return 0, nil, err
		}
		return 0, withStates(ctx), nil
	}
	return s
}

// unheard logs what a worker cannot tell its master any more.
func unheard(f dispatch.Failure) { log(slog.LevelError, "rankpool: "+f.What+" failed", "err", f.Err) }

func hello(fingerprint []byte) dispatch.Hello {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return dispatch.Hello{Pid: os.Getpid(), Rank: -1, Procs: runtime.GOMAXPROCS(0), Host: host, Fingerprint: fingerprint}
}

func functionBody(fn uint32) dispatch.Body {
	if e, ok := registry.Default().At(int(fn)); ok {
		b, _ := e.Body.(dispatch.Body)
		return b
	}
	return nil
}

// recovered makes the error of a task that panicked or called runtime.Goexit.
func recovered(v any, stack []byte) error {
	if v == dispatch.Goexit {
		v = nil
	}
	return remote.Recovered(v, stack)
}
