//go:build unix

package mpitest

import (
	"bytes"
	"context"
	"debug/buildinfo"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/testkit"
)

// Job is one launch.
type Job struct {
	Ranks    int
	Program  string   // the test binary itself unless set
	Args     []string // the program's arguments
	Options  []string // further options of mpiexec
	Env      []string // further variables, NAME=value
	Limit    time.Duration
	Linger   time.Duration // see Command
	Launcher string        // "openmpi" or "mpich"; the one of Program's library unless set
	Plain    bool          // mpiexec without the options that suit a test: bound, and no more ranks than cores
	Prefix   []string      // a command that runs the command it is given: mpiexec, on another host
	Stdin    string        // what mpiexec has on its standard input; nothing, and an end, unless set
	Tells    Signals
	Once     bool // Run leaves it to its caller to run the job again: something happens to it that happens once
}

// Leave is the option of each launcher's mpiexec with which it lets the other ranks live when one has died. Run sets what PRRTE
// wants for spawned ones besides.
var Leave = map[string]string{"openmpi": "--enable-recovery", "mpich": "-disable-auto-cleanup"}

// asRoot has Open MPI run as root. The second pair is for a program without an mpiexec that spawns, since version 5.
var asRoot = []string{
	"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "PRTE_ALLOW_RUN_AS_ROOT=1", "PRTE_ALLOW_RUN_AS_ROOT_CONFIRM=1",
}

// reachable has Open MPI 5.0 spawn on a host that has IPv4 and IPv6: see docs/mpi-notes.md.
var reachable = []string{"OMPI_MCA_btl_tcp_disable_family=6"}

// Untagged takes off what the launchers put before a line to tell the ranks apart; Open MPI's does it within lines too, where a
// program writes them in pieces. Since version 5 a space follows, which is not the program's.
func Untagged(output string) string {
	if strings.Contains(output, ">:") && VersionOf("openmpi").PRRTE() {
		return spaced.ReplaceAllString(output, "")
	}
	return tag.ReplaceAllString(output, "")
}

var (
	tag    = regexp.MustCompile(`\[\d+,\d+\]<std(?:out|err)>:|(?m)^\[\d+\] `)
	spaced = regexp.MustCompile(`\[[\w.-]+,\d+\]<std(?:out|err)>: ?`) // a job of a DVM has a name
)

// Signals are sent while a command runs, each as soon as its words have been printed: in turn, to the command's process
// group, as a terminal sends Ctrl-C.
type Signals []Signal

// Signal is one of Signals.
type Signal struct {
	Seen   string
	Signal syscall.Signal // none is sent unless it is set
	Tell   func()         // is called then, unless it is nil
}

// Command is something to launch that is no mpiexec: srun, a job script.
type Command struct {
	Args  []string // the program first
	Env   []string // further variables, NAME=value
	Dir   string   // working directory
	Stdin string
	Limit time.Duration
	Tells Signals

	// Linger is how long what outlives the command may take to end: MPICH's mpiexec does not wait for those it has killed.
	Linger time.Duration
}

// Result is how a launch ended.
type Result struct {
	Output  string         // of all ranks, both streams
	Code    int            // mpiexec's exit status; -1 when it was killed
	Expired bool           // the limit was reached
	Left    []int          // processes of the job that were there some time after mpiexec had ended by itself, and were killed then
	Told    int            // how many of the signals were sent
	Signal  syscall.Signal // what ended mpiexec itself, if that was a signal
	Stacks  string         // what its Go programs were doing when the limit was reached: what they have printed since, told to by SIGABRT
}

// Report is all that a launch has printed, for the text of a failure.
func (r Result) Report() string {
	if r.Stacks == "" {
		return r.Output
	}
	return r.Output + "\nwhen its time was over:\n" + r.Stacks
}

// EndedInInit tells that an MPICH has ended the job inside MPI_Init, because another MPI's launcher has started it. Version 5 does; older ones
// give each process a world of one rank.
func (r Result) EndedInInit() bool { return strings.Contains(r.Output, "unsupported PMI version") }

// Under launches the running test on that many ranks and fails it when any of them fails, or does not end. In a rank it
// returns true: the test goes on with its body. Outside it returns false: the test is over.
//
//	if !mpitest.Under(t, 2) { return }
func Under(t testing.TB, ranks int, options ...string) bool {
	t.Helper()
	return under(t, testkit.Limit, ranks, options)
}

