//go:build unix

package faults_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestNoWorkerRemainsAfterItsMasterWasKilled(t *testing.T) {
	for _, name := range []string{"idle", "spinning", "stopped", "in a batch"} {
		t.Run(name, func(t *testing.T) {
			p := role(t, true, name)
			if len(p.workers) != 3 {
				t.Fatalf("workers %v, want 3", p.workers)
			}
			signalTo(t, p.cmd.Process.Pid, syscall.SIGKILL)
			if s := p.status(); s != -int(syscall.SIGKILL) {
				t.Errorf("status %d", s)
			}
			p.leavesNothing()
		})
	}
}

func TestASignalCancelsWhatIsQueuedAndEndsWithItsStatus(t *testing.T) {
	for s, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130} {
		t.Run(s.String(), func(t *testing.T) {
			p := role(t, true, "returning")
			signalTo(t, p.cmd.Process.Pid, s)
			if got := p.status(); got != want {
				t.Errorf("status %d, want %d", got, want)
			}
			_, stderr := p.leavesNothing()
			says(t, stderr, "rankpool: ended by signal: "+s.String())
			if ran := p.traces(); len(ran) > 0 {
				t.Errorf("%d tasks of the queue ran", len(ran))
			}
		})
	}
}

func TestASignalLetsWhatRunsFinishAndNothingBegin(t *testing.T) {
	for s, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGUSR1: 128 + int(syscall.SIGUSR1)} {
		t.Run(s.String(), func(t *testing.T) {
			p := role(t, true, "draining")
			for _, pid := range append(p.workers, p.cmd.Process.Pid) {
				signalTo(t, pid, s)
			}
			if got := p.status(); got != want {
				t.Errorf("status %d, want %d", got, want)
			}
			stdout, stderr := p.leavesNothing()
			says(t, stdout, "what ran was delivered")
			says(t, stderr, "a signal told the program to end, so no further task begins", "ended by signal: "+s.String())
			if ran := p.traces(); len(ran) > 0 {
				t.Errorf("%d tasks of the queue ran", len(ran))
			}
		})
	}
}

func TestALauncherThatSaysItTwiceLeavesTheTimeForWhatRuns(t *testing.T) {
	endsBySIGTERM(t, "told twice", syscall.SIGTERM, "what ran was delivered")
}

func TestASIGTERMEndsADrainAndNotTheProgram(t *testing.T) {
	endsBySIGTERM(t, "cut short", syscall.SIGUSR1, "deferred functions ran")
}

// endsBySIGTERM sends a signal to a program that ends by SIGTERM in the end, and says something before.
func endsBySIGTERM(t *testing.T, name string, s syscall.Signal, last string) {
	t.Helper()
	p := role(t, true, name)
	signalTo(t, p.cmd.Process.Pid, s)
	if got := p.status(); got != 143 {
		t.Errorf("status %d, want 143", got)
	}
	stdout, stderr := p.leavesNothing()
	says(t, stdout, last)
	says(t, stderr, "ended by signal: terminated")
}

// A terminal sends it to every process of the program, and so do many job schedulers.
func TestASignalToAllProcessesEndsWithItsStatusToo(t *testing.T) {
	for s, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130} {
		t.Run(s.String(), func(t *testing.T) {
			p := role(t, true, "returning")
			for _, pid := range append(p.workers, p.cmd.Process.Pid) {
				signalTo(t, pid, s)
			}
			if got := p.status(); got != want {
				t.Errorf("status %d, want %d", got, want)
			}
			p.leavesNothing()
		})
	}
}

func TestASignalEndsAProgramWhoseTasksIgnoreIt(t *testing.T) {
	for s, want := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130} {
		t.Run(s.String(), func(t *testing.T) {
			p := role(t, true, "deaf")
			signalTo(t, p.cmd.Process.Pid, s)
			if got := p.status(); got != want {
				t.Errorf("status %d, want %d", got, want)
			}
			_, stderr := p.leavesNothing()
			says(t, stderr, "ended by signal", "2 tasks running", "act on worker 0", "act on worker 1")
		})
	}
}

