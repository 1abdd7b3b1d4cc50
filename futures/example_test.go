package futures_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
)

// Functions are registered in package-level variables. With them in a program, its main is
//
//	func main() { futures.Main(run) }
//
// and the bodies of these examples belong into run.
var (
	cube  = futures.Register("example.cube", futures.Pure(func(x int) int { return x * x * x }))
	hypot = futures.Register("example.hypot", futures.Spread(func(a, b float64) (float64, error) { return math.Hypot(a, b), nil }))
	root  = futures.Register("example.root", func(x float64) (float64, error) {
		if x < 0 {
			return 0, ErrNegative
		}
		return math.Sqrt(x), nil
	})
	patient = futures.RegisterContext("example.patient", func(ctx context.Context, _ int) (int, error) {
		<-ctx.Done()
		return 0, ctx.Err()
	})
	greet = futures.RegisterContext("example.greet", func(ctx context.Context, name string) (string, error) {
		word, _ := greeting.Get(ctx)
		return word + ", " + name, nil
	})
	total = futures.RegisterContext("example.total", func(ctx context.Context, x int) (int, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return 0, err
		}
		return comm.Allreduce(ctx, c, x*(c.Rank()+1), comm.Sum[int])
	})

	greeting = futures.RegisterGlobal[string]("example.greeting")

	notebook = futures.RegisterState("example.notebook", openNotebook, (*pages).close)
	jot      = futures.RegisterContext("example.jot", func(ctx context.Context, word string) (int, error) {
		p, err := notebook.Get(ctx)
		if err != nil {
			return 0, err
		}
		p.words = append(p.words, word)
		return len(p.words), nil
	})

	// ErrNegative keeps its identity on the way from a worker.
	ErrNegative = futures.RegisterSentinel("example.ErrNegative", errors.New("negative"))
)

// pages is what each worker has for itself: two tasks may not write at once.
type pages struct{ words []string }

func openNotebook(context.Context) (*pages, error) { return new(pages), nil }

func (p *pages) close() error {
	fmt.Println("written:", strings.Join(p.words, " "))
	return nil
}

func try(err error) {
	if err != nil {
		panic(err)
	}
}

// The parameter of the function says which executor it is. After an error, what is queued is cancelled.
func ExampleWith() {
	ctx := context.Background()
	err := futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		sum := 0
		for y, err := range futures.Map(ctx, ex, cube, []int{1, 2, 3}) {
			if err != nil {
				return err
			}
			sum += y
		}
		fmt.Println(sum)
		return nil // waits for what is queued
	}, futures.WithMaxWorkers(2))
	fmt.Println(err)
	// Output:
	// 36
	// <nil>
}

func ExampleSubmit() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		f, err := futures.Submit(ex, cube, 3)
		if err != nil {
			return err
		}
		y, err := f.Result(ctx)
		fmt.Println(y, err)
		return nil
	}, futures.WithMaxWorkers(2)))
	// Output: 27 <nil>
}

// An error keeps its identity, and says where it happened.
func ExampleRegisterSentinel() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		f, err := futures.Submit(ex, root, -1)
		if err != nil {
			return err
		}
		_, err = f.Result(ctx)
		where := new(futures.RemoteError)
		fmt.Println(errors.Is(err, ErrNegative), errors.As(err, &where), where.Func, where.Message)
		return nil
	}, futures.WithMaxWorkers(2)))
	// Output: true true example.root negative
}

func ExampleMap() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		for y, err := range futures.Map(ctx, ex, cube, []int{1, 2, 3, 4}) {
			if err != nil {
				return err
			}
			fmt.Print(y, " ")
		}
		return nil
	}, futures.WithMaxWorkers(2)))
	// Output: 1 8 27 64
}

// A sequence is drawn as results are read, so it may be endless.
func ExampleMap_sequence() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		var naturals iter.Seq[int] = func(yield func(int) bool) {
			for i := 0; yield(i); i++ {
			}
		}
		for y, err := range futures.Map(ctx, ex, cube, naturals) {
			if err != nil {
				return err
			}
			if y > 100 {
				fmt.Println("the first cube above 100 is", y)
				break
			}
		}
		return nil
	}, futures.WithMaxWorkers(2)))
	// Output: the first cube above 100 is 125
}

func ExampleStarmap() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		sides := futures.Zip([]float64{3, 5, 8}, []float64{4, 12, 15})
		for c, err := range futures.Starmap(ctx, ex, hypot, sides) {
			if err != nil {
				return err
			}
			fmt.Print(c, " ")
		}
		return nil
	}, futures.WithMaxWorkers(2)))
	// Output: 5 13 17
}

func ExampleAsCompleted() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		var fs []*futures.Future[int]
		for x := range 5 {
			f, err := futures.Submit(ex, cube, x)
			if err != nil {
				return err
			}
			fs = append(fs, f)
		}
		sum := 0
		for f, err := range futures.AsCompleted(ctx, fs) {
			if err != nil {
				return err
			}
			y, err := f.Result(ctx)
			if err != nil {
				return err
			}
			sum += y
		}
		fmt.Println(sum)
		return nil
	}, futures.WithMaxWorkers(2)))
	// Output: 100
}