// UnderLong is Under for a test that takes long, because it is many in one or moves gigabytes.
func UnderLong(t testing.TB, ranks int, options ...string) bool {
	t.Helper()
	return under(t, testkit.Suite, ranks, options)
}

func under(t testing.TB, limit time.Duration, ranks int, options []string) bool {
	t.Helper()
	if InRank() {
		return true
	}
	r, err := RunSpawning(t, Job{
		Ranks: ranks, Args: []string{"-test.run=^" + t.Name() + "$", "-test.v", "-test.timeout=" + limit.String()}, Options: options,
		Limit: limit + time.Minute, // for what the ranks say when they have reached theirs
	})
	switch {
	case err != nil:
		t.Fatal(err)
	case r.Expired:
		t.Fatalf("%d ranks did not end in time; all were killed. They printed:\n%s", ranks, r.Report())
	case r.Code != 0:
		t.Fatalf("%d ranks ended with status %d. They printed:\n%s", ranks, r.Code, r.Output)
	case !strings.Contains(r.Output, "--- PASS: "+t.Name()):
		t.Fatalf("%d ranks did not run the test. They printed:\n%s", ranks, r.Output)
	case testing.Verbose():
		t.Log("\n" + r.Output)
	}
	return false
}

// RunSpawning is Run for a job that may spawn. When a spawn of Open MPI 4.1.4 has hung (see docs/mpi-notes.md), which is not
// what the test is about, it says so and runs the job again, twice at most.
func RunSpawning(t testing.TB, j Job) (r Result, err error) {
	t.Helper()
	for range 3 {
		r, err = Run(t.Context(), j)
		hung := r.Expired || strings.Contains(r.Output, "spawned workers have not come up") || strings.Contains(r.Output, "a spawn does not return") ||
			strings.Contains(r.Output, "MPI_Init has waited for")
		if err != nil || j.Ranks != 1 || r.Code == 0 || !hung {
			break
		}
		t.Log("a spawn hung, or the start; once more")
	}
	return r, err
}

var launches struct {
	sync.Mutex
	n int
}

// Run launches a job and waits for its end, for its limit (that of a test unless set), or for ctx. Nothing of it is left
// when Run returns.
func Run(ctx context.Context, j Job) (Result, error) {
	if j.Program == "" {
		self, err := os.Executable()
		if err != nil {
			return Result{}, err
		}
		j.Program = self
	}
	if j.Launcher == "" {
		var err error
		if j.Launcher, err = linked(j.Program); err != nil {
			return Result{}, err
		}
	}
	c := Command{Env: j.Env, Limit: j.Limit, Linger: j.Linger, Stdin: j.Stdin, Tells: j.Tells}
	if j.Launcher == "openmpi" {
		c.Env = append(append(slices.Clip(c.Env), asRoot...), reachable...)
		if slices.Contains(j.Options, Leave["openmpi"]) {
			c.Env = append(c.Env, "PRTE_MCA_state_base_recoverable=1")
		}
	}
	if slices.Contains(j.Options, dvm) {
		j.Options = append(slices.Clip(j.Options), exported(append(slices.Clip(c.Env), marker, "GORACE"))...)
	}
	name, args := commandLine(j)
	c.Args = append(append(slices.Clip(j.Prefix), name), args...)
	for again := 0; ; again++ {
		r, err := c.Run(ctx)
		// MPICH's mpiexec is now and then ended by a signal itself when ranks end soon, before it has passed on a line of theirs.
		if again == 2 || j.Launcher != "mpich" || r.Signal == 0 || r.Expired || r.Output != "" || len(j.Tells) > 0 || j.Once {
			return r, err
		}
		fmt.Fprintf(os.Stderr, "mpitest: mpiexec itself was ended by a signal (%v) before it had passed on a line, so the job is run once more\n", r.Signal)
	}
}

// dvm is mpiexec's option for a job of daemons that were started before. Its ranks get the daemons' environment and not mpiexec's.
const dvm = "--dvm"

