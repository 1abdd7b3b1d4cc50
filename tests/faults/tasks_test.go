//go:build unix

package faults_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/futures"
)

var (
	inc = futures.Register("inc", func(x int) (int, error) { return x + 1, nil })

	// act does what its argument says.
	act = futures.Register("act", func(what string) (int, error) { return perform(what) })

	// actAt is inc, and does something at one argument.
	actAt = futures.Register("actAt", func(p futures.Pair[int, string]) (int, error) {
		if p.Second != "" {
			return perform(p.Second)
		}
		return p.First + 1, nil
	})

	hold       = futures.RegisterContext("hold", holdUntil)
	untilDone  = futures.RegisterContext("untilDone", func(ctx context.Context, _ int) (int, error) { <-ctx.Done(); return 0, ctx.Err() })
	holdDeaf   = futures.Register("holdDeaf", func(dir string) (int, error) { return holdUntil(context.Background(), dir) })
	once       = futures.Register("once", failOnce)
	setUp      = futures.Register("setUp", func(what string) (int, error) { return perform(what) })
	mark       = futures.Register("mark", appendLine)
	loud       = futures.Register("loud", writeOut)
	tool       = futures.RegisterContext("tool", runTool)
	orphan     = futures.Register("orphan", startProgram)
	nested     = futures.RegisterContext("nested", sumInPool)
	abandoned  = futures.Register("abandoned", leavePoolOpen)
	echo       = futures.Register("echo", func(b []byte) ([]byte, error) { return b, nil })
	takeAny    = futures.Register("takeAny", func(v holder) (string, error) { return fmt.Sprintf("%T", v.Value), nil })
	giveAny    = futures.Register("giveAny", func(int) (holder, error) { return holder{Value: unknown{1}}, nil })
	takeFrail  = futures.Register("takeFrail", func(frail) (int, error) { return 1, nil })
	giveFrail  = futures.Register("giveFrail", func(when string) (frail, error) { return frail{when}, nil })
	returnsErr = futures.Register("returnsErr", returnError)
)

func perform(what string) (int, error) {
	switch what {
	case "":
		return 0, nil
	case "error":
		return 0, errors.New("no luck")
	case "panic":
		panic("at the disco")
	case "panic elsewhere":
		go func() { panic("at the disco") }()
		select {}
	case "panic(nil)":
		panic(nil) //nolint:govet // the point of the test
	case "panic(error)":
		panic(fmt.Errorf("reading: %w", os.ErrNotExist))
	case "nil map":
		var m map[string]int
		m["x"] = 1 //nolint:staticcheck // the point of the test
	case "Goexit":
		runtime.Goexit()
	case "exit 0":
		os.Exit(0)
	case "exit 3":
		os.Exit(3)
	case "kill":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	case "stop":
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		select {} // this thread may be the last to stop
	case "spin":
		for { //nolint:staticcheck // a task that never ends and never looks around
		}
	case "never":
		select {}
	}
	return 0, nil
}

// holdUntil makes a file in dir named like its process, and waits until dir/go is there or ctx ends.
func holdUntil(ctx context.Context, dir string) (int, error) {
	if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(os.Getpid())), nil, 0o600); err != nil {
		return 0, err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go")); err == nil {
			return os.Getpid(), nil
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// failOnce kills its worker unless it has done so before.
func failOnce(path string) (int, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return 7, nil
	}
	if err != nil {
		return 0, err
	}
	f.Close()
	return perform("kill")
}

