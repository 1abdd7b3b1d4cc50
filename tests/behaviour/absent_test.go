package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/asyncresult"
	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

// errorTypes are all error types that users can name.
var errorTypes = map[string]error{
	"RemoteError": &futures.RemoteError{}, "PanicError": &futures.PanicError{}, "BrokenError": &futures.BrokenError{},
	"MismatchError": &futures.MismatchError{}, "PeerError": &futures.PeerError{}, "ShutdownError": &futures.ShutdownError{},
	"ElementError": &futures.ElementError{}, "RecordedError": &futures.RecordedError{}, "InputError": &futures.InputError{},
}

func TestAnErrorThatIsNotOrPartlyFilledCanBeUsedLikeAnyOther(t *testing.T) {
	for name, zero := range errorTypes {
		for what, err := range partlyFilled(zero) {
			func() {
				defer func() {
					if v := recover(); v != nil {
						t.Errorf("%s with %s panics: %v", name, what, v)
					}
				}()
				text := err.Error()
				if text == "" || strings.Contains(text, "\n") {
					t.Errorf("%s with %s says %q", name, what, text)
				}
				for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
					if s := fmt.Sprintf(verb, err); strings.Contains(s, "PANIC") || s == "" {
						t.Errorf("%s with %s in %s is %q", name, what, verb, s)
					}
				}
				_ = errors.Unwrap(err)
				_ = errors.Is(err, fs.ErrNotExist)
				var path *fs.PathError
				_ = errors.As(err, &path)
				wrapped := fmt.Errorf("wrapped: %w", err)
				if !errors.Is(wrapped, err) || wrapped.Error() != "wrapped: "+text {
					t.Errorf("%s with %s is lost when it is wrapped", name, what)
				}
			}()
		}
	}
}

// partlyFilled returns an error as it is, with each exported field alone, and with all but each.
func partlyFilled(zero error) map[string]error {
	t := reflect.TypeOf(zero).Elem()
	all := map[string]error{"nothing": zero}
	for i := range t.NumField() {
		if !t.Field(i).IsExported() {
			continue
		}
		alone, others := reflect.New(t), reflect.New(t)
		for j := range t.NumField() {
			if t.Field(j).IsExported() {
				fill(others.Elem().Field(j), i != j)
				fill(alone.Elem().Field(j), i == j)
			}
		}
		all["only "+t.Field(i).Name] = alone.Interface().(error)
		all["all but "+t.Field(i).Name] = others.Interface().(error)
	}
	return all
}

func fill(v reflect.Value, really bool) {
	if !really {
		return
	}
	switch v.Interface().(type) {
	case int:
		v.SetInt(-1)
	case string:
		v.SetString("text")
	case bool:
		v.SetBool(true)
	case time.Time:
		v.Set(reflect.ValueOf(time.Now()))
	case []futures.RunningTask:
		v.Set(reflect.ValueOf([]futures.RunningTask{{}, {Func: "f", Pid: 1}, {Thread: true, Since: time.Now()}}))
	default:
		v.Set(reflect.ValueOf(errors.New("the cause")))
	}
}

func TestNoExportedErrorTypeIsForgotten(t *testing.T) {
	for _, dir := range []string{"../../futures", "../../pool", "../../asyncresult", "../../threadpool", "../../comm"} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if !strings.HasSuffix(e.Name(), ".go") || strings.HasSuffix(e.Name(), "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), dir+"/"+e.Name(), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range f.Decls {
				g, ok := d.(*ast.GenDecl)
				if !ok || g.Tok != token.TYPE {
					continue
				}
				for _, s := range g.Specs {
					name := s.(*ast.TypeSpec).Name.Name
					if _, known := errorTypes[name]; ast.IsExported(name) && strings.HasSuffix(name, "Error") && !known {
						t.Errorf("%s of %s is not in errorTypes", name, dir)
					}
				}
			}
		}
	}
}

// wrapped is an executor of another package, which has forgotten the one inside.
type wrapped struct{ futures.Executor }

