//go:build unix

package modes_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// Servers and masters that are started apart: two jobs, and the name server between them.

const apart = "github.com/rankpool/rankpool/tests/modes/service"

// connects skips a test where programs that were started apart cannot connect.
func connects(t *testing.T) {
	t.Helper()
	needsMPI(t)
	if library != "openmpi" {
		t.Skip("only Open MPI opens ports here")
	}
	server, _ := mpitest.NameServer(library, "")
	if _, err := exec.LookPath(server.Args[0]); err != nil {
		t.Skip(err)
	}
}

// names is a name server.
type names struct {
	option []string // of mpiexec
	stop   func()
}

// startNames starts a name server, which ends with the test at the latest.
func startNames(t *testing.T) names {
	t.Helper()
	connects(t)
	t.Setenv("XDG_CONFIG_HOME", t.TempDir()) // for the secret
	uri := filepath.Join(t.TempDir(), "uri")
	server, option := mpitest.NameServer(library, uri)
	server.Limit = testkit.Suite
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = server.Run(ctx)
	}()
	stop := func() {
		cancel()
		<-ended
	}
	t.Cleanup(stop)
	until(t, "the name server says where it is", func() bool {
		text, err := os.ReadFile(uri)
		return err == nil && strings.HasSuffix(string(text), "\n")
	})
	return names{option, stop}
}

// until waits for what another process does, for a while.
func until(t *testing.T, what string, ask func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !ask(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
	}
}

// serve starts a server of two ranks and returns how it has ended, once it has.
func (n names) serve(t *testing.T, place string, env ...string) (ended func() outcome) {
	t.Helper()
	return n.serveProgram(t, binaries.Build(t, apart), place, env...)
}

func (n names) serveProgram(t *testing.T, program, place string, env ...string) (ended func() outcome) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	type ending struct {
		r   mpitest.Result
		err error
	}
	over := make(chan ending, 1)
	go func() {
		r, err := mpitest.Run(ctx, mpitest.Job{
			Ranks: 2, Program: program, Options: n.option, Env: append(env, "RANKPOOL_SERVE="+place), Limit: limit,
		})
		over <- ending{r, err}
	}()
	t.Cleanup(func() {
		cancel()
		e := <-over
		over <- e
	})
	return func() outcome {
		t.Helper()
		e := <-over
		over <- e
		if e.err != nil || e.r.Expired {
			t.Fatalf("the server: %v, expired %v:\n%s", e.err, e.r.Expired, e.r.Report())
		}
		return outcome{output: mpitest.Untagged(e.r.Output), code: e.r.Code, left: e.r.Left}
	}
}

// inDVM tells whether what connects must be jobs of the same daemons: Open MPI since version 5.
func inDVM() bool { return mpitest.VersionOf(library).PRRTE() }

// ok fails the test unless a server has ended as it should.
func (o outcome) ok(t *testing.T) {
	t.Helper()
	if o.code != 0 || len(o.left) > 0 {
		t.Errorf("the server ended with status %d and left %v:\n%s", o.code, o.left, o.output)
	}
}

// alone is a master without an mpiexec; under is one that knows the name server.
var alone = mode{name: "alone", backend: "auto"}

func (n names) under() mode {
	return mode{name: "under mpiexec", backend: "auto", ranks: 1, options: n.option}
}

// unaware is a master that knows nothing of the server's Open MPI, where such a one can connect.
func (n names) unaware() mode {
	if inDVM() {
		return n.under()
	}
	return alone
}

func TestAMasterUsesTheRanksOfAServerThatWasStartedApart(t *testing.T) {
	n := startNames(t)
	file := filepath.Join(t.TempDir(), "port")
	for name, c := range map[string]struct {
		m     mode
		place string
	}{
		"file, no mpiexec": {n.unaware(), "file:" + file}, "file": {n.under(), "file:" + file}, "name": {n.under(), "one"}, "the default name": {n.under(), ""},
	} {
		t.Run(name, func(t *testing.T) {
			ended := n.serve(t, c.place)
			args := []string{"-service", c.place}
			env := "RANKPOOL_SERVICE="
			if c.place == "" {
				args, env = nil, "RANKPOOL_SERVICE=rankpool"
			}
			c.m.succeed(t, apart, args, env).contains(t, "backend mpi, workers 2, sum 110")
			o := ended()
			o.ok(t)
			o.contains(t, "2 workers wait for a master at", "has closed its pool")
			o.counts(t, 2, "a worker before Main\n")
			if _, err := os.Stat(file); !os.IsNotExist(err) {
				t.Errorf("the port file is still there: %v", err)
			}
		})
	}
}

