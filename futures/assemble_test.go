package futures_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

// mixed is a value of several types.
type mixed struct {
	Name  string
	N     int
	Texts []string
}

func TestAssembleOfNothingIsTheValueItself(t *testing.T) {
	v, err := futures.Assemble(&mixed{Name: "a"}).ResultWithin(0)
	if v.Name != "a" || err != nil {
		t.Error(v, err)
	}
}

func TestAssembledPartsGoToTheirPlacesInAnyOrder(t *testing.T) {
	n, a, b := futures.NewPromise[int](), futures.NewPromise[string](), futures.NewPromise[string]()
	m := &mixed{Name: "kept", Texts: make([]string, 2)}
	f := futures.Assemble(m, futures.Field(&m.N, n.Future()), futures.Field(&m.Texts[0], a.Future()), futures.Field(&m.Texts[1], b.Future()))
	for _, set := range []func() error{func() error { return b.SetResult("y") }, func() error { return n.SetResult(3) }, func() error { return a.SetResult("x") }} {
		wantState(t, f, "pending")
		if err := set(); err != nil {
			t.Fatal(err)
		}
	}
	v, err := f.ResultWithin(0)
	if fmt.Sprint(v) != "{kept 3 [x y]}" || err != nil {
		t.Error(v, err)
	}
}

func TestTheFirstPartThatFailsFailsTheValueAndNoOtherPart(t *testing.T) {
	fs := newInts(3)
	v := new([3]int)
	all := futures.Assemble(v, futures.Field(&v[0], fs[0]), futures.Field(&v[1], fs[1]), futures.Field(&v[2], fs[2]))
	fs[1].Settle(0, errBoom)()
	input := new(futures.InputError)
	_, err := all.ResultWithin(0)
	if !errors.As(err, &input) || input.Index != 1 || input.Inputs != 3 || !errors.Is(err, errBoom) {
		t.Errorf("%#v", err)
	}
	if text := fmt.Sprint(err); text != "futures: input 1 of its 3 has no result: "+errBoom.Error() {
		t.Error(text)
	}
	wantState(t, fs[0], "pending")
	wantState(t, fs[2], "pending")
	wantNoFollowers(t, fs)
}

func TestACancelledPartCancelsTheValueAndNotTheOtherWayRound(t *testing.T) {
	fs := newInts(2)
	first, second := futures.Join(fs[0], fs[1]), futures.Join(fs[0], fs[1])
	if !first.Cancel() || fs[0].Done() || fs[1].Done() || second.Done() {
		t.Error("to cancel the value does not cancel it alone")
	}
	fs[1].Cancel()
	_, err := second.ResultWithin(0)
	input := new(futures.InputError)
	if !second.Cancelled() || !errors.Is(err, futures.ErrCancelled) || !errors.As(err, &input) || input.Index != 1 {
		t.Errorf("%v, %v", second, err)
	}
	wantState(t, fs[0], "pending")
	wantNoFollowers(t, fs)
}

func TestNothingIsPutIntoAValueAfterItsFutureWasCancelled(t *testing.T) {
	for range 200 {
		p := futures.NewPromise[int]()
		v := new(mixed)
		f := futures.Assemble(v, futures.Field(&v.N, p.Future()))
		var both sync.WaitGroup
		both.Go(func() { _ = p.SetResult(1) })
		both.Go(func() {
			if f.Cancel() {
				v.N = 2 // the race detector tells whether anybody else writes
			}
		})
		both.Wait()
		if f.Cancelled() && v.N != 2 {
			t.Fatal(v.N)
		}
	}
}

func TestAssembleAndFieldPanicWithoutAPlace(t *testing.T) {
	for name, call := range map[string]func(){
		"no value": func() { futures.Assemble[int](nil) },
		"no part":  func() { futures.Assemble(new(int), nil) },
		"no place": func() { futures.Field(nil, futures.NewFuture[int]()) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Error(name)
				}
			}()
			call()
		}()
	}
}