// exported are the options by which they get variables of mpiexec's all the same.
func exported(variables []string) (options []string) {
	for i, v := range variables {
		variables[i], _, _ = strings.Cut(v, "=")
	}
	slices.Sort(variables)
	for _, name := range slices.Compact(variables) {
		options = append(options, "-x", name)
	}
	return options
}

// Run runs the command and waits for its end, for its limit (that of a test unless set), or for ctx. Nothing of it is left when
// Run returns, wherever on this machine it was started: the variable that marks it travels with the environment.
func (c Command) Run(ctx context.Context) (Result, error) {
	if c.Limit <= 0 {
		c.Limit = testkit.Limit
	}
	if c.Linger <= 0 {
		c.Linger = testkit.Limit
	}
	launches.Lock()
	launches.n++
	mark := fmt.Sprintf("%s=%d.%d", marker, os.Getpid(), launches.n)
	launches.Unlock()

	ctx, cancel := context.WithTimeoutCause(ctx, c.Limit, errLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.Args[0], c.Args[1:]...)
	out := &teller{cmd: cmd, left: c.Tells}
	cmd.Stdout, cmd.Stderr, cmd.Dir = out, out, c.Dir
	if c.Stdin != "" {
		cmd.Stdin = strings.NewReader(c.Stdin)
	}
	// The race detector has every process idle for a second at its exit, and a spawned one is waited for.
	cmd.Env = append(append([]string{"GORACE=atexit_sleep_ms=0"}, append(os.Environ(), mark)...), c.Env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		if errors.Is(context.Cause(ctx), errLimit) { // else somebody needs it no longer
			out.divide()
			abort(mark)
		}
		killMarked(mark)
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = testkit.Limit // for what was printed last to be read, however soon what lingers is killed
	err := cmd.Run()
	for begin := time.Now(); ctx.Err() == nil && time.Since(begin) < c.Linger && len(marked(mark)) > 0; {
		time.Sleep(10 * time.Millisecond)
	}
	r := Result{Left: killMarked(mark), Code: cmd.ProcessState.ExitCode(), Expired: ctx.Err() != nil, Told: len(c.Tells) - len(out.left)}
	r.Output, r.Stacks = out.parts()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		r.Signal = status.Signal()
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && !r.Expired && !errors.Is(err, exec.ErrWaitDelay) {
		return r, fmt.Errorf("mpitest: %s: %w", c.Args[0], err)
	}
	return r, nil
}

// errLimit is why a command ends whose limit was reached.
var errLimit = errors.New("mpitest: the limit was reached")

// teller keeps what a command prints, and sends it signals.
type teller struct {
	mu   sync.Mutex
	said bytes.Buffer
	over bool // the limit was reached
	late int  // from here on it was printed after that
	cmd  *exec.Cmd
	left Signals
	seen int // what is before was looked at for the last signal
}

// divide has what is printed from now on be apart.
func (t *teller) divide() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over, t.late = true, t.said.Len()
}

// parts are what was printed before and after divide.
func (t *teller) parts() (before, after string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	text := t.said.String()
	if !t.over {
		return text, ""
	}
	return text[:t.late], text[t.late:]
}

func (t *teller) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n, err := t.said.Write(p)
	for len(t.left) > 0 {
		text := t.said.Bytes()[t.seen:]
		at := bytes.Index(text, []byte(t.left[0].Seen))
		if at < 0 {
			break
		}
		if s := t.left[0].Signal; s != 0 {
			_ = syscall.Kill(-t.cmd.Process.Pid, s) // it is not waited for yet, so the number is its own
		}
		if tell := t.left[0].Tell; tell != nil {
			tell()
		}
		t.seen += at + len(t.left[0].Seen)
		t.left = t.left[1:]
	}
	return n, err
}

// commandLine is mpiexec with the options that suit a test: more ranks than cores, no binding, ranks told apart.
func commandLine(j Job) (name string, args []string) {
	name = "mpiexec"
	if path, err := exec.LookPath("mpiexec." + j.Launcher); err == nil {
		name = path
	}
	switch {
	case j.Launcher == "mpich":
		args = append(args, "-prepend-rank")
	case j.Plain:
		args = append(args, "--tag-output")
	default:
		args = append(args, "--oversubscribe", "--bind-to", "none", "--tag-output")
	}
	args = append(append(args, j.Options...), "-n", strconv.Itoa(j.Ranks), j.Program)
	return name, append(args, j.Args...)
}

