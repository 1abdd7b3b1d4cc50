package asyncresult_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"time"

	"github.com/rankpool/rankpool/asyncresult"
	"github.com/rankpool/rankpool/futures"
)

// executor returns one of goroutines, for the examples.
func executor() *futures.ThreadPoolExecutor {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		log.Fatal(err)
	}
	return ex
}

// A pool's results come from its verbs; this makes one of a future.
func ExampleNew() {
	ex := executor()
	f, err := futures.Submit(ex, futures.Local(func(_ context.Context, x int) (int, error) { return 2 * x, nil }), 21)
	if err != nil {
		log.Fatal(err)
	}
	r := asyncresult.New(f)
	r.Callback(func(y int) { fmt.Println("callback:", y) })
	ex.Close() // waits for callbacks
	fmt.Println(r.Get(context.Background()))
	// Output:
	// callback: 42
	// 42 <nil>
}

// The deadline of a context bounds the wait, not the task: a later Get finds the result.
func ExampleAsyncResult_Get() {
	p := futures.NewPromise[string]()
	r := asyncresult.New(p.Future())
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	_, err := r.Get(ctx)
	fmt.Println(errors.Is(err, futures.ErrTimeout), errors.Is(err, context.DeadlineExceeded))
	p.SetResult("here")
	fmt.Println(r.Get(ctx)) // what is ready counts, also when ctx has ended
	// Output:
	// true true
	// here <nil>
}

func ExampleAsyncResult_Wait() {
	p := futures.NewPromise[int]()
	r := asyncresult.New(p.Future())
	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	fmt.Println(r.Wait(ctx)) // not ready, and no error
	p.SetError(errors.New("out of paper"))
	fmt.Println(r.Wait(context.Background())) // ready: how it ended does not matter
	// Output:
	// false
	// true
}

func ExampleAsyncResult_Ready() {
	p := futures.NewPromise[int]()
	r := asyncresult.New(p.Future())
	fmt.Println(r.Ready())
	p.SetResult(42)
	fmt.Println(r.Ready())
	// Output:
	// false
	// true
}

func ExampleAsyncResult_DoneChan() {
	p := futures.NewPromise[int]()
	r := asyncresult.New(p.Future())
	p.SetResult(42)
	select {
	case <-r.DoneChan():
		fmt.Println(r.Get(context.Background()))
	case <-time.After(time.Minute):
		fmt.Println("still waiting")
	}
	// Output: 42 <nil>
}

func ExampleAsyncResult_String() {
	p := futures.NewPromise[int]()
	r := asyncresult.New(p.Future())
	fmt.Println(r)
	p.SetResult(42)
	fmt.Println(r)
	// Output:
	// AsyncResult(not ready)
	// AsyncResult(successful)
}

func ExampleAsyncResult_GetWithin() {
	p := futures.NewPromise[string]()
	r := asyncresult.New(p.Future())
	_, err := r.GetWithin(time.Millisecond)
	fmt.Println(errors.Is(err, futures.ErrTimeout), errors.Is(err, context.DeadlineExceeded))
	p.SetResult("here")
	fmt.Println(r.GetWithin(0)) // asks and does not wait
	// Output:
	// true true
	// here <nil>
}

func ExampleAsyncResult_Successful() {
	p := futures.NewPromise[int]()
	r := asyncresult.New(p.Future())
	_, err := r.Successful()
	fmt.Println(r.Ready(), errors.Is(err, futures.ErrNotReady))
	p.SetError(errors.New("out of paper"))
	ok, err := r.Successful()
	fmt.Println(r.Ready(), ok, err)
	// Output:
	// false true
	// true false <nil>
}

// Callbacks run one after another, in the order in which they were added to a result.
func ExampleAsyncResult_Callback() {
	ex := executor()
	p := futures.NewPromiseOn[int](ex)
	r := asyncresult.New(p.Future())
	r.Callback(func(y int) { fmt.Println("first:", y) })
	r.Callback(func(y int) { fmt.Println("second:", y) }).
		ErrorCallback(func(error) { fmt.Println("not called") })
	p.SetResult(42)
	ex.Close() // waits for callbacks
	// Output:
	// first: 42
	// second: 42
}

func ExampleAsyncResult_ErrorCallback() {
	ex := executor()
	p := futures.NewPromiseOn[int](ex)
	r := asyncresult.New(p.Future())
	r.Callback(func(int) { fmt.Println("not called") })
	r.ErrorCallback(func(err error) { fmt.Println("failed:", err) })
	p.SetError(errors.New("out of paper"))
	ex.Close()
	// Output: failed: out of paper
}

func ExampleAsyncResult_WaitCallbacks() {
	p := futures.NewPromise[int]()
	r := asyncresult.New(p.Future())
	sum := 0
	r.Callback(func(y int) { sum += y })
	p.SetResult(42)
	if err := r.WaitCallbacks(context.Background()); err != nil {
		fmt.Println(err)
	}
	fmt.Println(sum)
	// Output: 42
}

func ExampleAsyncResult_Ran() {
	ex := executor()
	defer ex.Close()
	f, err := futures.Submit(ex, futures.Local(func(_ context.Context, x int) (int, error) {
		time.Sleep(time.Millisecond)
		return 2 * x, nil
	}), 21)
	if err != nil {
		log.Fatal(err)
	}
	r := asyncresult.New(f)
	if _, err := r.Get(context.Background()); err != nil {
		log.Fatal(err)
	}
	info, ran := r.Ran()
	fmt.Println(ran, info.Worker.Index, info.Worker.Attempt, info.Elapsed >= time.Millisecond)
	// Output: true 0 1 true
}
