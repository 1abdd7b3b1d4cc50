package behaviour_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

// meeting is where the members of a gang say that they have begun, and what they wait for.
type meeting struct {
	Dir string // each leaves a file there
	Go  gate
	How string // the last member ends, when the gate is open: see deserter
}

var (
	// meets checks all that the communicator of its gang can do, once the gate is open.
	meets = futures.RegisterContext("meets", func(ctx context.Context, m meeting) (verdict, error) {
		if err := m.begun(ctx); err != nil {
			return verdict{}, err
		}
		return checkCollectives(ctx, 100)
	})
	// deserts is meets of which the last member ends early.
	deserts = futures.RegisterContext("deserts", desert)
	// desertsAgain may be repeated as a call of its own, whatever happens to it.
	desertsAgain = futures.RegisterContext("desertsAgain", desert, futures.WithRetries(3, futures.RetryIf(func(error) bool { return true })))
	// gangInside runs a gang on an executor of its own.
	gangInside = futures.RegisterContext("gangInside", func(ctx context.Context, _ int) (int, error) {
		ex, err := futures.NewMPIPoolExecutor(futures.WithMaxWorkers(2))
		if err != nil {
			return 0, err
		}
		f, err := futures.SubmitEach(ex, square, 3, futures.OnWorkers(2))
		if err != nil {
			return 0, errors.Join(err, ex.Close())
		}
		got, err := f.Result(ctx)
		if err == nil && !slices.Equal(got, []int{9, 9}) {
			err = fmt.Errorf("the gang inside gave %v", got)
		}
		return len(got), errors.Join(err, ex.Close())
	})
)

func desert(ctx context.Context, m meeting) (int, error) {
	c, err := futures.CommWorkers(ctx)
	if err != nil {
		return 0, err
	}
	if err := m.begun(ctx); err != nil {
		return 0, err
	}
	return 0, deserted(ctx, c, m.How)
}

func newMeeting(t *testing.T) meeting { return meeting{Dir: t.TempDir(), Go: newGate(t)} }

// begun leaves a file with the number of the process in its name, and waits for the gate.
func (m meeting) begun(ctx context.Context) error {
	f, err := os.CreateTemp(m.Dir, fmt.Sprintf("member-%d-*", os.Getpid()))
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	return m.Go.pass(ctx)
}

// hasBegun waits until so many have.
func (m meeting) hasBegun(t *testing.T, members int) {
	t.Helper()
	eventually(t, fmt.Sprint(members, " members have begun"), func() bool {
		all, err := filepath.Glob(filepath.Join(m.Dir, "member*"))
		return err == nil && len(all) == members
	})
}

// gangOf submits a gang.
func gangOf[A, R any](t *testing.T, ex futures.Executor, k int, fn futures.Func[A, R], arg A) *futures.Future[[]R] {
	t.Helper()
	f, err := futures.SubmitEach(ex, fn, arg, futures.OnWorkers(k))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// met checks what the members of a gang have returned.
func met(t *testing.T, f *futures.Future[[]verdict], k int) {
	t.Helper()
	all := result(t, f)
	if len(all) != k {
		t.Errorf("a gang of %d gave %d results", k, len(all))
	}
	for i, v := range all {
		if v.Wrong != "" || v.Rank != i || v.Size != k {
			t.Errorf("rank %d of %d: %+v", i, k, v)
		}
	}
}

// nothingReserved checks that all workers are there for the next gang, and that nothing waits.
func nothingReserved(t *testing.T, ex futures.Executor, workers int) {
	t.Helper()
	if got, want := result(t, gangOf(t, ex, workers, square, 2)), slices.Repeat([]int{4}, workers); !slices.Equal(got, want) {
		t.Errorf("the gang of all gave %v", got)
	}
	if s := ex.Stats(); s.Queued != 0 {
		t.Errorf("%d tasks are queued", s.Queued)
	}
}

func TestGangsRunSideBySideEachWithACommunicatorOfItsOwn(t *testing.T) {
	onTalking(t, 4, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, sizes := range [][]int{{2, 2}, {3, 1}, {1, 2, 1}, {1, 1, 1, 1}} {
			var all []meeting
			var fs []*futures.Future[[]verdict]
			for _, k := range sizes {
				m := newMeeting(t)
				all, fs = append(all, m), append(fs, gangOf(t, ex, k, meets, m))
			}
			for i, k := range sizes { // none has gone on yet
				all[i].hasBegun(t, k)
			}
			for _, m := range all {
				m.Go.open()
			}
			for i, k := range sizes {
				met(t, fs[i], k)
			}
		}
	})
}

