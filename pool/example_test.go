package pool_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

// The functions of the examples. Every process of the program registers them before Main.
var (
	square = futures.Register("square", func(x int) (int, error) { return x * x, nil })
	power  = futures.Register("power", futures.Spread(func(x, n int) (int, error) {
		y := 1
		for range n {
			y *= x
		}
		return y, nil
	}))
	half = futures.Register("half", func(x int) (int, error) {
		if x%2 != 0 {
			return 0, fmt.Errorf("%d is odd", x)
		}
		return x / 2, nil
	})
	tryHalf = futures.Register("tryHalf", futures.Pure(func(x int) halved {
		if x%2 != 0 {
			return halved{Problem: fmt.Sprintf("%d is odd", x)}
		}
		return halved{Half: x / 2}
	}))
	greet = futures.Register("greet", func(g greeting) (string, error) {
		if g.Word == "" {
			g.Word = "hello" // a default, as of a keyword argument
		}
		s := g.Word + ", " + g.Name
		if g.Loud {
			s = strings.ToUpper(s)
		}
		return s, nil
	})

	nap = futures.Register("nap", func(d time.Duration) (struct{}, error) { time.Sleep(d); return struct{}{}, nil })

	prefix    string // of this worker
	setPrefix = futures.Register("setPrefix", func(s string) (struct{}, error) { prefix = s; return struct{}{}, nil })
	prefixed  = futures.Register("prefixed", func(s string) (string, error) { return prefix + s, nil })
)

// halved is what became of one number.
type halved struct {
	Half    int
	Problem string // empty if it could be halved
}

// greeting is the arguments of greet.
type greeting struct {
	Name string
	Word string
	Loud bool
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// start returns a pool for an example about the end of one. In a program this stands inside the function that Main is given.
func start() (context.Context, *pool.Pool) {
	p, err := pool.New(pool.WithProcesses(2))
	check(err)
	return context.Background(), p
}

// After an error, what is queued is cancelled.
func ExampleWith() {
	ctx := context.Background()
	err := pool.With(ctx, func(p *pool.Pool) error {
		ys, err := pool.Map(ctx, p, square, []int{1, 2, 3})
		if err != nil {
			return err
		}
		fmt.Println(ys)
		return nil // waits for what is queued
	},
		pool.WithProcesses(2),
		pool.WithInitializer(setPrefix, "worker: "),     // every worker, before its first task
		futures.WithEnv(map[string]string{"LANG": "C"}), // any option of an executor
	)
	fmt.Println(err)
	// Output:
	// [1 4 9]
	// <nil>
}

// Without With, Join ends a pool.
func ExampleNew() {
	ctx := context.Background()
	p, err := pool.New(pool.WithProcesses(2))
	check(err)
	fmt.Println(pool.Apply(ctx, p, square, 3))
	fmt.Println(p.Join(ctx))
	// Output:
	// 9 <nil>
	// <nil>
}

func ExampleNew_badOptions() {
	_, err := pool.New(pool.WithProcesses(0))
	fmt.Println(err)
	// Output: pool: New: futures: NewMPIPoolExecutor: WithMaxWorkers(0): there must be at least 1 worker
}

func ExampleOn() {
	ctx := context.Background()
	check(futures.With(ctx, func(ex *futures.ThreadPoolExecutor) error {
		p := pool.On(ex)
		fmt.Println(pool.Map(ctx, p, square, []int{1, 2, 3}))
		return p.Join(ctx)
	}, futures.WithMaxWorkers(2)))
	// Output: [1 4 9] <nil>
}

func ExampleApply() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		fmt.Println(pool.Apply(ctx, p, square, 7))
		_, err := pool.Apply(ctx, p, half, 7)
		var remote *futures.RemoteError
		fmt.Println(errors.As(err, &remote) && remote.Message == "7 is odd")
		return nil
	}, pool.WithProcesses(2)))
	// Output:
	// 49 <nil>
	// true
}

// What Python passes as keyword arguments is a struct.
func ExampleApply_keywordArguments() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		fmt.Println(pool.Apply(ctx, p, greet, greeting{Name: "world", Loud: true}))
		fmt.Println(pool.Apply(ctx, p, greet, greeting{Name: "world", Word: "goodbye"}))
		return nil
	}, pool.WithProcesses(2)))
	// Output:
	// HELLO, WORLD <nil>
	// goodbye, world <nil>
}

