//go:build unix

// Command monitored looks at what it shows of itself by a socket while a task runs on each worker.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/rankpool/rankpool/futures"
	_ "github.com/rankpool/rankpool/monitor"
)

// hold says that it has begun, and ends when it may.
var hold = futures.Register("hold", func(i int) (int, error) {
	if err := os.WriteFile(fmt.Sprint("begun-", i), nil, 0o600); err != nil {
		return 0, err
	}
	await("go")
	return i, nil
})

// await waits for a file. The folder is that of all processes.
func await(name string) {
	for {
		if _, err := os.Stat(name); err == nil {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

func main() { futures.Main(run) }

func run(ctx context.Context) error {
	ex, err := futures.NewMPIPoolExecutor()
	if err != nil {
		return err
	}
	n, err := ex.NumWorkers(ctx)
	if err != nil {
		return err
	}
	xs := make([]int, n)
	for i := range xs {
		xs[i] = i
	}
	results := futures.Map(ctx, ex, hold, xs)
	for i := range xs {
		await(fmt.Sprint("begun-", i))
	}
	path := strings.TrimPrefix(os.Getenv("RANKPOOL_MONITOR"), "unix:")
	await(path)
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://x/status", nil)
	if err != nil {
		return err
	}
	a, err := c.Do(r)
	if err != nil {
		return err
	}
	defer a.Body.Close()
	var s struct {
		Executors []struct {
			Backend string
			Workers struct{ Total, Busy int }
			Listed  []struct {
				Rank int
				Runs struct {
					Function string
					Map      int
				}
			}
		}
	}
	if err := json.NewDecoder(a.Body).Decode(&s); err != nil {
		return err
	}
	fmt.Printf("shown: %+v\n", s)
	if err := os.WriteFile("go", nil, 0o600); err != nil {
		return err
	}
	for _, err := range results {
		if err != nil {
			return err
		}
	}
	return ex.Close()
}
