package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

// Trouble is an argument, and the result of a task that it has told how to fail.
type Trouble struct {
	N   int
	How string
}

// MarshalBinary fails where it is told to.
func (x Trouble) MarshalBinary() ([]byte, error) {
	if x.How == "the argument cannot be encoded" || x.How == "its result cannot be encoded!" {
		return nil, errHook
	}
	return fmt.Appendf(nil, "%d %s", x.N, x.How), nil
}

// UnmarshalBinary likewise.
func (x *Trouble) UnmarshalBinary(b []byte) error {
	n, how, _ := strings.Cut(string(b), " ")
	if how == "its argument cannot be decoded" || how == "the result cannot be decoded!" {
		return errHook
	}
	_, err := fmt.Sscan(n, &x.N)
	x.How = how
	return err
}

// The function as one that needs no context, and as one that has one, whose end must not be taken for that of the next element's.
var (
	trouble          = futures.Register("trouble", makeTrouble)
	troubleInContext = futures.RegisterContext("context.trouble", func(_ context.Context, x Trouble) (Trouble, error) { return makeTrouble(x) })
)

func makeTrouble(x Trouble) (Trouble, error) {
	switch x.How {
	case "error":
		return x, &InputError{Value: x.N, Why: "negative"}
	case "panic":
		panic(&InputError{Value: x.N, Why: "negative"})
	case "Goexit":
		runtime.Goexit()
	case "exit":
		os.Exit(3)
	case "its result cannot be encoded", "the result cannot be decoded":
		x.How += "!"
	}
	return x, nil
}

// troubles are ways to fail, and how the error is recognized.
var troubles = map[string]func(err error) bool{
	"error": func(err error) bool { return errors.As(err, new(*InputError)) },
	"panic": func(err error) bool {
		return errors.As(err, new(*futures.PanicError)) && errors.As(err, new(*InputError))
	},
	"Goexit":                         func(err error) bool { return errors.As(err, new(*futures.PanicError)) },
	"exit":                           func(err error) bool { return errors.Is(err, futures.ErrBroken) },
	"the argument cannot be encoded": says("encoded: pkl5: behaviour_test.Trouble: MarshalBinary: the hook says no"),
	"its argument cannot be decoded": says("its argument cannot be decoded: pkl5: behaviour_test.Trouble: UnmarshalBinary: the hook says no"),
	"its result cannot be encoded":   says("its result cannot be encoded: pkl5: behaviour_test.Trouble: MarshalBinary: the hook says no"),
	"the result cannot be decoded":   says("trouble cannot be decoded: pkl5: behaviour_test.Trouble: UnmarshalBinary: the hook says no"),
}

func says(text string) func(error) bool {
	return func(err error) bool { return strings.HasSuffix(err.Error(), text) }
}

// ways are the ways to fail that a backend has.
func (b backend) ways() (ways []string) {
	for how := range troubles {
		switch {
		case b.shares && (strings.Contains(how, "coded")):
		case how == "exit" && !b.replaces: // a rank that ends takes the job along
		default:
			ways = append(ways, how)
		}
	}
	slices.Sort(ways)
	return ways
}

// inTrouble are elements of which one fails in each way, the first and the last among them, and three others behind each.
func (b backend) inTrouble() (xs []Trouble) {
	for _, how := range b.ways() {
		xs = append(xs, Trouble{len(xs), how})
		for range 3 {
			xs = append(xs, Trouble{N: len(xs)})
		}
	}
	return append(xs, Trouble{len(xs), "error"})
}

// settled checks that every element was told of once, with its result or its own error.
func settled(t *testing.T, what string, xs []Trouble, inOrder bool, results iter.Seq2[Trouble, error]) {
	t.Helper()
	told := make([]int, len(xs))
	n := 0
	for x, err := range results {
		k := x.N
		if err != nil {
			element := new(futures.ElementError)
			if !errors.As(err, &element) {
				t.Errorf("%s: %v", what, err)
				return
			}
			if k = element.Index; xs[k].How == "" || !troubles[xs[k].How](err) {
				t.Errorf("%s: element %d (%s) failed: %v", what, k, xs[k].How, err)
			}
			readsWell(t, k, "trouble", err)
		} else if xs[k].How != "" {
			t.Errorf("%s: element %d (%s) succeeded", what, k, xs[k].How)
		}
		if inOrder && k != n {
			t.Errorf("%s: element %d came where %d was due", what, k, n)
		}
		told[k]++
		n++
	}
	for k, times := range told {
		if times != 1 {
			t.Errorf("%s: element %d was told of %d times", what, k, times)
		}
	}
}

// readsWell checks that an error names the element and the function once.
func readsWell(t *testing.T, k int, fn string, err error) {
	t.Helper()
	text := err.Error()
	if strings.Count(text, fmt.Sprintf("element %d", k)) != 1 || strings.Count(text, fn+" ") != 1 ||
		strings.Count(text, "worker ") > 1 || strings.Contains(text, "\n") || strings.Contains(text, "futures:") {
		t.Errorf("the error of element %d reads %q", k, text)
	}
}