func TestAServerThatKeepsServesOneMasterAfterAnotherUntilItIsTold(t *testing.T) {
	n := startNames(t)
	file := filepath.Join(t.TempDir(), "port")
	ended := n.serve(t, "file:"+file, "RANKPOOL_SERVE_KEEP=1")
	n.under().succeed(t, apart, []string{"-service", "file:" + file}).contains(t, "workers 2, sum 110")
	n.unaware().succeed(t, apart, []string{"-service", "file:" + file, "env"}).contains(t, "GREETING is from the master")
	o := n.unaware().run(t, apart, []string{"-service", "file:" + file, "initializer"})
	if o.contains(t, "broken", "told to refuse"); o.code != 1 {
		t.Errorf("status %d, want 1", o.code)
	}
	second := n.serve(t, "file:"+file)()
	if second.contains(t, "another server (process", "choose another name, or end that one"); second.code != 1 {
		t.Errorf("a second server at the same place: status %d, want 1", second.code)
	}
	var left struct{ Pid int }
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &left) != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if err := syscall.Kill(left.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	o = ended()
	o.ok(t)
	if n := strings.Count(o.output, "has closed its pool"); n != 3 {
		t.Errorf("%d of 3 masters have closed their pools:\n%s", n, o.output)
	}
}

func TestWithoutAServerAMasterSaysHowToStartOne(t *testing.T) {
	n := startNames(t)
	server, option := "ompi-server --no-daemonize", "mpiexec --ompi-server"
	if inDVM() {
		server, option = "prte --report-uri URIFILE", "mpiexec --dvm uri:file:URIFILE"
	}
	for place, want := range map[string]string{
		"nobody": `the name server knows no "nobody"`, "file:nothing": "there is no file", "tcp:localhost:1": "there is no secret to tell the server",
	} {
		o := n.under().run(t, apart, []string{"-service", place, "-start", "5s"})
		o.contains(t, "broken", want, "rankpool serve --service "+strings.Split(place, "nothing")[0], server, option)
		if o.code != 1 {
			t.Errorf("%s: status %d, want 1", place, o.code)
		}
	}
	o := alone.run(t, apart, []string{"-service", "nobody"})
	o.contains(t, "this program was started without one", "OMPI_MCA_pmix_server_uri=file:URIFILE")
	o = mode{ranks: 2, backend: "auto"}.run(t, apart, nil, "RANKPOOL_SERVE=one")
	if o.contains(t, "a service needs a name server", server, option); o.code != 1 {
		t.Errorf("a server without a name server: status %d, want 1", o.code)
	}
}

func TestAServerThatDiesBreaksThePoolAndWhatItLeavesIsFoundStale(t *testing.T) {
	n := startNames(t)
	for _, place := range []string{"mortal", "file:" + filepath.Join(t.TempDir(), "port")} {
		ended := n.serve(t, place, "RANKPOOL_SERVE_KEEP=1")
		o := n.under().run(t, apart, []string{"-service", place, "kill"})
		if o.contains(t, "broken: true"); o.code == 0 {
			t.Errorf("%s: the master ended with status 0", place)
		}
		if o := ended(); o.code == 0 {
			t.Errorf("%s: the server that was killed ended with status 0", place)
		}
		o = n.under().run(t, apart, []string{"-service", place, "-start", "5s"})
		if o.contains(t, "does not answer, it has ended or cannot be reached", "rankpool serve"); o.code != 1 {
			t.Errorf("%s: stale: status %d, want 1", place, o.code)
		}
		again := n.serve(t, place)
		if inDVM() && place == "mortal" { // the name is lost to its publisher
			o := again()
			if o.contains(t, "a server that was killed may have had this name: choose another one, or a file"); o.code != 1 {
				t.Errorf("%s: status %d, want 1", place, o.code)
			}
			continue
		}
		n.under().succeed(t, apart, []string{"-service", place, "-start", "60s"}).contains(t, "sum 110")
		again().ok(t)
	}
}

