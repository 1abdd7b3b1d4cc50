package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"regexp"
	"slices"
	"syscall"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

// maps are all forms of a call of Map: of an empty input and another, of a slice and a sequence, with a window and without.
func maps(ctx context.Context, ex futures.Executor) map[string]iter.Seq2[int, error] {
	all := map[string]iter.Seq2[int, error]{}
	for _, xs := range [][]int{{}, {3}} {
		for window, opts := range map[string][]futures.MapOption{"": nil, ", windowed": {futures.WithBufferSize(2)}} {
			name := fmt.Sprintf("%d elements%s, ", len(xs), window)
			all["Map, "+name+"slice"] = futures.Map(ctx, ex, square, xs, opts...)
			all["Map, "+name+"sequence"] = futures.Map(ctx, ex, square, slices.Values(xs), opts...)
			all["Starmap, "+name+"slice"] = futures.Starmap(ctx, ex, square, xs, opts...)
			all["Starmap, "+name+"sequence"] = futures.Starmap(ctx, ex, square, slices.Values(xs), opts...)
		}
	}
	return all
}

// mapsOnlyFail expects that all forms of Map give one error.
func mapsOnlyFail(t *testing.T, ex futures.Executor, want error) {
	t.Helper()
	for name, seq := range maps(within(t), ex) {
		n := 0
		for y, err := range seq {
			if n++; !errors.Is(err, want) || y != 0 {
				t.Errorf("%s: %d, %v, want %v", name, y, err, want)
			}
		}
		if n != 1 {
			t.Errorf("%s: %d elements, want one error", name, n)
		}
	}
}

func TestAMapAfterAShutdownFailsWhateverItsInputIs(t *testing.T) {
	for name, prepare := range map[string]func(t *testing.T, ex futures.Executor){
		"never started": func(*testing.T, futures.Executor) {},
		"started":       func(t *testing.T, ex futures.Executor) { booted(t, ex) },
		"has worked":    func(t *testing.T, ex futures.Executor) { result(t, submit(t, ex, square, 2)) },
		"has mapped nothing": func(t *testing.T, ex futures.Executor) {
			for _, err := range futures.Map(within(t), ex, square, []int{}) {
				t.Errorf("an empty map gives something, with the error %v", err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
				prepare(t, ex)
				mustClose(t, ex, futures.NoWait())
				mapsOnlyFail(t, ex, futures.ErrShutdown)
				mustClose(t, ex)
				mapsOnlyFail(t, ex, futures.ErrShutdown)
			})
		})
	}
}

func TestAMapOnABrokenExecutorFailsWhateverItsInputIs(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1, futures.WithInitializer(refuse, ""))
		if _, err := submit(t, ex, square, 1).Result(within(t)); !errors.Is(err, futures.ErrBroken) {
			t.Fatal(err)
		}
		mapsOnlyFail(t, ex, futures.ErrBroken)
	}, alone)
}

func TestASequenceThatIsReadAfterAShutdownFailsAtWhatItGivesThen(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		before := maps(within(t), ex)
		mustClose(t, ex)
		for name, seq := range before {
			for y, err := range seq {
				if err != nil && !errors.Is(err, futures.ErrShutdown) || err == nil && y != 9 {
					t.Errorf("%s: %d, %v", name, y, err)
				}
			}
		}
	})
}

func TestTheResultsOfAMapThatAreReadAgainAreAnError(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		all := maps(within(t), ex)
		all["Imap"] = pool.Imap(within(t), pool.On(ex), square, []int{3})
		all["ImapUnordered"] = pool.ImapUnordered(within(t), pool.On(ex), square, slices.Values([]int{3}))
		for name, seq := range all {
			for y, err := range seq {
				if y != 9 || err != nil {
					t.Errorf("%s: %d, %v", name, y, err)
				}
			}
			for range 2 {
				n := 0
				for _, err := range seq {
					if n++; !errors.Is(err, futures.ErrInvalidState) {
						t.Errorf("%s, read again: %v", name, err)
					}
				}
				if n != 1 {
					t.Errorf("%s, read again: %d elements, want an error", name, n)
				}
			}
		}
	})
}

