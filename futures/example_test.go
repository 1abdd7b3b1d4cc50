package futures_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"time"

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

	// ErrNegative keeps its identity on the way from a worker.
	ErrNegative = futures.RegisterSentinel("example.ErrNegative", errors.New("negative"))
)

func try(err error) {
	if err != nil {
		panic(err)
	}
}

// pool is a pool of two processes for an example.
func pool(opts ...futures.Option) *futures.ProcessPoolExecutor {
	ex, err := futures.NewProcessPoolExecutor(append(opts, futures.WithMaxWorkers(2))...)
	try(err)
	return ex
}

func ExampleSubmit() {
	ex := pool()
	defer ex.Close()
	f, err := futures.Submit(ex, cube, 3)
	try(err)
	y, err := f.Result(context.Background())
	fmt.Println(y, err)
	// Output: 27 <nil>
}

// An error keeps its identity, and says where it happened.
func ExampleRegisterSentinel() {
	ex := pool()
	defer ex.Close()
	f, err := futures.Submit(ex, root, -1)
	try(err)
	_, err = f.Result(context.Background())
	where := new(futures.RemoteError)
	fmt.Println(errors.Is(err, ErrNegative), errors.As(err, &where), where.Func, where.Message)
	// Output: true true example.root negative
}

func ExampleMap() {
	ex := pool()
	defer ex.Close()
	for y, err := range futures.Map(context.Background(), ex, cube, []int{1, 2, 3, 4}) {
		try(err)
		fmt.Print(y, " ")
	}
	// Output: 1 8 27 64
}

// A sequence is drawn as results are read, so it may be endless.
func ExampleMap_sequence() {
	ex := pool()
	defer ex.Close()
	var naturals iter.Seq[int] = func(yield func(int) bool) {
		for i := 0; yield(i); i++ {
		}
	}
	for y, err := range futures.Map(context.Background(), ex, cube, naturals) {
		try(err)
		if y > 100 {
			fmt.Println("the first cube above 100 is", y)
			break
		}
	}
	// Output: the first cube above 100 is 125
}

func ExampleStarmap() {
	ex := pool()
	defer ex.Close()
	sides := futures.Zip([]float64{3, 5, 8}, []float64{4, 12, 15})
	for c, err := range futures.Starmap(context.Background(), ex, hypot, sides) {
		try(err)
		fmt.Print(c, " ")
	}
	// Output: 5 13 17
}

func ExampleAsCompleted() {
	ex := pool()
	defer ex.Close()
	var fs []*futures.Future[int]
	for x := range 5 {
		f, err := futures.Submit(ex, cube, x)
		try(err)
		fs = append(fs, f)
	}
	sum := 0
	for f, err := range futures.AsCompleted(context.Background(), fs) {
		try(err)
		y, err := f.Result(context.Background())
		try(err)
		sum += y
	}
	fmt.Println(sum)
	// Output: 100
}

func ExampleWait() {
	ex := pool()
	defer ex.Close()
	quick, err := futures.Submit(ex, cube, 2)
	try(err)
	slow, err := futures.Submit(ex, patient, 0, futures.WithTaskTimeout(50*time.Millisecond))
	try(err)
	done, rest, err := futures.Wait(context.Background(), []*futures.Future[int]{quick, slow}, futures.FirstCompleted)
	fmt.Println(slices.Contains(done, quick), len(done)+len(rest), err)
	_, err = slow.Result(context.Background())
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// true 2 <nil>
	// true
}

func ExampleCollect() {
	ex := pool()
	defer ex.Close()
	a, err := futures.Submit(ex, cube, 2)
	try(err)
	b, err := futures.Submit(ex, cube, 3)
	try(err)
	fmt.Println(futures.Collect(a, b).Result(context.Background()))
	// Output: [8 27] <nil>
}

func ExampleCompose() {
	ex := pool()
	defer ex.Close()
	f, err := futures.Submit(ex, root, 2)
	try(err)
	text := futures.Compose(f, func(x float64) (string, error) { return fmt.Sprintf("%.3f", x), nil }, nil)
	fmt.Println(text.Result(context.Background()))
	// Output: 1.414 <nil>
}

func ExampleCatch() {
	ex := pool()
	defer ex.Close()
	f, err := futures.Submit(ex, root, -4)
	try(err)
	safe := futures.Catch(f, func(error) (float64, error) { return math.NaN(), nil })
	fmt.Println(safe.Result(context.Background()))
	// Output: NaN <nil>
}

// A closure has no name by which another process could know it; goroutines need none.
func ExampleLocal() {
	ex, err := futures.NewThreadPoolExecutor()
	try(err)
	defer ex.Close()
	suffix := "!"
	shout := futures.Local(func(_ context.Context, s string) (string, error) { return strings.ToUpper(s) + suffix, nil })
	f, err := futures.Submit(ex, shout, "hello")
	try(err)
	fmt.Println(f.Result(context.Background()))
	// Output: HELLO! <nil>
}

// A global is sent to every worker once, not with every task.
func ExampleWithGlobal() {
	ex := pool(futures.WithGlobal(greeting, "Good morning"))
	defer ex.Close()
	f, err := futures.Submit(ex, greet, "Ada")
	try(err)
	fmt.Println(f.Result(context.Background()))
	// Output: Good morning, Ada <nil>
}

// One call on every worker: they add up what each of them has.
func ExampleSubmitEach() {
	ex := pool()
	defer ex.Close()
	f, err := futures.SubmitEach(ex, total, 10)
	try(err)
	fmt.Println(f.Result(context.Background()))
	// Output: [30 30] <nil>
}

// After a true Cancel the task never runs.
func ExampleFuture_Cancel() {
	ex, err := futures.NewProcessPoolExecutor(futures.WithMaxWorkers(1))
	try(err)
	defer ex.Close()
	_, err = futures.Submit(ex, patient, 0, futures.WithTaskTimeout(50*time.Millisecond)) // keeps the worker busy
	try(err)
	f, err := futures.Submit(ex, cube, 3)
	try(err)
	fmt.Println(f.Cancel(), f)
	// Output: true Future[int](cancelled)
}

func ExampleExecutor_stats() {
	ex := pool()
	for _, err := range futures.Map(context.Background(), ex, cube, []int{1, 2, 3}) {
		try(err)
	}
	try(ex.Close())
	s := ex.Stats()
	fmt.Println(s.Submitted, s.Done, s.Failed, len(s.Workers))
	// Output: 3 3 0 2
}