func ExampleWait() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		quick, err := futures.Submit(ex, cube, 2)
		if err != nil {
			return err
		}
		patience, end := context.WithCancel(ctx)
		defer end()
		slow, err := futures.Submit(ex, patient, 0, futures.WithContext(patience))
		if err != nil {
			return err
		}
		done, rest, err := futures.Wait(ctx, []*futures.Future[int]{quick, slow}, futures.FirstCompleted)
		fmt.Println(slices.Contains(done, quick), len(done)+len(rest), err)
		end()
		_, err = slow.Result(ctx)
		fmt.Println(errors.Is(err, context.Canceled))
		return nil
	}, futures.WithMaxWorkers(2)))
	// Output:
	// true 2 <nil>
	// true
}

func ExampleCollect() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		a, err := futures.Submit(ex, cube, 2)
		if err != nil {
			return err
		}
		b, err := futures.Submit(ex, cube, 3)
		if err != nil {
			return err
		}
		fmt.Println(futures.Collect(a, b).Result(ctx))
		return nil
	}, futures.WithMaxWorkers(2)))
	// Output: [8 27] <nil>
}

func ExampleSubmitAfter() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		a, err := futures.Submit(ex, root, 9)
		if err != nil {
			return err
		}
		b, err := futures.SubmitAfter(ex, root, a) // of the result of a
		if err != nil {
			return err
		}
		h, err := futures.SubmitAfter(ex, hypot, futures.Join(a, b))
		if err != nil {
			return err
		}
		v, err := h.Result(ctx)
		fmt.Printf("%.3f %v\n", v, err)
		return nil
	}, futures.WithMaxWorkers(2)))
	// Output: 3.464 <nil>
}

func ExampleAssemble() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ThreadPoolExecutor) error {
		n, err := futures.Submit(ex, cube, 2)
		if err != nil {
			return err
		}
		word, err := futures.Submit(ex, greet, "you")
		if err != nil {
			return err
		}
		in := &struct {
			Times int
			Word  string
		}{}
		all := futures.Assemble(in, futures.Field(&in.Times, n), futures.Field(&in.Word, word))
		fmt.Println(all.Result(ctx))
		return nil
	}))
	// Output: {8 , you} <nil>
}

func ExampleCompose() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		f, err := futures.Submit(ex, root, 2)
		if err != nil {
			return err
		}
		text := futures.Compose(f, func(x float64) (string, error) { return fmt.Sprintf("%.3f", x), nil }, nil)
		fmt.Println(text.Result(ctx))
		return nil
	}, futures.WithMaxWorkers(2)))
	// Output: 1.414 <nil>
}

func ExampleCatch() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		f, err := futures.Submit(ex, root, -4)
		if err != nil {
			return err
		}
		safe := futures.Catch(f, func(error) (float64, error) { return math.NaN(), nil })
		fmt.Println(safe.Result(ctx))
		return nil
	}, futures.WithMaxWorkers(2)))
	// Output: NaN <nil>
}

// A closure has no name by which another process could know it; goroutines need none.
func ExampleLocal() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ThreadPoolExecutor) error {
		suffix := "!"
		shout := futures.Local(func(_ context.Context, s string) (string, error) { return strings.ToUpper(s) + suffix, nil })
		f, err := futures.Submit(ex, shout, "hello")
		if err != nil {
			return err
		}
		fmt.Println(f.Result(ctx))
		return nil
	}))
	// Output: HELLO! <nil>
}

// A global is sent to every worker once, not with every task.
func ExampleWithGlobal() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		f, err := futures.Submit(ex, greet, "Ada")
		if err != nil {
			return err
		}
		fmt.Println(f.Result(ctx))
		return nil
	}, futures.WithMaxWorkers(2), futures.WithGlobal(greeting, "Good morning")))
	// Output: Good morning, Ada <nil>
}

// The state is opened by the first task of a worker, kept for the later ones, and closed when the worker leaves.
func ExampleRegisterState() {
	try(futures.With(context.Background(), func(ex *futures.ThreadPoolExecutor) error {
		for n, err := range futures.Map(context.Background(), ex, jot, []string{"to", "be", "continued"}) {
			if err != nil {
				return err
			}
			fmt.Println(n)
		}
		return nil
	}, futures.WithMaxWorkers(1)))
	// Output:
	// 1
	// 2
	// 3
	// written: to be continued
}

// One call on every worker: they add up what each of them has.
func ExampleSubmitEach() {
	ctx := context.Background()
	try(futures.With(ctx, func(ex *futures.ProcessPoolExecutor) error {
		f, err := futures.SubmitEach(ex, total, 10)
		if err != nil {
			return err
		}
		fmt.Println(f.Result(ctx))
		return nil
	}, futures.WithMaxWorkers(2)))
	// Output: [30 30] <nil>
}

// After a true Cancel the task never runs.
func ExampleFuture_Cancel() {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	try(futures.With(context.Background(), func(ex *futures.ProcessPoolExecutor) error {
		_, err := futures.Submit(ex, patient, 0, futures.WithContext(ctx)) // keeps the worker busy
		if err != nil {
			return err
		}
		f, err := futures.Submit(ex, cube, 3)
		if err != nil {
			return err
		}
		fmt.Println(f.Cancel(), f)
		end()
		return nil
	}, futures.WithMaxWorkers(1)))
	// Output: true Future[int](cancelled)
}

// Without With, Close ends an executor, and waits for what is queued.
func ExampleExecutor_stats() {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2))
	try(err)
	for _, err := range futures.Map(context.Background(), ex, cube, []int{1, 2, 3}) {
		try(err)
	}
	try(ex.Close())
	s := ex.Stats()
	fmt.Println(s.Submitted, s.Done, s.Failed, len(s.Workers))
	// Output: 3 3 0 2
}