func ExampleApplyAsync() {
	ctx, p := start()
	r, err := pool.ApplyAsync(p, square, 7)
	if err != nil {
		log.Fatal(err)
	}
	r.Callback(func(y int) { fmt.Println("callback:", y) })
	r.ErrorCallback(func(err error) { fmt.Println("failed:", err) })
	if err := p.Join(ctx); err != nil { // waits for callbacks too
		log.Fatal(err)
	}
	fmt.Println(r.Get(ctx))
	// Output:
	// callback: 49
	// 49 <nil>
}

func ExampleMap() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		fmt.Println(pool.Map(ctx, p, square, []int{1, 2, 3, 4}))
		fmt.Println(pool.Map(ctx, p, square, slices.Values([]int{5, 6}), pool.WithChunkSize(1)))
		return nil
	}, pool.WithProcesses(2)))
	// Output:
	// [1 4 9 16] <nil>
	// [25 36] <nil>
}

func ExampleKeepGoing() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		ys, err := pool.Map(ctx, p, half, []int{2, 3, 4, 5}, pool.KeepGoing())
		fmt.Println(ys)
		var failed futures.ElementErrors
		if errors.As(err, &failed) {
			for _, e := range failed {
				fmt.Println("element", e.Index, "has failed")
			}
		}
		return nil
	}, pool.WithProcesses(2)))
	// Output:
	// [1 0 2 0]
	// element 1 has failed
	// element 3 has failed
}

func ExampleMapAsync() {
	ctx, p := start()
	r, err := pool.MapAsync(ctx, p, half, []int{2, 4, 6})
	if err != nil {
		log.Fatal(err)
	}
	r.Callback(func(ys []int) { fmt.Println("callback:", ys) })
	if err := p.Join(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(r.Successful())
	// Output:
	// callback: [1 2 3]
	// true <nil>
}

func ExampleImap() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		for y, err := range pool.Imap(ctx, p, half, []int{2, 4, 7, 8}) {
			if err != nil { // in its place; the results after it follow
				fmt.Println("7 is odd")
				break
			}
			fmt.Println(y)
		}
		return nil
	}, pool.WithProcesses(2)))
	// Output:
	// 1
	// 2
	// 7 is odd
}

// Where one failure must not end the others, it is a part of the result and not an error of the task.
func ExampleImapUnordered_failures() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		done, failed := 0, 0
		for o, err := range pool.ImapUnordered(ctx, p, tryHalf, []int{2, 3, 4, 5, 6}) {
			switch {
			case err != nil: // the pool is broken, or ctx has ended
				return err
			case o.Problem != "":
				failed++
			default:
				done++
			}
		}
		fmt.Println(done, "done,", failed, "failed")
		return nil
	}, pool.WithProcesses(2)))
	// Output: 3 done, 2 failed
}

// A sequence is drawn as results are read, so it may be endless.
func ExampleImap_endless() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		var naturals iter.Seq[int] = func(yield func(int) bool) {
			for n := 1; yield(n); n++ {
			}
		}
		for y, err := range pool.Imap(ctx, p, square, naturals) {
			if err != nil || y > 20 {
				break // cancels what is under way
			}
			fmt.Println(y)
		}
		return nil
	}, pool.WithProcesses(2)))
	// Output:
	// 1
	// 4
	// 9
	// 16
}

func ExampleImapUnordered() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		for y, err := range pool.ImapUnordered(ctx, p, square, []int{1, 2, 3}) {
			if err != nil {
				return err
			}
			fmt.Println(y)
		}
		return nil
	}, pool.WithProcesses(2)))
	// Unordered output:
	// 9
	// 1
	// 4
}

func ExampleStarmap() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		fmt.Println(pool.Starmap(ctx, p, power, futures.Zip([]int{2, 3, 10}, []int{8, 3, 2})))
		return nil
	}, pool.WithProcesses(2)))
	// Output: [256 27 100] <nil>
}