func TestGangsOfEverySizeRunAmongTasksAndMaps(t *testing.T) {
	onTalking(t, 3, func(t *testing.T, _ backend, ex futures.Executor) {
		var gangs []*futures.Future[[]int]
		var ones []*futures.Future[int]
		for i := range 30 {
			gangs = append(gangs, gangOf(t, ex, i%3+1, barrier, 0))
			ones = append(ones, submit(t, ex, square, i))
			if i%10 == 5 {
				f, err := futures.SubmitEach(ex, barrier, 0)
				if err != nil {
					t.Fatal(err)
				}
				gangs = append(gangs, f)
			}
		}
		n := 0
		for y, err := range futures.Map(within(t), ex, square, make([]int, 200)) {
			if err != nil || y != 0 {
				t.Fatal(y, err)
			}
			n++
		}
		for _, f := range gangs {
			for i, rank := range result(t, f) {
				if rank != i {
					t.Errorf("member %d has the rank %d", i, rank)
				}
			}
		}
		for i, f := range ones {
			if got := result(t, f); got != i*i {
				t.Errorf("%d² = %d", i, got)
			}
		}
		if n != 200 {
			t.Errorf("%d of 200 elements", n)
		}
	})
}

func TestAGangIsMadeOfAsManyWorkersOnAnyBackend(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		for k := 1; k <= 2; k++ {
			if got := result(t, gangOf(t, ex, k, square, 5)); !slices.Equal(got, slices.Repeat([]int{25}, k)) {
				t.Errorf("a gang of %d gave %v", k, got)
			}
		}
		f, err := futures.SubmitEach(ex, square, 3, futures.OnWorkers(2), futures.OnOneHost())
		if err != nil {
			t.Fatal(err)
		}
		if got := result(t, f); !slices.Equal(got, []int{9, 9}) {
			t.Error(got)
		}
	})
}

// Whatever the ranks of a gang say to each other stays in it, in every form that package comm has.
func TestAllOfPackageCommWorksInSeveralGangsAtOnce(t *testing.T) {
	onTalking(t, 4, func(t *testing.T, _ backend, ex futures.Executor) {
		checks := []futures.Func[int, string]{messages, scans, counts, splits}
		for round, length := range []int{5, 50_000} {
			var fs []*futures.Future[[]string]
			for i := range checks {
				for gang := range 2 {
					fs = append(fs, gangOf(t, ex, 2, checks[(i+gang*(round+1))%len(checks)], length)) // beside the same one, or another
				}
			}
			for _, f := range fs {
				for rank, wrong := range result(t, f) {
					if wrong != "" {
						t.Errorf("rank %d: %s", rank, wrong)
					}
				}
			}
		}
		nothingReserved(t, ex, 4)
	})
}

// cannotBeKilled is why a member of a gang is not killed here.
const cannotBeKilled = "a goroutine cannot be killed, a process takes all of its slots along, and the loss of a rank ends the job unless its launcher was told otherwise: " +
	"package modes loses ranks"