func TestASignalEndsAProgramThatWaitsForItsLastTask(t *testing.T) {
	p := role(t, true, "closing")
	signalTo(t, p.cmd.Process.Pid, syscall.SIGTERM)
	if got := p.status(); got != 143 {
		t.Errorf("status %d, want 143", got)
	}
	_, stderr := p.leavesNothing()
	says(t, stderr, "ended by signal", "1 tasks running", "act on worker 0")
}

func TestASignalEndsAProgramWhoseFunctionReturnsWithIt(t *testing.T) {
	for name, s := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGINT": syscall.SIGINT, "SIGUSR1": syscall.SIGUSR1} {
		t.Run(name, func(t *testing.T) {
			p := role(t, false, "told last by "+name)
			if got, want := p.status(), 128+int(s); got != want {
				t.Errorf("status %d, want %d", got, want)
			}
			_, stderr := p.leavesNothing()
			says(t, stderr, "ended by signal: "+s.String())
		})
	}
}

func TestASecondSignalEndsAProgramThatIgnoresTheFirst(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			p := role(t, true, "spinning")
			// No event tells that the first one has been taken: send more of them.
			until(t, "the end", func() bool {
				_ = syscall.Kill(p.cmd.Process.Pid, s)
				select {
				case <-p.ended:
					return true
				default:
					return false
				}
			})
			if got := p.status(); got != -int(s) {
				t.Errorf("status %d, want the signal", got)
			}
			p.leavesNothing()
		})
	}
}

// traces returns the lines that the tasks of a program have left.
func (p *program) traces() []string {
	b, _ := os.ReadFile(filepath.Join(p.dir, "trace"))
	return strings.Fields(string(b))
}

func TestTheEndOfMainsFunctionIsTheEndOfTheProgram(t *testing.T) {
	for _, tt := range []struct {
		role   string
		status int
		want   []string
	}{
		{"returns", 0, nil},
		{"fails", 1, []string{"out of coffee\n"}},
		{"panics", 1, []string{"panic: out of tea\n", "roles_test.go:"}},
		{"exits", 1, []string{"runtime.Goexit", "tasks_test.go:"}},
	} {
		t.Run(tt.role, func(t *testing.T) {
			p := role(t, false, tt.role)
			if got := p.status(); got != tt.status {
				t.Errorf("status %d, want %d", got, tt.status)
			}
			_, stderr := p.leavesNothing()
			says(t, stderr, tt.want...)
			if tt.want == nil && stderr != "" {
				t.Errorf("it complains: %s", stderr)
			}
			if strings.Contains(stderr, "rankpool: ") {
				t.Errorf("our name is before an error of the program's: %s", stderr)
			}
			if n := len(p.traces()); tt.status == 0 && n != queued {
				t.Errorf("%d of %d tasks ran", n, queued)
			}
		})
	}
}

func TestAnExecutorThatWasNeverUsedCostsNothing(t *testing.T) {
	p := role(t, false, "unclosed")
	if got := p.status(); got != 0 {
		t.Errorf("status %d", got)
	}
	if stdout, stderr := p.leavesNothing(); stdout+stderr != "" {
		t.Errorf("it says %s%s", stdout, stderr)
	}
}

func TestASecondMainIsRefused(t *testing.T) {
	p := role(t, false, "again")
	if got := p.status(); got != 1 {
		t.Errorf("status %d, want 1", got)
	}
	_, stderr := p.leavesNothing()
	says(t, stderr, "Main was called a second time", "roles_test.go:")
}

func TestEverythingAWorkerWritesArrives(t *testing.T) {
	p := role(t, false, "loud")
	if got := p.status(); got != 0 {
		t.Errorf("status %d", got)
	}
	stdout, stderr := p.leavesNothing()
	if len(stdout) != 2*loudness || strings.Count(stdout, "\n") != 2*loudness/100 || stderr != "" {
		t.Errorf("%d bytes arrived, want %d; it complains %q", len(stdout), 2*loudness, stderr)
	}
}