func TestAVerbThatYieldsTellsOfEachElementInItsPlaceHoweverOthersFail(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex, xs := b.start(t, 2), b.inTrouble()
		p := pool.On(ex)
		for k := range 6 {
			trouble, chunk := []futures.Func[Trouble, Trouble]{trouble, troubleInContext}[k%2], []int{1, 3, 1000}[k/2]
			size := futures.WithChunkSize(chunk)
			for what, results := range map[string]iter.Seq2[Trouble, error]{
				"Map":                   futures.Map(within(t), ex, trouble, xs, size),
				"Map of a sequence":     futures.Map(within(t), ex, trouble, slices.Values(xs), size),
				"Starmap with a buffer": futures.Starmap(within(t), ex, trouble, xs, size, futures.WithBufferSize(2)),
				"Imap":                  pool.Imap(within(t), p, trouble, xs, pool.WithChunkSize(chunk)),
				"Istarmap":              pool.Istarmap(within(t), p, trouble, slices.Values(xs), pool.WithChunkSize(chunk)),
			} {
				settled(t, fmt.Sprintf("%s in chunks of %d", what, chunk), xs, true, results)
			}
			for what, results := range map[string]iter.Seq2[Trouble, error]{
				"ImapUnordered":            pool.ImapUnordered(within(t), p, trouble, xs, pool.WithChunkSize(chunk)),
				"IstarmapUnordered":        pool.IstarmapUnordered(within(t), p, trouble, slices.Values(xs), pool.WithChunkSize(chunk)),
				"Map unordered, buffered":  futures.Map(within(t), ex, trouble, xs, size, futures.Unordered(), futures.WithBufferSize(2)),
				"Map unordered of a slice": futures.Map(within(t), ex, trouble, xs, size, futures.Unordered()),
			} {
				settled(t, fmt.Sprintf("%s in chunks of %d", what, chunk), xs, false, results)
			}
		}
	})
}

func TestAVerbThatReturnsAllGoesOnWithKeepGoing(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		p, xs := pool.On(b.start(t, 2)), b.inTrouble()
		check := func(what string, all []Trouble, err error) {
			t.Helper()
			var failed futures.ElementErrors
			if len(all) != len(xs) || !errors.As(err, &failed) {
				t.Errorf("%s: %d results of %d, %v", what, len(all), len(xs), err)
				return
			}
			for k, x := range xs {
				if x.How == "" && all[k] != x {
					t.Errorf("%s: element %d is %v", what, k, all[k])
				}
				if x.How != "" && (len(failed) == 0 || failed[0].Index != k || !troubles[x.How](failed[0])) {
					t.Errorf("%s: element %d (%s) failed: %v", what, k, x.How, failed)
				}
				if x.How != "" {
					failed = failed[1:]
				}
			}
			if len(failed) > 0 {
				t.Errorf("%s: more failures: %v", what, failed)
			}
			if !errors.As(err, new(*InputError)) || !strings.Contains(err.Error(), " elements have failed: element 0: ") {
				t.Errorf("%s: %v", what, err)
			}
		}
		sizes := [][]pool.MapOption{{pool.KeepGoing()}, {pool.WithChunkSize(1), pool.KeepGoing()}, {pool.WithChunkSize(1000), pool.KeepGoing()}}
		for k := range 6 {
			trouble, opts := []futures.Func[Trouble, Trouble]{trouble, troubleInContext}[k%2], sizes[k/2]
			all, err := pool.Map(within(t), p, trouble, xs, opts...)
			check("Map", all, err)
			all, err = pool.Starmap(within(t), p, trouble, slices.Values(xs), opts...)
			check("Starmap", all, err)
			r, err := pool.MapAsync(within(t), p, trouble, xs, opts...)
			if err != nil {
				t.Fatal(err)
			}
			all, err = r.Get(within(t))
			check("MapAsync", all, err)
			r, err = pool.StarmapAsync(within(t), p, trouble, xs, opts...)
			if err != nil {
				t.Fatal(err)
			}
			all, err = r.Get(within(t))
			check("StarmapAsync", all, err)
		}
		good, err := pool.Map(within(t), p, square, upTo(10), pool.KeepGoing())
		if diff := cmp.Diff(squares(10), good); err != nil || diff != "" {
			t.Error(err, diff)
		}
	})
}

