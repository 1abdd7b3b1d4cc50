package behaviour_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

func TestGoexitInADecoderIsNotSaidToBeATasks(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, max(b.workers, 1))
		_, err := submit(t, ex, quit, 1).Result(within(t))
		if !contains(err, "runtime.Goexit was called") || strings.Contains(err.Error(), "task called") {
			t.Errorf("%v", err)
		}
	}, encodes)
}

func TestAMapThatABrokenPoolRefusesIsNotCounted(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, max(b.workers, 1), futures.WithInitializer(refuse, ""))
		if err := ex.Bootup(within(t)); err != nil && !errors.Is(err, futures.ErrBroken) {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := gather(futures.Map(within(t), ex, square, upTo(1000))); !errors.Is(err, futures.ErrBroken) {
				t.Errorf("%v", err)
			}
		}
		if s := ex.Stats(); s.Submitted != 0 || s.Cancelled != 0 || s.Queued != 0 {
			t.Errorf("%+v", s)
		}
	})
}
