//go:build unix

package faults_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/journal"
)

const (
	elementsVariable = "FAULTS_ELEMENTS" // how many a job has whose master is killed
	runVariable      = "FAULTS_NUMBER"   // which run of the job it is
)

// looks has noted fail in this process instead of running: what then comes is recorded.
var looks atomic.Bool

// noted notes that it runs, and has a result that is large now and then.
var noted = futures.Register("noted", func(i int) ([]float64, error) {
	if looks.Load() {
		return nil, context.Canceled // which is not recorded
	}
	return runNoted(i)
}, futures.WithVersion("1"))

// runNoted is the run of noted.
func runNoted(i int) ([]float64, error) {
	time.Sleep(time.Millisecond) // it computes
	f, err := os.OpenFile(filepath.Join(os.Getenv(directoryVariable), "ran-"+os.Getenv(runVariable)), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintln(f, i)
	return keptResult(i), errors.Join(err, f.Close())
}

func keptResult(i int) []float64 {
	values := make([]float64, 1)
	if i%97 == 0 {
		values = make([]float64, 9000)
	}
	for k := range values {
		values[k] = math.Sin(float64(i + k))
	}
	return values
}

// recordingRole is a program that does a part with a journal and prints a checksum of what the part writes.
func recordingRole(part func(ctx context.Context, ex futures.Executor, j *journal.Journal, n int, all io.Writer) error) func(context.Context) error {
	return func(ctx context.Context) error {
		j, err := journal.Open(filepath.Join(os.Getenv(directoryVariable), "journal"))
		if err != nil {
			return err
		}
		defer j.Close()
		n := atOnce(strconv.Atoi(os.Getenv(elementsVariable)))
		return futures.With(ctx, func(ex futures.Executor) error {
			all := sha256.New()
			if err := part(ctx, ex, j, n, all); err != nil {
				return err
			}
			fmt.Printf("%x\n", all.Sum(nil))
			return nil
		}, futures.WithMaxWorkers(3))
	}
}

func init() {
	roles["recording"] = recordingRole(func(ctx context.Context, ex futures.Executor, j *journal.Journal, n int, all io.Writer) error {
		for v, err := range futures.Map(ctx, ex, noted, numbers(n), futures.WithJournal(j)) {
			if err != nil {
				return err
			}
			must(binary.Write(all, binary.LittleEndian, v))
		}
		return nil
	})
}

// notedGang is noted as a gang, of which each member notes that it runs.
var notedGang = futures.RegisterContext("notedGang", func(ctx context.Context, i int) ([]float64, error) {
	if looks.Load() {
		return nil, context.Canceled // which is not recorded
	}
	c, err := futures.CommWorkers(ctx)
	if err == nil {
		err = c.Barrier(ctx)
	}
	if err != nil {
		return nil, err
	}
	values, err := runNoted(i)
	for k := range values {
		values[k] += float64(c.Rank())
	}
	return values, err
}, futures.WithVersion("1"))

// gangSize is how many members it has.
const gangSize = 2

func init() {
	roles["recording gangs"] = recordingRole(func(ctx context.Context, ex futures.Executor, j *journal.Journal, n int, all io.Writer) error {
		var gangs []*futures.Future[[][]float64]
		for i := range n {
			gangs = append(gangs, atOnce(futures.SubmitEach(ex, notedGang, i, futures.OnWorkers(gangSize), futures.WithJournal(j))))
		}
		for _, f := range gangs {
			ranks, err := f.Result(ctx)
			if err != nil {
				return err
			}
			for _, v := range ranks {
				must(binary.Write(all, binary.LittleEndian, v))
			}
		}
		return nil
	})
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// kills is how many times a master is killed: a few, unless RANKPOOL_KILLS asks for more.
func kills(few int) int {
	if n, err := strconv.Atoi(os.Getenv("RANKPOOL_KILLS")); err == nil {
		return n
	}
	return few
}

// keptJob is a job whose master is killed.
type keptJob struct {
	dir, backend, role string
	n                  int
}

// members is how many calls an element is.
func (k keptJob) members() int {
	if k.role == "recording" {
		return 1
	}
	return gangSize
}

// begin starts its master.
func (k keptJob) begin(t *testing.T, run int, out io.Writer) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(limited(t), os.Args[0])
	cmd.Env = append(os.Environ(), roleVariable+"="+k.role, directoryVariable+"="+k.dir, "RANKPOOL_BACKEND="+k.backend,
		elementsVariable+"="+strconv.Itoa(k.n), runVariable+"="+strconv.Itoa(run))
	cmd.Stdout, cmd.Stderr = out, os.Stderr
	cmd.WaitDelay = patience
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// finish lets it run to its end and returns what it prints.
func (k keptJob) finish(t *testing.T, run int) string {
	t.Helper()
	var out bytes.Buffer
	if err := k.begin(t, run, &out).Wait(); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// ran returns what has run in a run.
func (k keptJob) ran(t *testing.T, run int) (all []int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(k.dir, "ran-"+strconv.Itoa(run)))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	for line := range strings.FieldsSeq(string(text)) {
		i, err := strconv.Atoi(line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, i)
	}
	return all
}

// size is how much its journal has.
func (k keptJob) size(t *testing.T) int64 {
	t.Helper()
	i, err := os.Stat(filepath.Join(k.dir, "journal"))
	if errors.Is(err, os.ErrNotExist) {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return i.Size()
}

// recorded returns what is in its journal, each right.
func (k keptJob) recorded(t *testing.T) (all []int) {
	t.Helper()
	looks.Store(true)
	defer looks.Store(false)
	j, err := journal.Open(filepath.Join(k.dir, "journal"))
	if err != nil {
		t.Fatal(err)
	}
	ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(gangSize))
	if err != nil {
		t.Fatal(err)
	}
	i := 0
	look := func(err error, results ...[]float64) {
		t.Helper()
		right := err == nil && len(results) == k.members()
		for rank, v := range results {
			want := keptResult(i)
			for x := range want {
				want[x] += float64(rank)
			}
			right = right && slices.Equal(v, want)
		}
		switch {
		case right:
			all = append(all, i)
		case !errors.Is(err, context.Canceled):
			t.Fatalf("element %d: %d results, %v", i, len(results), err)
		}
		i++
	}
	if k.role == "recording" {
		for v, err := range futures.Map(limited(t), ex, noted, numbers(k.n), futures.WithJournal(j)) {
			look(err, v)
		}
	} else {
		for i := range k.n {
			f, err := futures.SubmitEach(ex, notedGang, i, futures.OnWorkers(gangSize), futures.WithJournal(j))
			if err != nil {
				t.Fatal(err)
			}
			ranks, err := f.Result(limited(t))
			look(err, ranks...)
		}
	}
	if err := errors.Join(ex.Close(), j.Close()); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAMasterThatIsKilledAtRandomInstantsRunsNothingAgainThatWasRecorded(t *testing.T) {
	for _, kind := range []struct{ backend, role string }{{"processes", "recording"}, {"threads", "recording"}, {"processes", "recording gangs"}} {
		t.Run(kind.backend+"/"+kind.role, func(t *testing.T) {
			rounds := kills(5)
			n := 300 + 150*rounds
			if kind.role != "recording" {
				n /= gangSize
			}
			want := keptJob{t.TempDir(), kind.backend, kind.role, n}.finish(t, 0)
			k := keptJob{t.TempDir(), kind.backend, kind.role, n}
			since := map[int]int{} // elements that are recorded, to the run after which they were
			for run := range rounds {
				cmd := k.begin(t, run, io.Discard)
				ended := make(chan struct{})
				go func() { _ = cmd.Wait(); close(ended) }()
				if run == 1 { // so that something is recorded by the last run
					until(t, "recorded results", func() bool {
						select {
						case <-ended:
							return true
						default:
							return k.size(t) > 16<<10
						}
					})
				} else if run%4 > 0 { // the others at any instant of the start
					until(t, "the first task", func() bool {
						select {
						case <-ended:
							return true
						default:
							return len(k.ran(t, run)) > 0
						}
					})
				}
				select {
				case <-ended:
				case <-time.After(time.Duration(rand.IntN(60_000)) * time.Microsecond):
				}
				_ = cmd.Process.Signal(syscall.SIGKILL)
				<-ended
				for _, i := range k.recorded(t) {
					if _, ok := since[i]; !ok {
						since[i] = run
					}
				}
			}
			if got := k.finish(t, rounds); got != want || len(got) < 64 {
				t.Errorf("it ends with %q, and undisturbed with %q", got, want)
			}
			last := map[int]int{}
			for _, i := range k.ran(t, rounds) {
				last[i]++
			}
			for i, n := range last {
				if n != k.members() {
					t.Errorf("%d of %d members of element %d ran in the last run", n, k.members(), i)
				}
			}
			for run := range rounds + 1 {
				for _, i := range k.ran(t, run) {
					if r, ok := since[i]; ok && r < run {
						t.Errorf("element %d runs in run %d, and was recorded in run %d", i, run, r)
					}
				}
			}
			if len(since) == 0 {
				t.Error("nothing was recorded before the last run")
			}
			t.Logf("%d kills, %d of %d elements recorded before the last run", rounds, len(since), n)
		})
	}
}