// caller is a program that calls a server as docs/wire.md has it, and is none of ours.
type caller struct {
	t *testing.T
	net.Conn
	in   *bufio.Reader
	key  []byte
	said int
}

// dialServer connects to the server that has left word in a file.
func dialServer(t *testing.T, file string) (c caller, id string, secret []byte) {
	t.Helper()
	var left struct {
		ID, Secret string
		Addresses  []string
	}
	text, err := os.ReadFile(file)
	if err != nil || json.Unmarshal(text, &left) != nil || len(left.Addresses) == 0 {
		t.Fatalf("%v: %s", err, text)
	}
	conn, err := net.Dial("tcp", left.Addresses[0])
	if err != nil {
		t.Fatal(err)
	}
	return caller{t: t, Conn: conn, in: bufio.NewReader(conn)}, left.ID, []byte(left.Secret)
}

func (c *caller) say(line string) {
	c.t.Helper()
	if c.key != nil {
		line += fmt.Sprintf(" %x", sign(c.key, strconv.Itoa(c.said), line))
		c.said++
	}
	if _, err := io.WriteString(c, line+"\n"); err != nil {
		c.t.Error(err)
	}
}

// hear returns a message of the server's, of a kind.
// hear returns the next message, which is of a kind. While another master is served, the server says that it is busy.
func (c *caller) hear(kind string) (m struct{ Kind, Nonce, Proof, Port string }) {
	c.t.Helper()
	for {
		line, err := c.in.ReadString('\n')
		if err == nil {
			err = json.NewDecoder(strings.NewReader(line)).Decode(&m)
		}
		switch {
		case err != nil || m.Kind != kind && m.Kind != "busy":
			c.t.Fatalf("want %s: %v, %s", kind, err, line)
		case m.Kind == kind:
			return m
		}
	}
}

func sign(key []byte, words ...string) []byte {
	h := hmac.New(sha256.New, key)
	for _, w := range words {
		fmt.Fprintf(h, "%d:%s,", len(w), w)
	}
	return h.Sum(nil)
}

func TestAHangUpEndsNobodysServer(t *testing.T) {
	n := startNames(t)
	file := filepath.Join(t.TempDir(), "port")
	ended := n.serve(t, "file:"+file) // not even one that ends with its first master
	until(t, "the server waits", func() bool { _, err := os.Stat(file); return err == nil })
	for _, last := range []string{"nothing", "call", "prove", "go", "port"} {
		c, id, secret := dialServer(t, file)
		func() {
			defer c.Close()
			if last == "nothing" {
				return
			}
			c.say(`{"version":2,"kind":"call","nonce":"n","id":"` + id + `"}`)
			if last == "call" {
				c.say(`{"version":2,"kind":"go"}`)
				return
			}
			m := c.hear("prove")
			shared := []string{"2", "call", id, "n", m.Nonce}
			if want := fmt.Sprintf("%x", sign(secret, append([]string{"rankpool proof", "server"}, shared...)...)); m.Proof != want {
				t.Errorf("the server's proof is %s, want %s", m.Proof, want)
			}
			c.say(fmt.Sprintf(`{"version":2,"kind":"prove","proof":"%x"}`, sign(secret, append([]string{"rankpool proof", "master"}, shared...)...)))
			c.key = sign(secret, append([]string{"rankpool key", "master"}, shared...)...)
			if last == "prove" {
				return
			}
			c.hear("welcome")
			c.say(`{"version":2,"kind":"go"}`)
			if last == "port" {
				c.hear("port")
			}
		}()
	}
	n.under().succeed(t, apart, []string{"-service", "file:" + file}).contains(t, "workers 2, sum 110")
	o := ended()
	o.ok(t)
	o.contains(t, "has closed its pool")
}

