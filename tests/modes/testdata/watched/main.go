//go:build unix

// Command watched runs a map on each of two executors at the same time. With the argument "kill" one of them loses a worker. It looks at what it shows of
// itself meanwhile.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/trace"
	_ "github.com/rankpool/rankpool/monitor"
)

// the longest wait for the socket, and for the recording.
const limit = time.Minute

var (
	// step takes longer than what is sent ahead of time. The element 5 may end its process.
	step = futures.Register("step", func(x int) (int, error) {
		time.Sleep(10 * time.Millisecond)
		if x == -5 {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				return 0, err
			}
			select {}
		}
		return x, nil
	})
	beside = futures.Register("beside", func(x int) (int, error) {
		time.Sleep(10 * time.Millisecond)
		return x, nil
	})
)

func main() { futures.Main(run) }

const elements = 20

func run(ctx context.Context) error {
	var both [2]futures.Executor
	for i := range both {
		var err error
		if both[i], err = futures.NewMPIPoolExecutor(); err != nil {
			return err
		}
	}
	xs := make([]int, elements)
	for i := range xs {
		xs[i] = i
	}
	second := futures.Map(ctx, both[1], beside, xs)
	if len(os.Args) > 1 && os.Args[1] == "kill" {
		xs[5] = -5
	}
	yielded, failed, err := read(futures.Map(ctx, both[0], step, xs, futures.WithProgress(os.Stderr, "watched")))
	if err != nil {
		return err
	}
	if err := show(ctx); err != nil {
		return err
	}
	besides, lost, err := read(second)
	if err != nil {
		return err
	}
	var losses uint64
	for _, ex := range both {
		if err := ex.Close(); err != nil {
			return err
		}
		losses += ex.Stats().Lost
	}
	if err := written(os.Getenv("RANKPOOL_TRACE")); err != nil { // Close waits a second for that
		return err
	}
	fmt.Printf("yielded %d and %d, failed %d and %d, lost %d workers\n", yielded, besides, failed, lost, losses)
	return nil
}

// written waits until both executors have ended in the recording.
func written(path string) error {
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		ended := 0
		_, _, err = trace.Read(bytes.NewReader(b), func(e *trace.Event) error {
			if e.Kind == trace.PoolEnds {
				ended++
			}
			return nil
		})
		switch {
		case err != nil || ended == 2:
			return err
		case time.Now().After(end):
			return fmt.Errorf("%d executors have ended in the recording", ended)
		}
	}
}

// read counts the elements of a map, and those that were lost.
func read(results iter.Seq2[int, error]) (yielded, failed int, err error) {
	for _, err := range results {
		if err != nil && !errors.Is(err, futures.ErrBroken) {
			return 0, 0, err
		}
		if yielded++; err != nil {
			failed++
		}
	}
	return yielded, failed, nil
}

// show prints what the status says.
func show(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	path := strings.TrimPrefix(os.Getenv("RANKPOOL_MONITOR"), "unix:")
	c := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		for {
			var d net.Dialer
			conn, err := d.DialContext(ctx, "unix", path)
			if err == nil || ctx.Err() != nil {
				return conn, err
			}
			time.Sleep(time.Millisecond) // it listens soon
		}
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
			Workers struct{ Lost uint64 }
			Losses  []struct{ Cause string }
		}
	}
	if err := json.NewDecoder(a.Body).Decode(&s); err != nil {
		return err
	}
	if len(s.Executors) != 2 {
		return fmt.Errorf("%d executors are shown", len(s.Executors))
	}
	lost, told := false, false
	for _, e := range s.Executors {
		lost, told = lost || e.Workers.Lost > 0, told || len(e.Losses) > 0
	}
	fmt.Printf("shown: %d executors, lost %v, told why %v\n", len(s.Executors), lost, told)
	return nil
}