// Launcher is the variable that says under which launcher programs run: "openmpi" or "mpich". They load its library, so that any would do.
// Unless it is set that is Open MPI's, where it is installed.
const Launcher = "MPITEST_LAUNCHER"

// Linked returns the launcher that this program is to run under: where it is linked with an MPI library, as what imports empi is, the one of that.
func Linked() (launcher string, err error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	return linked(self)
}

func linked(program string) (launcher string, err error) {
	libs, err := Libraries(program)
	if err != nil {
		return "", err
	}
	if len(libs) == 0 {
		if launcher = os.Getenv(Launcher); launcher != "" {
			return launcher, nil
		}
		if _, err := exec.LookPath("mpiexec.openmpi"); err != nil {
			if _, err := exec.LookPath("mpiexec.mpich"); err == nil {
				return "mpich", nil
			}
		}
		return "openmpi", nil
	}
	if len(libs) != 1 {
		return "", fmt.Errorf("mpitest: %s links the MPI libraries %q, want exactly one", program, libs)
	}
	return LauncherOf(libs[0]), nil
}

// Libraries returns the MPI libraries an executable is linked with.
func Libraries(program string) ([]string, error) {
	f, err := elf.Open(program)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := f.ImportedLibraries()
	if err != nil {
		return nil, err
	}
	var libs []string
	for _, l := range all {
		if strings.HasPrefix(l, "libmpi.so") || strings.HasPrefix(l, "libmpich") {
			libs = append(libs, l)
		}
	}
	return libs, nil
}

// LauncherOf is the name of the launcher that belongs to a library: "openmpi" or "mpich".
func LauncherOf(library string) string {
	// MPICH built from source is libmpi.so.12; Open MPI is libmpi.so.40 and later.
	if strings.HasPrefix(library, "libmpich") || library == "libmpi.so.12" {
		return "mpich"
	}
	return "openmpi"
}

// lastWords is how long programs that are told to abort may take to say what they were doing, and their launchers to pass it on.
const lastWords = 10 * time.Second

// abort has the Go programs that have mark in their environment print what their goroutines do, and end. Meanwhile the launchers are
// stopped: they would kill the other ranks when the first one ends.
func abort(mark string) {
	all := marked(mark)
	launchers := slices.DeleteFunc(slices.Clone(all), isGo)
	programs := slices.DeleteFunc(all, func(pid int) bool { return slices.Contains(launchers, pid) })
	if len(programs) == 0 {
		return
	}
	signal := func(pids []int, s syscall.Signal) {
		for _, pid := range pids {
			_ = syscall.Kill(pid, s)
		}
	}
	signal(launchers, syscall.SIGSTOP)
	signal(programs, syscall.SIGABRT)
	await(func() bool {
		alive := marked(mark)
		return !slices.ContainsFunc(programs, func(pid int) bool { return slices.Contains(alive, pid) })
	})
	signal(launchers, syscall.SIGCONT)
	await(func() bool { return len(marked(mark)) == 0 }) // they end with their ranks
}

// await waits for last words.
func await(over func() bool) {
	for end := time.Now().Add(lastWords); !over() && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
}

// isGo tells whether a process runs a program that is written in Go.
func isGo(pid int) bool {
	_, err := buildinfo.ReadFile(fmt.Sprintf("/proc/%d/exe", pid))
	return err == nil
}

// killMarked kills every process that has mark in its environment, until there is none, and returns which there were. It is
// what a process group cannot do: both launchers give their ranks groups of their own.
func killMarked(mark string) (killed []int) {
	for range 500 {
		alive := marked(mark)
		if len(alive) == 0 {
			break
		}
		for _, pid := range alive {
			if !slices.Contains(killed, pid) {
				killed = append(killed, pid)
			}
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		time.Sleep(10 * time.Millisecond)
	}
	return killed
}

// marked returns the processes that have mark in their environment. One that has ended and that nobody has waited for has
// none.
func marked(mark string) (pids []int) {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		env, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00"+mark+"\x00")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(path))); err == nil && pid != os.Getpid() {
			pids = append(pids, pid)
		}
	}
	return pids
}
