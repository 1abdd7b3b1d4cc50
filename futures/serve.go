package futures

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
	"github.com/rankpool/rankpool/internal/remote"
)

// setup is what a master sends to a worker before its first task.
type setup struct {
	Dir       string
	Env       map[string]string
	Threshold int
	Globals   []globalValue
	Init      *initCall
}

// initCall is the call of an initializer.
type initCall struct {
	Name string
	Arg  []byte
}

// initializer is what WithInitializer sets.
type initializer struct {
	name  string
	local bool
	arg   []byte                      // encoded, for other processes
	call  func(context.Context) error // for this one
}

func newInitializer[A, R any](f *function[A, R], arg A) (*initializer, error) {
	i := &initializer{name: f.name, local: f.local}
	i.call = func(ctx context.Context) error {
		_, err := f.call(ctx, arg)
		return err
	}
	if f.local {
		return i, nil
	}
	e := pkl5.Encoder{Threshold: -1}
	if err := f.args.Encode(&e, &arg); err != nil {
		return nil, fmt.Errorf("the argument of %s cannot be encoded: %w", f.name, err)
	}
	i.arg = e.Stream
	// The argument as it was encoded, so that later changes to it have no effect (C003).
	return i, nil
}

var setupCodec = sync.OnceValues(pkl5.Of[setup])

// setupMessage encodes what the workers of this executor need.
func (e *executor) setupMessage() ([]byte, error) {
	c, err := setupCodec()
	if err != nil {
		return nil, err
	}
	s := setup{Dir: e.cfg.dir, Env: e.cfg.env, Threshold: e.threshold(), Globals: e.cfg.globals}
	if e.joins { // E15
		s.Dir, s.Env = "", nil
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

// applySetup prepares this worker: directory, environment, globals, initializer, in this order (C104).
func applySetup(ctx context.Context, b []byte) (int, context.Context, error) {
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
	if s.Dir != "" {
		if err := os.Chdir(s.Dir); err != nil {
			return 0, nil, fmt.Errorf("WithDir: %w", err)
		}
	}
	for name, value := range s.Env {
		if err := os.Setenv(name, value); err != nil {
			return 0, nil, fmt.Errorf("WithEnv: %s: %w", name, err)
		}
	}
	ctx, err = withGlobals(ctx, s.Globals)
	if err != nil {
		return 0, nil, err
	}
	if s.Init != nil {
		err = callInitializer(ctx, s.Init)
	}
	return s.Threshold, ctx, err
}

// callInitializer runs an initializer by its name.
func callInitializer(ctx context.Context, i *initCall) error {
	e, ok := registry.Default().Lookup(i.Name)
	if !ok {
		return fmt.Errorf("initializer %q is not registered in this worker", i.Name)
	}
	var in pkl5.Decoder
	in.Reset(i.Arg, nil)
	return e.Body.(dispatch.Body).Call(&dispatch.Call{Context: ctx, In: &in, Out: &pkl5.Encoder{Threshold: -1}, N: 1})
}

// processService is what a worker process does for its master.
func processService() dispatch.Service {
	return dispatch.Service{
		Hello:       hello(registry.Default().Fingerprint().Encode()),
		Function:    functionBody,
		AppendError: remote.Append,
		Recovered:   recovered,
		Setup:       applySetup,
	}
}

// threadService is what a worker that is a goroutine does. In a thread pool it needs no set-up but the initializer, which
// runs once for all (C085).
func (e *executor) threadService() dispatch.Service {
	s := dispatch.Service{
		Hello: hello(nil), Function: functionBody, Setup: applySetup, AppendError: remote.Append, Recovered: recovered,
	}
	if !e.shares {
		registry.Default().Freeze("the start of an executor")
		return s
	}
	s.NoPeers = true // F02
	s.Home = e.home
	var once sync.Once
	var failed error
	s.Setup = func(ctx context.Context, _ []byte) (int, context.Context, error) {
		ctx, err := withGlobals(ctx, e.cfg.globals)
		if err != nil || e.cfg.initializer == nil {
			return 0, ctx, err
		}
		once.Do(func() {
			returned := false
			defer func() {
				if v := recover(); v != nil {
					failed = recovered(v, debug.Stack())
				} else if !returned { // each worker says the same, whichever is heard first
					failed = recovered(dispatch.Goexit, debug.Stack())
				}
			}()
			failed = e.cfg.initializer.call(ctx)
			returned = true
		})
		return 0, ctx, failed
	}
	return s
}

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