// drainedVerbs is a program that is told to end and tries all that there is.
func drainedVerbs(ctx context.Context) error {
	var executors []futures.Executor
	for range 2 { // one that works, and one that has not started
		ex, err := programBackend().make(futures.WithMaxWorkers(1))
		if err != nil {
			return err
		}
		executors = append(executors, ex)
	}
	runs, err := futures.Submit(executors[0], wait, gate(""))
	if err != nil {
		return err
	}
	if _, err := runs.Result(ctx); err != nil {
		return err
	}
	begun, err := workBehindAGate(executors[0])
	if err != nil {
		return err
	}
	if err := begun(ctx); err != nil { // the test sends a signal now
		return err
	}
	for { // nothing tells that it has come but this
		f, err := futures.Submit(executors[0], square, 1)
		if errors.Is(err, futures.ErrDrained) {
			break
		} else if err != nil {
			return err
		}
		f.Cancel()
	}
	for _, ex := range executors {
		for verb, try := range verbs(context.WithoutCancel(ctx), ex) {
			if err := try(); !errors.Is(err, futures.ErrDrained) || errors.Is(err, futures.ErrShutdown) {
				fmt.Printf("%s, Stats %v: %v\n", verb, ex.Stats().Submitted > 0, err)
			}
		}
	}
	return gate(filepathOf("gate")).pass(context.WithoutCancel(ctx))
}

// verbs are all calls that an executor can refuse.
func verbs(ctx context.Context, ex futures.Executor) map[string]func() error {
	p := pool.On(ex)
	all := map[string]func() error{
		"Submit":     func() error { _, err := futures.Submit(ex, square, 1); return err },
		"SubmitEach": func() error { _, err := futures.SubmitEach(ex, square, 1); return err },
		"Start":      ex.Start,
		"Bootup":     func() error { return ex.Bootup(ctx) },
		"NumWorkers": func() error { _, err := ex.NumWorkers(ctx); return err },
		"Apply":      func() error { _, err := pool.Apply(ctx, p, square, 1); return err },
		"ApplyAsync": func() error { _, err := pool.ApplyAsync(p, square, 1); return err },
	}
	for i, xs := range [][]int{{}, {3}} {
		all[fmt.Sprint("pool.Map ", i)] = func() error { _, err := pool.Map(ctx, p, square, xs); return err }
		all[fmt.Sprint("pool.Starmap ", i)] = func() error { _, err := pool.Starmap(ctx, p, square, slices.Values(xs)); return err }
		all[fmt.Sprint("pool.Imap ", i)] = func() error { return firstError(pool.Imap(ctx, p, square, xs)) }
		all[fmt.Sprint("pool.ImapUnordered ", i)] = func() error { return firstError(pool.ImapUnordered(ctx, p, square, xs)) }
		all[fmt.Sprint("pool.MapAsync ", i)] = func() error {
			r, err := pool.MapAsync(ctx, p, square, xs)
			if err == nil {
				_, err = r.Get(ctx)
			}
			return err
		}
	}
	for name, seq := range maps(ctx, ex) {
		all[name] = func() error { return firstError(seq) }
	}
	return all
}

func firstError(seq iter.Seq2[int, error]) error {
	for _, err := range seq {
		return err
	}
	return errors.New("nothing came")
}

func init() { programs["told to end"] = drainedVerbs }

func TestEveryVerbSaysThatTheProgramIsToldToEnd(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		p := startProgram(t, b, "told to end")
		if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Fatal(err)
		}
		rest := p.finish(t, 143) // two lines, the first of them by a goroutine of its own
		report := regexp.MustCompile(`(?m)^time=\S+ level=WARN msg="rankpool: the program was told to end: [^"]*" signal=terminated grace=\S+\n`)
		if len(report.FindAllString(rest, -1)) != 1 || report.ReplaceAllString(rest, "") != "rankpool: ended by signal: terminated\n" {
			t.Errorf("it says %s", rest)
		}
		if p.stdout.Len() > 0 {
			t.Errorf("not ErrDrained:\n%s", &p.stdout)
		}
	})
}