func ExampleStarmapAsync() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		r, err := pool.StarmapAsync(ctx, p, power, futures.Zip([]int{2, 3}, []int{10, 2}))
		if err != nil {
			return err
		}
		<-r.DoneChan() // or Wait, or a select
		fmt.Println(r.Get(ctx))
		return nil
	}, pool.WithProcesses(2)))
	// Output: [1024 9] <nil>
}

func ExampleIstarmap() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		for y, err := range pool.Istarmap(ctx, p, power, futures.Zip([]int{2, 3}, []int{10, 2})) {
			fmt.Println(y, err)
		}
		return nil
	}, pool.WithProcesses(2)))
	// Output:
	// 1024 <nil>
	// 9 <nil>
}

func ExampleIstarmapUnordered() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		for y, err := range pool.IstarmapUnordered(ctx, p, power, futures.Zip([]int{2, 3}, []int{10, 2})) {
			fmt.Println(y, err)
		}
		return nil
	}, pool.WithProcesses(2)))
	// Unordered output:
	// 9 <nil>
	// 1024 <nil>
}

func ExamplePool_Close() {
	ctx, p := start()
	r, err := pool.ApplyAsync(p, square, 3)
	if err != nil {
		log.Fatal(err)
	}
	p.Close() // forbids further calls and does not wait
	_, err = pool.Apply(ctx, p, square, 4)
	fmt.Println(errors.Is(err, futures.ErrShutdown))
	fmt.Println(p.Join(ctx)) // waits
	fmt.Println(r.Get(ctx))
	// Output:
	// true
	// <nil>
	// 9 <nil>
}

func ExamplePool_Terminate() {
	ctx, p := start()
	naps := slices.Repeat([]time.Duration{10 * time.Millisecond}, 100_000)
	r, err := pool.MapAsync(ctx, p, nap, naps, pool.WithChunkSize(1))
	if err != nil {
		log.Fatal(err)
	}
	p.Terminate() // cancels what has not begun and does not wait
	_, err = r.Get(ctx)
	fmt.Println(errors.Is(err, futures.ErrCancelled), p.Join(ctx))
	// Output: true <nil>
}

func ExamplePool_Join() {
	ctx, p := start()
	sum := 0 // callbacks run one after another, and Join waits for all: no lock is needed
	for x := range 10 {
		r, err := pool.ApplyAsync(p, square, x)
		if err != nil {
			log.Fatal(err)
		}
		r.Callback(func(y int) { sum += y })
	}
	if err := p.Join(ctx); err != nil {
		log.Fatal(err)
	}
	fmt.Println(sum)
	// Output: 285
}

func ExamplePool_Executor() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		n, err := p.Executor().NumWorkers(ctx)
		fmt.Println(n, err)
		return nil
	}, pool.WithProcesses(2)))
	// Output: 2 <nil>
}

func ExampleWithProgress() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		var log strings.Builder // os.Stderr, in a program: on a terminal it is a bar
		ys, err := pool.Map(ctx, p, square, []int{1, 2, 3}, pool.WithProgress(&log))
		fmt.Println(ys, err)
		fmt.Println(strings.HasPrefix(log.String(), "Map: 3/3 (100%)"))
		return nil
	}, pool.WithProcesses(2)))
	// Output:
	// [1 4 9] <nil>
	// true
}

func ExampleWithChunkSize() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		fmt.Println(pool.Map(ctx, p, square, []int{1, 2, 3}, pool.WithChunkSize(2)))
		fmt.Println(pool.Map(ctx, p, square, []int{1, 2, 3}, pool.WithChunkSize(0)))
		return nil
	}, pool.WithProcesses(2)))
	// Output:
	// [1 4 9] <nil>
	// [] pool: Map: the chunk size is 0; it must be at least 1
}

func ExampleWithProcesses() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		fmt.Println(p.Executor().NumWorkers(ctx))
		return nil
	}, pool.WithProcesses(3)))
	// Output: 3 <nil>
}

func ExampleWithInitializer() {
	ctx := context.Background()
	check(pool.With(ctx, func(p *pool.Pool) error {
		s, err := pool.Apply(ctx, p, prefixed, "")
		fmt.Println(s == os.TempDir(), err)
		return nil
	}, pool.WithProcesses(2), pool.WithInitializer(setPrefix, os.TempDir())))
	// Output: true <nil>
}