func TestWhatIsGivenAnExecutorThatIsNotThereReturnsAnErrorThatSaysSo(t *testing.T) {
	ctx := t.Context()
	nothing := map[string]futures.Executor{
		"nil": nil, "a nil MPIPoolExecutor": (*futures.MPIPoolExecutor)(nil), "a nil ProcessPoolExecutor": (*futures.ProcessPoolExecutor)(nil),
		"a nil ThreadPoolExecutor": (*futures.ThreadPoolExecutor)(nil), "a wrapped nil": wrapped{}, "a pointer to one": &wrapped{},
	}
	zero := map[string]futures.Executor{
		"a zero MPIPoolExecutor": new(futures.MPIPoolExecutor), "a zero ProcessPoolExecutor": new(futures.ProcessPoolExecutor),
		"a zero ThreadPoolExecutor": new(futures.ThreadPoolExecutor), "a wrapped zero": wrapped{new(futures.MPIPoolExecutor)},
	}
	check := func(name string, ex futures.Executor, says string) {
		refused := func(verb string, err error) {
			if err == nil || !strings.HasPrefix(err.Error(), "futures: the executor is "+says) {
				t.Errorf("%s of %s: %v", verb, name, err)
			}
		}
		for _, fn := range []futures.Func[int, int]{square, {}} {
			_, err := futures.Submit(ex, fn, 1)
			refused("Submit", err)
			_, err = futures.SubmitEach(ex, fn, 1)
			refused("SubmitEach", err)
			_, err = futures.SubmitAfter(ex, fn, futures.NewFuture[int]())
			refused("SubmitAfter", err)
			for _, err := range futures.Map(ctx, ex, fn, []int{1}) {
				refused("Map", err)
			}
			for _, err := range futures.Starmap(ctx, ex, fn, slices.Values([]int{1})) {
				refused("Starmap", err)
			}
		}
		func() {
			defer func() {
				if v := fmt.Sprint(recover()); !strings.HasPrefix(v, "futures: NewPromiseOn: the executor is "+says) {
					t.Errorf("NewPromiseOn of %s: %v", name, v)
				}
			}()
			futures.NewPromiseOn[int](ex)
		}()
		if v := reflect.ValueOf(ex); !v.IsValid() || v.Type().Name() == "wrapped" || v.Type().String() == "*behaviour_test.wrapped" && says == "nil" {
			return // somebody else's, or none at all, which has no methods
		}
		_, err := ex.NumWorkers(ctx)
		refused("NumWorkers", err)
		refused("Bootup", ex.Bootup(ctx))
		refused("Start", ex.Start())
		refused("Shutdown", ex.Shutdown(ctx, futures.NoWait()))
		refused("Close", ex.Close())
		if ex.Backend() != "" || ex.Stats().Workers != nil {
			t.Errorf("%s says it is %s, with %v", name, ex.Backend(), ex.Stats())
		}
	}
	for name, ex := range nothing {
		check(name, ex, "nil")
	}
	for name, ex := range zero {
		check(name, ex, "a zero value")
	}
}

func TestAFunctionThatIsNotThereIsRefused(t *testing.T) {
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	refused := func(verb string, err error) {
		if err == nil || !strings.Contains(err.Error(), "not registered") {
			t.Errorf("%s: %v", verb, err)
		}
	}
	var none futures.Func[int, int]
	_, err = futures.Submit(ex, none, 1)
	refused("Submit", err)
	_, err = futures.SubmitEach(ex, none, 1)
	refused("SubmitEach", err)
	_, err = futures.SubmitAfter(ex, none, futures.NewFuture[int]())
	refused("SubmitAfter", err)
	for _, err := range futures.Map(t.Context(), ex, none, []int{}) {
		refused("Map", err)
	}
	_, err = futures.NewThreadPoolExecutor(futures.WithInitializer(none, 1))
	refused("WithInitializer", err)
	_, err = futures.NewThreadPoolExecutor(futures.WithGlobal(futures.Global[int]{}, 1))
	refused("WithGlobal", err)
	if none.Name() == "" {
		t.Error("it has no name")
	}
	_, err = (futures.Global[int]{}).Get(t.Context())
	refused("Get of a global", err)
	refused("Set of a global", (futures.Global[int]{}).Set(ex, 1))
}

