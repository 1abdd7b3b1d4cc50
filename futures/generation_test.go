package futures

import (
	"testing"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/pkl5"
)

var soundGlobal = RegisterGlobal[int]("futures_test.sound")

// It is on its way by another slot's link, behind word to forget the one that came before.
func TestAGenerationThatIsWaitedForIsNotForgotten(t *testing.T) {
	a := newGenerations()
	awaited := a.find(1)
	a.Forget(1)
	a.Add(1, nil)
	if !awaited.isThere() {
		t.Error("a task waits without an end")
	}
	a.Forget(1)
	if len(a.all) > 0 {
		t.Errorf("%d generations are kept", len(a.all))
	}
}

func TestAValueThatCannotBeDecodedFailsTheGenerationsThatHaveItAndNoOthers(t *testing.T) {
	var p payload
	x := 7
	v, err := p.pack("it", func(e *pkl5.Encoder) error { return soundGlobal.g.codec.Encode(e, &x) })
	if err != nil {
		t.Fatal(err)
	}
	sound := dispatch.Received{Name: "futures_test.sound", Stream: append([]byte{0}, v.Stream...)}
	a := newGenerations()
	a.Add(1, []dispatch.Received{sound})
	a.Add(2, []dispatch.Received{{Name: "bad"}, {Name: sound.Name, From: 1}})
	a.Add(3, []dispatch.Received{{Name: sound.Name, From: 2}})
	a.Add(4, []dispatch.Received{{Name: sound.Name, From: 9}})
	for number, want := range map[uint64]bool{1: true, 2: false, 3: true, 4: false} {
		ctx, err := a.Context(t.Context(), number, nil)
		if (err == nil) != want {
			t.Errorf("generation %d: %v", number, err)
		}
		if !want {
			continue
		}
		if got, err := soundGlobal.Get(ctx); got != 7 || err != nil {
			t.Errorf("generation %d: %d, %v", number, got, err)
		}
	}
}
