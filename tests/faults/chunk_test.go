//go:build unix

package faults_test

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

const bulk = 5000 // bytes of a result

var (
	bulks [26]string

	// bulky returns more than its argument; every twentieth call fails.
	bulky = futures.Register("bulky", func(i int) (string, error) {
		if i%20 == 19 {
			return "", errors.New("each twentieth fails")
		}
		return bulks[i%26], nil
	})
)

func init() {
	for i := range bulks {
		bulks[i] = strings.Repeat(string(rune('a'+i)), bulk)
	}
}

// A failure in the midst of a chunk has the worker put the results before it elsewhere, and they are large: a worker that is killed is
// likely to be at that.
func TestAKilledWorkerCostsOneElementHoweverManyResultsOfTheChunkItHolds(t *testing.T) {
	for name, chunk := range map[string]int{"chunks that the journal holds": 40, "chunks that it does not hold": 500} {
		t.Run(name, func(t *testing.T) {
			ex := processes.open(t, futures.WithMaxWorkers(1))
			booted(t, ex)
			const elements, most = 40_000, 15
			all := make([]int, elements)
			for i := range all {
				all[i] = i
			}
			over, kills := make(chan bool), make(chan int)
			first := make(chan bool) // closed at the first kill
			go func() {
				n, killed, done := 0, 0, uint64(0)
				for n < most {
					select {
					case <-over:
						kills <- n
						return
					default:
					}
					s := ex.Stats()
					if pid, now := s.Workers[0].Pid, s.Done+s.Failed; pid > 0 && pid != killed && now > done && syscall.Kill(pid, syscall.SIGKILL) == nil {
						if n, killed, done = n+1, pid, now; n == 1 {
							close(first)
						}
					}
				}
				<-over
				kills <- n
			}()
			lost, n := map[int]int{}, 0 // by process
			for s, err := range futures.Map(limited(t), ex, bulky, slices.Values(all), futures.WithChunkSize(chunk)) {
				switch broken := (*futures.BrokenError)(nil); {
				case errors.As(err, &broken):
					if lost[broken.Pid]++; lost[broken.Pid] > 1 {
						t.Errorf("%d elements were lost with process %d", lost[broken.Pid], broken.Pid)
					}
				case err != nil && n%20 != 19:
					t.Errorf("element %d: %v", n, err)
				case err == nil && (n%20 == 19 || len(s) != bulk || s[bulk-1] != byte('a'+n%26)):
					t.Errorf("element %d: %.9q", n, s)
				}
				if n++; n == 1 { // else all may be over before the other goroutine has its turn
					select {
					case <-first:
					case <-limited(t).Done():
						t.Fatal("no worker was killed")
					}
				}
			}
			close(over)
			k := <-kills
			if n != elements || len(lost) > k || k == 0 {
				t.Errorf("%d of %d elements; %d were lost with %d workers", n, elements, len(lost), k)
			}
			closeWithin(t, ex)
		})
	}
}