func TestAServerEndsWithAMasterThatDies(t *testing.T) {
	n := startNames(t)
	for _, m := range []mode{n.unaware(), n.under()} {
		place := "file:" + filepath.Join(t.TempDir(), "port")
		ended := n.serve(t, place, "RANKPOOL_SERVE_KEEP=1")
		if o := m.run(t, apart, []string{"-service", place, "die"}); o.code == 0 {
			t.Errorf("%s: status 0:\n%s", m.name, o.output)
		}
		o := ended()
		if o.code == 0 || len(o.left) > 0 {
			t.Errorf("%s: the server ended with status %d and left %v:\n%s", m.name, o.code, o.left, o.output)
		}
		o.contains(t, "the master")
	}
}

func TestAnotherProgramAsAServerIsRefusedWithTheDifference(t *testing.T) {
	n := startNames(t)
	other := testkit.Programs{Dir: t.TempDir(), Tags: "mpi other"}
	ended := n.serveProgram(t, other.Build(t, apart), "foreign")
	o := n.under().run(t, apart, []string{"-service", "foreign"})
	if o.contains(t, "runs a different program", "extra"); o.code != 1 {
		t.Errorf("status %d, want 1", o.code)
	}
	ended().ok(t)
}

// MPI_Comm_connect would fail there, and the server be lost in MPI_Comm_accept.
func TestAMasterThatIsNoJobOfTheServersDaemonsIsRefusedAndTheServerLivesOn(t *testing.T) {
	connects(t)
	if !inDVM() {
		t.Skip("here programs meet by an ompi-server, which connects any two: there are no jobs of other daemons to refuse (Open MPI before 5)")
	}
	n := startNames(t)
	file := filepath.Join(t.TempDir(), "port")
	ended := n.serve(t, "file:"+file)
	until(t, "the server waits", func() bool { _, err := os.Stat(file); return err == nil })
	for _, m := range []mode{alone, {name: "under an mpiexec of its own", backend: "auto", ranks: 1}} {
		o := m.run(t, apart, []string{"-service", "file:" + file})
		if o.contains(t, "is a job of the daemons prte-", "start it with `mpiexec --dvm uri:file:URIFILE -n 1`"); o.code != 1 {
			t.Errorf("%s: status %d, want 1", m.name, o.code)
		}
	}
	n.under().succeed(t, apart, []string{"-service", "file:" + file}).contains(t, "workers 2, sum 110")
	ended().ok(t)
}

func TestANameServerThatHasEndedIsNotWaitedFor(t *testing.T) {
	connects(t)
	if inDVM() {
		t.Skip("here programs meet by their daemons (Open MPI since 5), and a job ends with its daemons: no program outlives them to wait")
	}
	n := startNames(t)
	file := filepath.Join(t.TempDir(), "port")
	n.serve(t, "file:"+file)
	until(t, "the server waits", func() bool { _, err := os.Stat(file); return err == nil })
	n.stop()
	for _, m := range []mode{alone, n.under()} {
		o := m.run(t, apart, []string{"-service", "file:" + file})
		if o.contains(t, "the name server at", "does not answer: start it again"); o.code != 1 {
			t.Errorf("%s: status %d, want 1", m.name, o.code)
		}
	}
	if o := n.serve(t, "late")(); o.code != 1 || !strings.Contains(o.output, "does not answer: start it again") {
		t.Errorf("a new server: status %d:\n%s", o.code, o.output)
	}
}

func TestTheRanksOfTheWorldGoBeforeAService(t *testing.T) {
	needsMPI(t)
	world.succeed(t, apart, []string{"-service", "anything"}).contains(t, "backend mpi, workers 2, sum 110")
}

func TestWhatCannotConnectSaysSoAtOnce(t *testing.T) {
	want := map[string]string{
		"":      "MPI is not built into this program: build it with `go build -tags mpi`",
		"mpich": "start master and workers together, with `mpiexec -n N`",
	}[library]
	if library == "openmpi" {
		t.Skip("Open MPI can connect")
	}
	named := "RANKPOOL_MPI=" + library // there is no launcher to go by
	o := alone.run(t, apart, []string{"-service", "anything"}, named)
	if o.contains(t, want); o.code != 1 {
		t.Errorf("a master: status %d, want 1", o.code)
	}
	o = alone.run(t, apart, nil, "RANKPOOL_SERVE=anything", named)
	if o.contains(t, want); o.code != 1 {
		t.Errorf("a server: status %d, want 1", o.code)
	}
}
