//go:build unix

package lines_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/rankpool/rankpool/internal/lines"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// paper notes each write.
type paper struct {
	mu     sync.Mutex
	writes []string
	err    error
}

func (p *paper) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return 0, p.err
	}
	p.writes = append(p.writes, string(b))
	return len(b), nil
}

func (p *paper) text() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.writes, "")
}

func start(t *testing.T, p *paper) (*lines.Relay, io.WriteCloser) {
	t.Helper()
	r, w, err := lines.Start("> ", p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Close() })
	return r, w
}

func print(t *testing.T, w io.Writer, pieces ...string) {
	t.Helper()
	for _, s := range pieces {
		if _, err := io.WriteString(w, s); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEachWriteHasWholeLinesWithThePrefix(t *testing.T) {
	var p paper
	r, w := start(t, &p)
	print(t, w, "a", "b\n", "\n", "c\nd", "e\n", "the rest")
	if !r.Drain(testkit.Limit) {
		t.Fatal("it is not passed on")
	}
	if got, want := p.text(), "> ab\n> \n> c\n> de\n> the rest\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	for _, s := range p.writes {
		if !strings.HasPrefix(s, "> ") || !strings.HasSuffix(s, "\n") {
			t.Errorf("a write of %q", s)
		}
	}
}

func TestWhatIsPrintedAfterADrainIsPassedOnToo(t *testing.T) {
	var p paper
	r, w := start(t, &p)
	for range 50 {
		print(t, w, "line\n")
		if !r.Drain(testkit.Limit) {
			t.Fatal("it is not passed on")
		}
	}
	print(t, w, "last")
	w.Close()
	if !r.Drain(testkit.Limit) {
		t.Fatal("it is not passed on")
	}
	if got, want := p.text(), strings.Repeat("> line\n", 50)+"> last\n"; got != want {
		t.Errorf("%q", got)
	}
}

func TestWhoPrintsIsNotHeldUpByAReaderThatIsGone(t *testing.T) {
	p := paper{err: errors.New("broken pipe")}
	r, w := start(t, &p)
	for range 100 { // far more than a pipe holds
		print(t, w, strings.Repeat("x", 64<<10)+"\n")
	}
	if !r.Drain(testkit.Limit) {
		t.Error("it is not read any more")
	}
}

func TestALineOfManyMegabytesTakesLittleMemoryAndLosesNothing(t *testing.T) {
	var p paper
	r, w := start(t, &p)
	const n = 5 << 20
	for range n / 1024 {
		print(t, w, strings.Repeat("y", 1024))
	}
	print(t, w, "\n")
	if !r.Drain(testkit.Limit) {
		t.Fatal("it is not passed on")
	}
	longest := 0
	for _, s := range p.writes {
		longest = max(longest, len(s))
	}
	if got := bytes.Count([]byte(p.text()), []byte("y")); got != n || longest > 2<<20 {
		t.Errorf("%d bytes of %d, %d of them at once", got, n, longest)
	}
}

// A pipe takes only so much at once, and lets another writer in between.
func TestTwoRelaysToOnePipeDoNotCutEachOthersLines(t *testing.T) {
	from, first, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	fd, err := unix.Dup(int(first.Fd()))
	if err != nil {
		t.Fatal(err)
	}
	const many = 5000
	line := strings.Repeat("x", 97) + "\n"
	for _, to := range []*os.File{first, os.NewFile(uintptr(fd), "the same pipe")} {
		defer to.Close()
		_, w, err := lines.Start("> ", to)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			defer w.Close()
			_, _ = io.WriteString(w, strings.Repeat(line, many))
		}()
	}
	in := bufio.NewReaderSize(from, 512)
	for n := range 2 * many {
		if got, err := in.ReadString('\n'); err != nil || got != "> "+line {
			t.Fatalf("line %d is %q, %v", n, got, err)
		}
	}
}
