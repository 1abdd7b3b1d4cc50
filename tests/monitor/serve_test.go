//go:build unix

package monitor_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

// roleVariable has the test binary be a program of its own, which a test looks at.
const roleVariable = "MONITOR_ROLE"

// role is that program: it has two executors, and a task in each, until its standard input ends.
func role(ctx context.Context) error {
	for _, make := range []func() (futures.Executor, error){
		func() (futures.Executor, error) { return futures.NewProcessPoolExecutor(futures.WithMaxWorkers(2)) },
		func() (futures.Executor, error) { return futures.NewThreadPoolExecutor(futures.WithMaxWorkers(1)) },
	} {
		ex, err := make()
		if err != nil {
			return err
		}
		f, err := futures.Submit(ex, obey, order{Pass: true, Number: 5})
		if err != nil {
			return err
		}
		if _, err := f.Result(ctx); err != nil {
			return err
		}
	}
	_, err := io.Copy(io.Discard, os.Stdin)
	return err
}

// program is one that runs.
type program struct {
	input io.Closer
	cmd   *exec.Cmd
	mu    sync.Mutex
	lines []string
	over  chan struct{} // closed when it says nothing more
}

// run starts the program with an address in the variable.
func run(t *testing.T, address string) *program {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return runProgram(t, exec.CommandContext(testkit.Within(t), self), address)
}

func runProgram(t *testing.T, cmd *exec.Cmd, address string) *program {
	t.Helper()
	p := &program{cmd: cmd, over: make(chan struct{})}
	cmd.Env = append(os.Environ(), roleVariable+"=x", "RANKPOOL_LOG=warn", "RANKPOOL_MONITOR="+address)
	var err error
	if p.input, err = cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.over)
		for s := bufio.NewScanner(out); s.Scan(); {
			p.mu.Lock()
			p.lines = append(p.lines, s.Text())
			p.mu.Unlock()
		}
	}()
	t.Cleanup(func() { p.end(t) })
	return p
}

// said returns the lines that it has printed so far with a text in them.
func (p *program) said(text string) (lines []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, l := range p.lines {
		if strings.Contains(l, text) {
			lines = append(lines, l)
		}
	}
	return lines
}

// where waits until it has said where it shows what it does.
func (p *program) where(t *testing.T) string {
	t.Helper()
	const mark = "rankpool: monitor: "
	testkit.Until(t, "it says where", func() bool { return len(p.said(mark)) > 0 })
	return strings.TrimPrefix(p.said(mark)[0], mark)
}

// end lets it end, well.
func (p *program) end(t *testing.T) {
	t.Helper()
	if p.input == nil {
		return
	}
	p.input.Close()
	p.input = nil
	<-p.over
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("%v\n%s", err, strings.Join(p.said(""), "\n"))
	}
}

// ask asks for something, with a token as a bearer token unless it is "".
func ask(t *testing.T, c *http.Client, address, token string) (code int, text string) {
	t.Helper()
	r, err := http.NewRequestWithContext(testkit.Within(t), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := c.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body)
	if err != nil {
		t.Fatal(err)
	}
	return a.StatusCode, string(b)
}

func TestTheVariableShowsTheMasterAloneToWhoHasTheToken(t *testing.T) {
	p := run(t, "127.0.0.1:0")
	printed := p.where(t)
	u, err := url.Parse(printed)
	if err != nil {
		t.Fatal(err)
	}
	token := u.Query().Get("token")
	if ip := net.ParseIP(u.Hostname()); ip == nil || !ip.IsLoopback() || len(token) < 20 {
		t.Fatalf("it says %s", printed)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	plain := "http://" + u.Host
	if code, text := ask(t, c, printed, ""); code != http.StatusOK || !strings.Contains(text, "<!doctype html>") {
		t.Errorf("%d: %s", code, text)
	}
	for _, path := range []string{"/", "/status", "/metrics", "/nothing", "/status?token=", "/status?token=" + token[:len(token)-1], "/status?token=" + token + "A"} {
		if code, text := ask(t, c, plain+path, ""); code != http.StatusUnauthorized || strings.Contains(text, "executors") {
			t.Errorf("%s without the token: %d, %s", path, code, text)
		}
	}
	if code, _ := ask(t, c, plain+"/status?token="+token, "wrong"); code != http.StatusUnauthorized {
		t.Errorf("with two tokens: %d", code)
	}
	testkit.Until(t, "both executors are shown", func() bool {
		code, text := ask(t, c, plain+"/status", token)
		return code == http.StatusOK && strings.Contains(text, `"backend":"processes"`) && strings.Contains(text, `"backend":"threads"`)
	})
	if code, text := ask(t, c, plain+"/metrics?token="+token, ""); code != http.StatusOK || !strings.Contains(text, "rankpool_executors 2") {
		t.Errorf("%d: %s", code, text)
	}
	p.end(t)
	if lines := p.said(""); len(lines) != 1 {
		t.Errorf("it has printed %q", lines)
	}
}

// overSocket is a client of a socket.
func overSocket(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", path)
	}}}
}

