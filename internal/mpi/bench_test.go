//go:build mpi && linux && (amd64 || arm64)

package mpi_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/fresh"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

// benchRounds tells the ranks of a benchmark how often to go round.
const benchRounds = "RANKPOOL_BENCH_ROUNDS"

// BenchmarkPortRoundTrip is one short message to a worker and back, one at a time: what raw_mpi measures with depth 1.
func BenchmarkPortRoundTrip(b *testing.B) { across(b, "TestRanksOfPortRoundTrip") }

// BenchmarkPortEcho is 16 MiB to a worker and back, received into fresh memory on both sides.
func BenchmarkPortEcho(b *testing.B) { across(b, "TestRanksOfPortEcho") }

var took = regexp.MustCompile(`took (\d+) ns`)

// across runs a test on two ranks for b.N rounds and reports the time that rank 0 measured. A launch takes longer than many
// rounds, so give the number: -benchtime 300000x.
func across(b *testing.B, test string) {
	r, err := mpitest.Run(context.Background(), mpitest.Job{
		Ranks: 2, Args: []string{"-test.run=^" + test + "$", "-test.v", "-test.timeout=60s"},
		Env: []string{benchRounds + "=" + strconv.Itoa(b.N)},
	})
	m := took.FindStringSubmatch(r.Output)
	if err != nil || r.Code != 0 || m == nil {
		b.Fatalf("%v, status %d:\n%s", err, r.Code, r.Output)
	}
	ns, _ := strconv.ParseFloat(m[1], 64)
	b.ReportMetric(ns/float64(b.N), "ns/op")
}

func rounds(t *testing.T, few int) int {
	if n, err := strconv.Atoi(os.Getenv(benchRounds)); err == nil {
		return n
	}
	return few
}

func TestRanksOfPortRoundTrip(t *testing.T) {
	if !mpitest.Under(t, 2) {
		return
	}
	n := rounds(t, 1000)
	c, p := openPort(t, mpi.PortOptions{Posted: 16})
	events := make([]mpi.Event, 1)
	data := make([]byte, 64)
	begin := time.Now()
	if c.Rank() == 0 {
		_, _ = p.Send(1, portTag, data, 0)
	}
	for seen := 0; seen < n; {
		got, err := p.Poll(20*time.Microsecond, events)
		if err != nil || got > 0 && events[0].Kind != mpi.Received {
			t.Fatal(events[0], err)
		}
		if seen += got; got == 0 || c.Rank() == 0 && seen == n {
			continue
		}
		if _, err := p.Send(1-c.Rank(), portTag, events[0].Data, 0); err != nil {
			t.Fatal(err)
		}
	}
	if c.Rank() == 0 {
		fmt.Printf("took %d ns\n", time.Since(begin).Nanoseconds())
	}
	closePort(t, c, p)
}

func TestRanksOfPortEcho(t *testing.T) {
	if !mpitest.Under(t, 2) {
		return
	}
	const size = 16 << 20
	n := rounds(t, 3)
	c, p := openPort(t, mpi.PortOptions{})
	data := make([]byte, size)
	begin := time.Now()
	if c.Rank() == 0 {
		_, err := p.Send(1, portTag, data, 1)
		if err != nil {
			t.Fatal(err)
		}
	}
	seen := 0
	var in []byte
	poll(t, p, 4, func(e mpi.Event) bool {
		switch {
		case e.Kind == mpi.Arrived:
			in = fresh.Bytes(e.Len)
			if err := p.Take(e.Message, in, 2); err != nil {
				t.Fatal(err)
			}
		case e.Kind == mpi.Done && e.Token == 2:
			seen++
			if c.Rank() == 1 || seen < n {
				_, err := p.Send(1-c.Rank(), portTag, in, 1)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		return seen == n
	})
	if c.Rank() == 0 {
		fmt.Printf("took %d ns\n", time.Since(begin).Nanoseconds())
	}
	closePort(t, c, p)
}