func TestAFutureThatIsNotThereIsAnErrorWhereverItIsUsed(t *testing.T) {
	ctx := t.Context()
	const says = "futures: the future is nil"
	refused := func(verb string, err error) {
		if err == nil || !strings.HasPrefix(err.Error(), says) {
			t.Errorf("%s: %v", verb, err)
		}
	}
	var none *futures.Future[int]
	there := new(futures.Future[int])
	_, err := none.Result(ctx)
	refused("Result", err)
	_, err = none.ResultWithin(time.Second)
	refused("ResultWithin", err)
	_, err = none.Exception(ctx)
	refused("Exception", err)
	if s := none.String(); s != "Future[int](nil)" {
		t.Error(s)
	}
	for _, mode := range []futures.WaitMode{futures.AllCompleted, futures.FirstCompleted, futures.FirstException} {
		_, _, err = futures.Wait(ctx, []*futures.Future[int]{there, none}, mode)
		refused("Wait", err)
		_, _, err = futures.Wait(ctx, []futures.Awaitable{nil}, mode)
		refused("Wait", err)
	}
	for f, err := range futures.AsCompleted(ctx, []*futures.Future[int]{none, there}) {
		if f != nil {
			t.Error("a future comes with the error")
		}
		refused("AsCompleted", err)
	}
	failed := func(verb string, f *futures.Future[int]) {
		_, err := f.ResultWithin(time.Minute)
		refused(verb, err)
	}
	same := func(x int) (int, error) { return x, nil }
	failed("Compose", futures.Compose(none, same, nil))
	failed("Then", futures.Then(none, same, nil))
	failed("Catch", futures.Catch(none, func(err error) (int, error) { return 0, err }))
	failed("ThenChain", futures.ThenChain(none, func(int) (*futures.Future[int], error) { return there, nil }, nil))
	_, err = futures.Collect(there, none).ResultWithin(time.Minute)
	refused("Collect", err)
	if !there.Cancelled() {
		t.Error("a nil future does not fail Collect as another one does")
	}
	recovers := futures.Catch(none, func(err error) (int, error) { return len(err.Error()), nil })
	if n, err := recovers.ResultWithin(time.Minute); n < len(says) || err != nil {
		t.Errorf("the handler of errors got %d, %v", n, err)
	}
}