// appendLine adds a line with its second argument to the file that the first one names.
func appendLine(p futures.Pair[string, int]) (int, error) {
	f, err := os.OpenFile(p.First, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	_, err = fmt.Fprintln(f, p.Second)
	return p.Second, err
}

// writeOut writes so many bytes to standard output.
func writeOut(n int) (int, error) {
	line := strings.Repeat("x", 99) + "\n"
	for i := 0; i < n; i += len(line) {
		if _, err := os.Stdout.WriteString(line); err != nil {
			return i, err
		}
	}
	return n, nil
}

// runTool runs a shell that waits for its child, in a way of running programs, and writes their numbers into a directory.
func runTool(ctx context.Context, p futures.Pair[string, string]) (string, error) {
	const script = `sleep 300 & echo $! > "$0/child"; echo $$ > "$0/shell"; wait`
	c := exec.CommandContext(ctx, "sh", "-c", script, p.Second)
	switch p.First {
	case "plainly":
		c = exec.Command("sh", "-c", script, p.Second)
	case "with its context and a limit":
		c.WaitDelay = 50 * time.Millisecond
	case "as a helper": // which stays beside the worker
		return "", exec.Command("sh", "-c", `sleep 300 > /dev/null 2>&1 & echo $! > "$0/child"; echo $$ > "$0/shell"`, p.Second).Run()
	}
	out, err := c.CombinedOutput()
	return string(out), err
}

// startProgram starts one that outlives its worker, in the way that is documented, and returns its process.
func startProgram(int) (int, error) {
	c := exec.Command("prlimit", "--rttime=unlimited", "sleep", "300")
	if runtime.GOOS != "linux" {
		c = exec.Command("sleep", "300")
	}
	c.Env = []string{} // so that the test does not take it for what is left by mistake
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		return 0, err
	}
	for runtime.GOOS == "linux" { // until then it is its worker's
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", c.Process.Pid)); err != nil || strings.HasPrefix(string(line), "sleep") {
			return c.Process.Pid, err
		}
		time.Sleep(time.Millisecond)
	}
	return c.Process.Pid, nil
}

// sumInPool uses an executor of its own.
func sumInPool(ctx context.Context, n int) (int, error) {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		return 0, err
	}
	defer ex.Close()
	sum := 0
	for y, err := range futures.Map(ctx, ex, inc, make([]int, n)) {
		if err != nil {
			return 0, err
		}
		sum += y
	}
	return sum, nil
}

// leavePoolOpen starts an executor of its own, leaves it, and returns the processes of its workers.
func leavePoolOpen(int) ([]int, error) {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2))
	if err != nil {
		return nil, err
	}
	if err := ex.Bootup(context.Background()); err != nil {
		return nil, err
	}
	_, err = futures.Submit(ex, act, "spin")
	return pids(ex), err
}

// holder has room for anything; of the types that it is given, none is registered.
type holder struct{ Value any }

type unknown struct{ X int }

// frail fails, or panics, at the point of its way that it names.
type frail struct{ when string }

func (f frail) MarshalBinary() ([]byte, error) {
	switch f.when {
	case "marshal":
		return nil, errors.New("the ink has run out")
	case "marshal panics":
		panic("the pen broke")
	}
	return []byte(f.when), nil
}

func (f *frail) UnmarshalBinary(b []byte) error {
	switch string(b) {
	case "unmarshal":
		return errors.New("illegible")
	case "unmarshal panics":
		panic("the glasses broke")
	}
	f.when = string(b)
	return nil
}

// secretive is an error that is registered and cannot be encoded all the same: its value holds an unregistered type.
type secretive struct{ Value any }

func (*secretive) Error() string { return "a secret" }

var _ = futures.RegisterError[*secretive]("secretive")

// mute is an error whose text cannot be had.
type mute struct{}

func (mute) Error() string { panic("lost for words") }

// piped is an error that no codec could encode.
type piped struct{ c chan int }

func (piped) Error() string { return "the pipe is blocked" }

// ring is an error that wraps itself.
type ring struct{}

func (*ring) Error() string   { return "round and round" }
func (r *ring) Unwrap() error { return r }

func returnError(kind string) (int, error) {
	switch kind {
	case "registered":
		return 0, &secretive{unknown{1}}
	case "mute":
		return 0, mute{}
	case "nil pointer":
		var e *os.PathError
		return 0, e
	case "piped":
		return 0, fmt.Errorf("at the %w: %w", piped{make(chan int)}, os.ErrDeadlineExceeded)
	case "ring":
		return 0, &ring{}
	case "long":
		return 0, errors.New(strings.Repeat("very ", 1<<20) + "long")
	}
	return 0, errors.New("no such kind")
}