func TestASocketIsForThisUserAloneAndGoesWithTheProgram(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "s")
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"}) // of a program that was killed
	if err != nil {
		t.Fatal(err)
	}
	stale.SetUnlinkOnClose(false)
	stale.Close()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+".host", []byte(host), 0o600); err != nil {
		t.Fatal(err)
	}
	p := run(t, "unix:"+path)
	if where := p.where(t); where != "unix:"+path {
		t.Errorf("it says %q", where)
	}
	if is, err := os.Stat(path); err != nil || is.Mode() != os.ModeSocket|0o600 {
		t.Errorf("%v, %v", is, err)
	}
	if code, text := ask(t, overSocket(path), "http://x/status", ""); code != http.StatusOK || !strings.Contains(text, `"executors":[`) {
		t.Errorf("%d: %s", code, text)
	}
	other := run(t, "unix:"+path) // which goes on without
	testkit.Until(t, "the other says that it cannot", func() bool { return len(other.said("in use by another program")) == 1 })
	other.end(t)
	if code, _ := ask(t, overSocket(path), "http://x/status", ""); code != http.StatusOK {
		t.Errorf("then: %d", code)
	}
	p.end(t)
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("%v, %v", left, err)
	}
}

func TestAnAddressThatCannotBeIsALineAndTheProgramGoesOn(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{
		taken.Addr().String():     "address already in use",
		"8080":                    "it is not HOST:PORT, public:HOST:PORT or unix:PATH",
		":0":                      "not an address of the loopback interface",
		"0.0.0.0:0":               "write public:0.0.0.0:0",
		"example.invalid:0":       "not an address of the loopback interface",
		"unix:":                   "needs a path",
		"unix:" + file:            "exists and is not a socket",
		"unix:" + file + "/x/y/z": "not a directory",
	} {
		t.Run(address, func(t *testing.T) {
			p := run(t, address)
			testkit.Until(t, "it says why", func() bool { return len(p.said(want)) > 0 })
			p.end(t)
			if lines := p.said(""); len(lines) != 1 || !strings.Contains(lines[0], `level=WARN msg="rankpool: nothing is shown of the program" RANKPOOL_MONITOR=`) {
				t.Errorf("%q", lines)
			}
		})
	}
}

func TestAnAddressForOthersIsServedWhereItIsCalledPublic(t *testing.T) {
	p := run(t, "public:0.0.0.0:0")
	u, err := url.Parse(p.where(t))
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for token, want := range map[string]int{"": http.StatusUnauthorized, u.Query().Get("token"): http.StatusOK} {
		if code, text := ask(t, c, "http://127.0.0.1:"+u.Port()+"/status", token); code != want {
			t.Errorf("%d, want %d: %s", code, want, text)
		}
	}
}

func TestAProgramThatDoesNotImportThePackageSaysSo(t *testing.T) {
	binaries := testkit.Programs{Dir: t.TempDir()}
	p := runProgram(t, exec.CommandContext(testkit.Within(t), binaries.Build(t, "github.com/rankpool/rankpool/examples/hello"), "Ada"), "127.0.0.1:0")
	p.end(t)
	if lines := p.said(""); len(lines) != 1 || !strings.Contains(lines[0], "does not import github.com/rankpool/rankpool/monitor") {
		t.Errorf("%q", lines)
	}
}
