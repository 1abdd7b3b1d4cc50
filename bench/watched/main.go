// Command watched is a program of rankpool bench: bench/ours, and beside it what shows a run. It is a program of its own because the
// command rankpool links no web server of a monitor.
//
//	watched [-monitor] [-hook] -backend NAME -workers N -limit D -- FIGURE ...
//
// Without the first two it does the same work with nothing beside it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync/atomic"
	"time"

	"github.com/rankpool/rankpool/bench/ours"
	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/monitor"
)

// lookEvery is how often the page of a monitor asks for the status.
const lookEvery = time.Second

func main() {
	var j ours.Job
	flag.StringVar(&j.Backend, "backend", "processes", "as bench-work of rankpool has it")
	flag.IntVar(&j.Workers, "workers", 1, "how many workers")
	flag.DurationVar(&j.Limit, "limit", time.Minute, "after which every process ends")
	watch := flag.Bool("monitor", false, "serve a monitor, and ask it for its status every second")
	hook := flag.Bool("hook", false, "give the executor a hook")
	flag.Parse()
	j.Specs = flag.Args()
	if *watch {
		j.Beside = look
	}
	if *hook {
		j.Options = append(j.Options, futures.WithHooks(count))
	}
	ours.Main(j)
}

// look serves a monitor and does what the page of a browser does: it asks for the status every second, until ctx ends. The requests cost this
// process more than they cost one whose page is open elsewhere.
func look(ctx context.Context) error {
	s, err := monitor.Serve(ctx, "127.0.0.1:0")
	if err != nil {
		return err
	}
	status, err := url.Parse(s.Address())
	if err != nil {
		return errors.Join(err, s.Close())
	}
	status.Path = "/status"
	if err := get(ctx, status.String()); err != nil { // a monitor that shows nothing has no cost that says anything
		return errors.Join(err, s.Close())
	}
	go func() {
		defer s.Close()
		every := time.NewTicker(lookEvery)
		defer every.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-every.C:
				if err := get(ctx, status.String()); err != nil && ctx.Err() == nil {
					fmt.Fprintln(os.Stderr, "watched:", err)
				}
			}
		}
	}()
	return nil
}

func get(ctx context.Context, address string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, answer.Body); err != nil {
		return err
	}
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("the monitor answers %s", answer.Status)
	}
	return nil
}

// ended counts the tasks that the hook was told of.
var ended atomic.Int64

func count(_ context.Context, b *futures.HookBatch) { ended.Add(int64(len(b.Ended))) }
