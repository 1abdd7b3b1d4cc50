//go:build unix

package modes_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

const printing = "github.com/rankpool/rankpool/tests/modes/testdata/printing"

// checkPrinted checks that all that a worker has printed is there, in lines that are whole and begin with prefix.
func checkPrinted(t *testing.T, worker, many int, prefix, output string) {
	t.Helper()
	own := regexp.MustCompile(fmt.Sprintf(`worker %d\b`, worker))
	var lines []string
	for line := range strings.Lines(output) {
		if prefix != "" && !strings.HasPrefix(line, prefix) {
			continue
		}
		lines = append(lines, strings.TrimSuffix(strings.TrimPrefix(line, prefix), "\n"))
	}
	next := map[string]int{"stdout": 0, "stderr": 0}
	rest := map[string]bool{}
	for _, line := range lines {
		if !own.MatchString(line) {
			t.Errorf("worker %d is said to have printed %q", worker, line)
			continue
		}
		var i int
		var stream string
		if n, _ := fmt.Sscanf(line, fmt.Sprintf("this is line %%d of worker %d on %%s", worker), &i, &stream); n < 2 {
			rest[line] = true
			continue
		}
		if i != next[stream] {
			t.Errorf("worker %d: line %d of %s where %d was due", worker, i, stream, next[stream])
		}
		next[stream] = i + 1
	}
	for stream, n := range next {
		if n != many {
			t.Errorf("worker %d: %d lines of %s, want %d", worker, n, stream, many)
		}
	}
	for _, want := range []string{fmt.Sprint("a program of worker ", worker), fmt.Sprint("no end of line of worker ", worker)} {
		if !rest[want] {
			t.Errorf("worker %d: no line %q; beside the others there are %v", worker, want, rest)
		}
	}
}

func TestLinesOfWorkersStayWholeAndBeginWithTheWorker(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		many := 500
		if m.ranks > 0 {
			many = 15 // what comes to Open MPI's mpiexec at once beyond 4 KiB it cuts anywhere
		}
		o := m.succeed(t, printing, []string{"prefix", "nothing", strconv.Itoa(many)})
		if m.reports == "threads" {
			if strings.Contains(o.output, "[worker ") || !strings.Contains(o.output, "this is line") {
				t.Errorf("goroutines print with a prefix, or not here:\n%s", o.output)
			}
			return
		}
		for w := range m.workers {
			checkPrinted(t, w, many, fmt.Sprintf("[worker %d] ", w), o.output)
		}
		if m.ranks == 0 && !strings.HasSuffix(o.output, "\nclosed\n") { // a launcher has two pipes, and mixes what comes from them
			t.Errorf("after Close there came %q", o.output[strings.Index(o.output, "closed"):])
		}
	})
}

func TestWhatWorkersPrintGoesToAFileEach(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		dir := filepath.Join(t.TempDir(), "not", "there")
		o := m.succeed(t, printing, []string{dir, "nothing", "500"})
		if m.reports == "threads" {
			if _, err := os.Stat(dir); err == nil {
				t.Error("goroutines print to files")
			}
			return
		}
		if strings.Contains(o.output, "this is") || !strings.Contains(o.output, "closed") {
			t.Errorf("it printed %q", o.output)
		}
		for w := range m.workers {
			b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("worker-%d.out", w)))
			if err != nil {
				t.Error(err)
			}
			checkPrinted(t, w, 500, "", string(b))
		}
	})
}

func TestTheLastWordsOfAWorkerThatIsKilledAreThere(t *testing.T) {
	t.Parallel()
	words := regexp.MustCompile(`(?m)the last words of worker ([01])$`)
	o := processes.succeed(t, printing, []string{"prefix", "killed", "10"})
	if at := words.FindStringIndex(o.output); at == nil || at[0] > strings.Index(o.output, "closed") {
		t.Error(o.output)
	}
	dir := t.TempDir()
	processes.succeed(t, printing, []string{dir, "killed", "10"})
	var all []byte
	for w := range processes.workers {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("worker-%d.out", w)))
		if err != nil {
			t.Error(err)
		}
		all = append(append(all, b...), '\n')
	}
	if !words.Match(all) {
		t.Errorf("%s", all)
	}
}

func TestTheMessageOfAWorkerThatCrashesIsThere(t *testing.T) {
	t.Parallel()
	onEvery(t, func(t *testing.T, m mode) {
		if m.reports == "threads" {
			t.Skip("it ends the program")
		}
		o := m.run(t, printing, []string{"prefix", "crashes", "1"})
		o.contains(t, "panic: out of order")
	})
}