// The first element runs until its context ends: an error that waited for it would never come.
func TestAVerbThatReturnsAllFailsAtOnceWhereverTheFailureIs(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		p := pool.On(b.start(t, 2))
		for _, chunk := range []int{1, 2} {
			scenes := func() (xs []scene, dir string) {
				dir = t.TempDir()
				held := func(i int) scene { return scene{place: place{filepath.Join(dir, fmt.Sprint(i)), newGate(t)}} }
				xs = []scene{held(0), {Fails: true}}
				if chunk == 2 { // the failing one is before another in its chunk
					xs = []scene{held(0), held(1), {Fails: true}, held(3)}
				}
				for i := range 10 {
					xs = append(xs, held(10+i))
				}
				return xs, dir
			}
			check := func(what string, dir string, all []int, err error) {
				t.Helper()
				element := new(futures.ElementError)
				if all != nil || !errors.As(err, &element) || element.Index != chunk || !errors.As(err, new(*InputError)) {
					t.Errorf("%s in chunks of %d: %v, %v", what, chunk, all, err)
				}
				eventually(t, "what ran has ended", func() bool { return p.Executor().Stats().Running == 0 })
				if n := files(t, dir); n > 3 {
					t.Errorf("%s in chunks of %d: %d elements began beside the failing one", what, chunk, n)
				}
			}
			xs, dir := scenes()
			all, err := pool.Map(within(t), p, stage, xs, pool.WithChunkSize(chunk))
			check("Map", dir, all, err)
			xs, dir = scenes()
			all, err = pool.Starmap(within(t), p, stage, xs, pool.WithChunkSize(chunk))
			check("Starmap", dir, all, err)
			xs, dir = scenes()
			r, err := pool.MapAsync(within(t), p, stage, xs, pool.WithChunkSize(chunk))
			if err != nil {
				t.Fatal(err)
			}
			all, err = r.Get(within(t))
			check("MapAsync", dir, all, err)
			xs, dir = scenes()
			all, err = gather(futures.Map(within(t), p.Executor(), stage, xs, futures.WithChunkSize(chunk), futures.FailFast()))
			check("Map with FailFast", dir, all[:len(all):len(all)], err)
		}
	})
}

func TestTheEndOfAMapsContextOrExecutorIsOneErrorAndNotAnElements(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		for k, opts := range [][]futures.MapOption{nil, {futures.Unordered()}, {futures.WithBufferSize(1)}, {futures.WithChunkSize(2)}} {
			for name, end := range map[string]func(context.CancelFunc, futures.Executor){
				"its context": func(cancel context.CancelFunc, _ futures.Executor) { cancel() },
				"its executor": func(_ context.CancelFunc, ex futures.Executor) {
					_ = ex.Shutdown(context.Background(), futures.NoWait(), futures.CancelFutures(), futures.InterruptTasks())
				},
			} {
				ex := b.start(t, 1)
				ctx, cancel := context.WithCancel(within(t))
				n := 0
				var last error
				for _, err := range futures.Map(ctx, ex, wait, append([]gate{"", ""}, slices.Repeat([]gate{newGate(t)}, 10)...), opts...) {
					if n++; n == 1 || last == nil && err == nil {
						end(cancel, ex)
					}
					if errors.As(last, new(*futures.ElementError)) {
						last = nil // one whose task has ended with its context
					}
					if last != nil {
						t.Errorf("%s has ended: after %v came %v", name, last, err)
					}
					last = err
				}
				cancel()
				if n == 12 && name == "its executor" {
					continue // all were sent at once, and each has said that its context has ended
				}
				if !errors.Is(last, context.Canceled) && !errors.Is(last, futures.ErrCancelled) && !errors.Is(last, futures.ErrShutdown) ||
					errors.As(last, new(*futures.ElementError)) {
					t.Errorf("%s has ended, options %d: after %d the last error is %v", name, k, n, last)
				}
			}
		}
	})
}

// A chunk of large results: each has left when the next begins, so the loss of the worker costs the one that ran.
func TestALostWorkerCostsOneElementOfAChunkHoweverLargeTheResults(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 2)
		xs := []int{1, 100_000, 10, 300_000, -1, 200, 500_000, 3, -1, -1, 1}
		i := 0
		for y, err := range futures.Map(within(t), ex, longOrExit, xs, futures.WithChunkSize(6)) {
			if x := xs[i]; (err != nil) != (x < 0) || err == nil && (len(y) != x || y[x-1] != float64(x)) {
				t.Errorf("element %d: %d numbers, %v", i, len(y), err)
			} else if err != nil && !errors.Is(err, futures.ErrBroken) {
				t.Error(err)
			}
			i++
		}
		if i != len(xs) {
			t.Errorf("%d of %d", i, len(xs))
		}
		again := 0
		dir := t.TempDir()
		for _, err := range futures.Map(within(t), ex, exitAtFirst, []string{dir + "/a", dir + "/b", dir + "/c"},
			futures.WithChunkSize(3), futures.WithRetries(1)) {
			if err != nil {
				t.Errorf("with a retry: %v", err)
			}
			again++
		}
		if again != 3 {
			t.Errorf("%d of 3 with a retry", again)
		}
	}, replaces) // the journal of a rank is lost with it
}

var longOrExit = futures.Register("longOrExit", func(n int) ([]float64, error) {
	if n < 0 {
		os.Exit(9)
	}
	ys := make([]float64, n)
	ys[n-1] = float64(n)
	return ys, nil
})

// exitAtFirst ends the worker of its first call, and fails at a third.
var exitAtFirst = futures.Register("exitAtFirst", func(name string) (bool, error) {
	for i, n := range []string{name + "1", name + "2"} {
		f, err := os.OpenFile(n, os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			continue
		}
		f.Close()
		if i == 0 {
			os.Exit(9)
		}
		return true, nil
	}
	return false, errors.New("a third call")
})