func TestAPoolAResultAndACommunicatorThatAreNotThereAreErrors(t *testing.T) {
	ctx := t.Context()
	refused := func(verb string, err error) {
		if err == nil || !strings.Contains(err.Error(), "there is no ") {
			t.Errorf("%s: %v", verb, err)
		}
	}
	for _, p := range []*pool.Pool{nil, {}} {
		_, err := pool.Apply(ctx, p, square, 1)
		refused("Apply", err)
		_, err = pool.ApplyAsync(p, square, 1)
		refused("ApplyAsync", err)
		_, err = pool.Map(ctx, p, square, []int{1})
		refused("Map", err)
		_, err = pool.MapAsync(ctx, p, square, []int{1})
		refused("MapAsync", err)
		_, err = pool.Starmap(ctx, p, square, []int{})
		refused("Starmap", err)
		_, err = pool.StarmapAsync(ctx, p, square, []int{})
		refused("StarmapAsync", err)
		for _, err := range pool.Imap(ctx, p, square, []int{1}) {
			refused("Imap", err)
		}
		for _, err := range pool.IstarmapUnordered(ctx, p, square, []int{1}, pool.WithProgress(nil)) {
			refused("IstarmapUnordered", err)
		}
		p.Close()
		p.Terminate()
		refused("Join", p.Join(ctx))
		if p.Executor() != nil {
			t.Error("it has an executor")
		}
	}
	for _, r := range []*asyncresult.AsyncResult[int]{nil, {}} {
		_, err := r.Get(ctx)
		refused("Get", err)
		_, err = r.GetWithin(time.Second)
		refused("GetWithin", err)
		ok, err := r.Successful()
		if ok || err != nil || !r.Ready() || !r.Wait(ctx) || r.String() != "AsyncResult(failed)" {
			t.Errorf("%v, %v, %v", ok, err, r)
		}
		<-r.DoneChan()
		called := false
		r.Callback(func(int) { t.Error("it has a value") }).ErrorCallback(func(err error) { called = true; refused("ErrorCallback", err) })
		if !called {
			t.Error("the callback was not called")
		}
	}
	for name, f := range map[string]func(){
		"On":  func() { pool.On((*futures.MPIPoolExecutor)(nil)) },
		"New": func() { asyncresult.New[int](nil) },
	} {
		func() {
			defer func() {
				if v := fmt.Sprint(recover()); !strings.Contains(v, " is nil; ") {
					t.Errorf("%s: %s", name, v)
				}
			}()
			f()
		}()
	}
	for _, c := range []*comm.Comm{nil, {}} {
		refused("Send", comm.Send(ctx, c, 1, 0, 0))
		_, err := comm.Recv[int](ctx, c, 0, 0)
		refused("Recv", err)
		refused("Barrier", c.Barrier(ctx))
		_, err = comm.Bcast(ctx, c, 1, 0)
		refused("Bcast", err)
		_, err = comm.Reduce(ctx, c, 1, comm.Sum[int], 0)
		refused("Reduce", err)
		_, err = comm.Allreduce(ctx, c, 1, comm.Sum[int])
		refused("Allreduce", err)
		_, err = comm.Gather(ctx, c, 1, 0)
		refused("Gather", err)
		_, err = comm.Allgather(ctx, c, 1)
		refused("Allgather", err)
		_, err = comm.Scatter(ctx, c, []int{1}, 0)
		refused("Scatter", err)
		_, err = comm.Alltoall(ctx, c, []int{1})
		refused("Alltoall", err)
		_, err = comm.Sendrecv[int](ctx, c, 1, 0, 0, 0, 0)
		refused("Sendrecv", err)
		_, err = comm.Isend(ctx, c, 1, 0, 0)
		refused("Isend", err)
		_, err = comm.Irecv[int](ctx, c, 0, 0)
		refused("Irecv", err)
		_, err = comm.Probe(ctx, c, 0, 0)
		refused("Probe", err)
		_, _, err = comm.Iprobe(c, 0, 0)
		refused("Iprobe", err)
		_, err = comm.Scan(ctx, c, 1, comm.Sum[int])
		refused("Scan", err)
		_, err = comm.Exscan(ctx, c, 1, comm.Sum[int])
		refused("Exscan", err)
		_, err = comm.ReduceScatter(ctx, c, []int{1}, comm.Sum[int])
		refused("ReduceScatter", err)
		_, _, err = comm.Gatherv(ctx, c, []int{1}, 0)
		refused("Gatherv", err)
		_, _, err = comm.Allgatherv(ctx, c, []int{1})
		refused("Allgatherv", err)
		_, err = comm.Scatterv(ctx, c, []int{1}, []int{1}, 0)
		refused("Scatterv", err)
		_, _, err = comm.Alltoallv(ctx, c, []int{1}, []int{1})
		refused("Alltoallv", err)
		_, err = c.Split(ctx, 0, 0)
		refused("Split", err)
		_, err = c.Dup(ctx)
		refused("Dup", err)
		if c.Rank() != -1 || c.Size() != 0 || c.String() != "no communicator" {
			t.Errorf("%v: rank %d of %d", c, c.Rank(), c.Size())
		}
		if _, err := comm.Reduce[int](ctx, c, 1, nil, 0); err == nil || !strings.Contains(err.Error(), "the operation is nil") {
			t.Errorf("no operation: %v", err)
		}
	}
	for _, r := range []*comm.Request[int]{nil, {}} {
		_, err := r.Result(ctx)
		refused("Result", err)
		<-r.DoneChan()
		if !r.Done() || r.Cancel() {
			t.Error("a request that is not there")
		}
		_, err = comm.WaitAll(ctx, r)
		refused("WaitAll", err)
	}
	if _, err := futures.CommWorkers(context.Background()); !errors.Is(err, futures.ErrNoWorkersComm) {
		t.Error(err)
	}
}