func TestAMemberThatFailsFailsItsGangAndNoOther(t *testing.T) {
	onTalking(t, 4, func(t *testing.T, b backend, ex futures.Executor) {
		for _, how := range []string{"returns", "fails", "panics", "is killed"} {
			t.Run(how, func(t *testing.T) {
				if how == "is killed" && (b.reports != "processes" || b.slots > 1) {
					t.Skip(cannotBeKilled)
				}
				other, m := newMeeting(t), newMeeting(t)
				m.How = how
				beside := gangOf(t, ex, 2, meets, other)
				other.hasBegun(t, 2)
				f := gangOf(t, ex, 2, deserts, m)
				m.hasBegun(t, 2)
				m.Go.open()
				_, err := f.Result(within(t))
				rank := "rank 1 of 2: "
				if how == "returns" {
					rank = "rank 0 of 2: "
				}
				if !desertedBy(how, err) || !contains(err, rank) {
					t.Errorf("a member %s: %v", how, err)
				}
				other.Go.open()
				met(t, beside, 2)
				nothingReserved(t, ex, 4)
			})
		}
	})
}

// Its other members have met the one that failed, so a repeated one would find nobody.
func TestNoMemberOfAGangRunsAgainWhateverItsFunctionMay(t *testing.T) {
	onTalking(t, 2, func(t *testing.T, b backend, ex futures.Executor) {
		for _, how := range []string{"fails", "panics", "is killed"} {
			t.Run(how, func(t *testing.T) {
				if how == "is killed" && (b.reports != "processes" || b.slots > 1) {
					t.Skip(cannotBeKilled)
				}
				m := newMeeting(t)
				m.How = how
				f := gangOf(t, ex, 2, desertsAgain, m)
				m.hasBegun(t, 2)
				m.Go.open()
				_, err := f.Result(within(t))
				nothingReserved(t, ex, 2)
				if n := files(t, m.Dir); err == nil || n != 2 {
					t.Errorf("a member %s: %d calls of 2 members, %v", how, n, err)
				}
			})
		}
	})
}

func TestAGangThatIsTooSmallOrTooLargeIsAnErrorThatSaysBothNumbers(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, k := range []int{0, -3} {
			if _, err := futures.SubmitEach(ex, square, 1, futures.OnWorkers(k)); !contains(err, fmt.Sprintf("OnWorkers(%d)", k)) || !contains(err, "at least 1") {
				t.Errorf("%d workers: %v", k, err)
			}
		}
		if _, err := futures.SubmitEach(ex, square, 1, futures.OnOneHost()); !contains(err, "OnWorkers") {
			t.Errorf("on one host, and nobody knows how many: %v", err)
		}
		tooMany := func(when string, err error) {
			t.Helper()
			if !errors.Is(err, futures.ErrTooFewWorkers) || !contains(err, "3 workers are wanted") || !contains(err, "there are 2") {
				t.Errorf("%s: %v", when, err)
			}
		}
		f, err := futures.SubmitEach(ex, square, 1, futures.OnWorkers(3)) // how many there will be may not be known yet
		if err == nil {
			_, err = f.Result(within(t))
		}
		tooMany("before the start", err)
		if _, err := ex.NumWorkers(within(t)); err != nil {
			t.Fatal(err)
		}
		_, err = futures.SubmitEach(ex, square, 1, futures.OnWorkers(3))
		tooMany("after the start", err)
		nothingReserved(t, ex, 2)
	})
}

