package behaviour_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// Where workers are goroutines there is one process: no error may speak as if there were others.
func TestErrorsNameWorkersThatAreGoroutinesWhatTheyAre(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 1)
		_, failed := submit(t, ex, failOn, -1).Result(within(t))
		g := newGate(t)
		runs := submit(t, ex, deaf, g)
		eventually(t, "the task runs", runs.Running)
		cut := ex.Shutdown(expired(t))
		_, overdue := submit(t, b.start(t, 1), deaf, g, futures.WithTaskTimeout(time.Millisecond)).Result(within(t))
		_, broken := submit(t, b.start(t, 1, futures.WithInitializer(refuse, "")), square, 1).Result(within(t))
		g.open()

		for name, err := range map[string]error{"a failure": failed, "a shutdown": cut, "a time-out": overdue, "an initializer": broken} {
			for _, text := range []string{fmt.Sprint(err), fmt.Sprintf("%+v", err)} {
				if err == nil || strings.Contains(text, "process ") || strings.Contains(text, "pid ") {
					t.Errorf("%s: %s", name, text)
				}
			}
		}
		if s := fmt.Sprint(cut); !strings.Contains(s, "on worker 0 (a goroutine of this program)") {
			t.Errorf("a shutdown: %s", s)
		}
		for name, err := range map[string]error{"a time-out": overdue, "an initializer": broken} {
			if b := new(futures.BrokenError); !errors.As(err, &b) || !b.Thread || b.Pid == 0 {
				t.Errorf("%s: %#v", name, b)
			}
		}
		if r := new(futures.RemoteError); errors.As(failed, &r) != encodes(b) || encodes(b) && !r.Thread {
			t.Errorf("a failure: %#v", failed)
		}
	}, inside)
}