func TestAGangCanBeCancelledBeforeAndWhileItIsCollectedAndInterruptedWhileItRuns(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		if f := gangOf(t, ex, 2, square, 1); f.Cancel() { // the pool comes up
			if _, err := f.Result(within(t)); !errors.Is(err, futures.ErrCancelled) {
				t.Error(err)
			}
		}
		nothingReserved(t, ex, 2)
		g := newGate(t)
		running := submit(t, ex, wait, g)
		eventually(t, "it runs", running.Running)
		f, behind := gangOf(t, ex, 2, square, 1), submit(t, ex, wait, g) // which has not proven short
		if behind.Running() {
			t.Error("what is not known to be short has passed the gang")
		}
		if !f.Cancel() {
			t.Error("a gang that waits for workers could not be cancelled")
		}
		eventually(t, "what the gang held up runs", behind.Running)
		g.open()
		result(t, running)
		result(t, behind)
		nothingReserved(t, ex, 2)
		runs := gangOf(t, ex, 2, wait, newGate(t))
		eventually(t, "it runs", runs.Running)
		if runs.Cancel() || !runs.Interrupt() {
			t.Error("a gang that runs was cancelled, or not interrupted")
		}
		if _, err := runs.Result(within(t)); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		nothingReserved(t, ex, 2)
	})
}

func TestAnExecutorThatIsClosedRunsTheGangsThatWaitOrCancelsThem(t *testing.T) {
	for _, cancels := range []bool{false, true} {
		on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
			g := newGate(t)
			running := submit(t, ex, wait, g)
			eventually(t, "it runs", running.Running)
			first, second := gangOf(t, ex, 2, square, 2), gangOf(t, ex, 1, square, 3)
			opts := []futures.ShutdownOption{futures.NoWait()}
			if cancels {
				opts = append(opts, futures.CancelFutures())
			}
			mustClose(t, ex, opts...)
			g.open()
			for _, f := range []*futures.Future[[]int]{first, second} {
				got, err := f.Result(within(t))
				if cancels && !errors.Is(err, futures.ErrCancelled) || !cancels && (err != nil || len(got) == 0) {
					t.Errorf("with cancel %v: %v, %v", cancels, got, err)
				}
			}
			mustClose(t, ex)
		})
	}
}

func TestAGangBeginsAlthoughAWorkerIsLostWhileItIsCollected(t *testing.T) {
	each(t, func(t *testing.T, b backend) {
		ex := b.start(t, 3)
		workers := booted(t, ex)
		m := newMeeting(t)
		running := gangOf(t, ex, 1, meets, m)
		m.hasBegun(t, 1)
		f := gangOf(t, ex, 3, square, 4)
		free := slices.IndexFunc(workers, func(pid int) bool {
			its, err := filepath.Glob(filepath.Join(m.Dir, fmt.Sprintf("member-%d-*", pid)))
			return err == nil && len(its) == 0
		})
		p, err := os.FindProcess(workers[free])
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Kill(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the loss is known", func() bool { return ex.Stats().Lost > 0 })
		m.Go.open()
		met(t, running, 1)
		if got := result(t, f); !slices.Equal(got, []int{16, 16, 16}) {
			t.Error(got)
		}
		nothingReserved(t, ex, 3)
	}, replaces, func(b backend) bool { return b.slots < 2 }) // no worker is lost alone
}

func TestAMemberOfAGangMayRunAGangItself(t *testing.T) {
	on(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		for _, n := range result(t, gangOf(t, ex, 2, gangInside, 0)) {
			if n != 2 {
				t.Errorf("the gang inside had %d members", n)
			}
		}
	})
	t.Run("on its own pool", func(t *testing.T) {
		ex, err := futures.NewThreadPoolExecutor(futures.WithMaxWorkers(4))
		if err != nil {
			t.Fatal(err)
		}
		var outer futures.Func[int, int]
		outer = futures.Local(func(ctx context.Context, depth int) (int, error) {
			if depth == 0 {
				return 1, nil
			}
			f, err := futures.SubmitEach(ex, outer, depth-1, futures.OnWorkers(2))
			if err != nil {
				return 0, err
			}
			sum := 0
			all, err := f.Result(ctx)
			for _, n := range all {
				sum += n
			}
			return sum, err
		})
		if got := result(t, gangOf(t, ex, 2, outer, 4)); !slices.Equal(got, []int{16, 16}) {
			t.Error(got)
		}
		mustClose(t, ex)
	})
}
