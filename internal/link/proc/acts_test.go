//go:build unix

package proc_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/proc"
)

// acts are what the workers of single tests do instead of linktest.Worker.
var acts = map[string]func(ep link.Endpoint){
	"spin": func(ep link.Endpoint) {
		_ = ep.Send(pid())
		for { //nolint:staticcheck // a task that never ends and never receives
		}
	},
	"idle": func(ep link.Endpoint) {
		_ = ep.Send(pid())
		_, _ = ep.Recv()
		_ = ep.Close()
	},
	"journal": func(ep link.Endpoint) {
		j := ep.Journal()
		j.Picked(5)
		j.Finished(4, len(append(j.Buffer(), "done"...)))
		_ = append(j.Buffer(), "done and half of the ne"...) // the mark of this one is never written
		_ = ep.Send(pid())
		select {}
	},
	"exit 3": func(link.Endpoint) { os.Exit(3) },
	"exit 0": func(link.Endpoint) { os.Exit(0) },
	"report": func(ep link.Endpoint) {
		input, err := io.ReadAll(os.Stdin)
		says := fmt.Sprintf("variable=%q worker=%v input=%q err=%v procs=%d limit=%q args=%q",
			os.Getenv("RANKPOOL_WORKER"), proc.IsWorker(), input, err, runtime.GOMAXPROCS(0), os.Getenv("GOMEMLIMIT"), os.Args[1:])
		_ = ep.Send(link.Frame{Stream: []byte(says)})
		_, _ = ep.Recv()
		_ = ep.Close()
	},
	"signalled": func(ep link.Endpoint) {
		for _, s := range groupSignals {
			_ = syscall.Kill(os.Getpid(), s)
		}
		out, _ := exec.Command("sh", "-c", showIgnored).Output()
		_ = ep.Send(link.Frame{Stream: out})
		_, _ = ep.Recv()
		_ = ep.Close()
	},
	"hang": hangHere,
	"named": func(ep link.Endpoint) {
		name, _ := os.ReadFile("/proc/self/comm")
		oom, _ := os.ReadFile("/proc/self/oom_score_adj")
		_ = ep.Send(link.Frame{Stream: append(name, oom...)})
		_, _ = ep.Recv()
		_ = ep.Close()
	},
	"shrink": func(ep link.Endpoint) {
		maps, _ := os.ReadFile("/proc/self/maps")
		for line := range strings.Lines(string(maps)) {
			if f := strings.Fields(line); len(f) > 5 && strings.Contains(f[5], "rankpool-journal") {
				_ = ep.Send(link.Frame{Stream: []byte(fmt.Sprint(os.Truncate("/proc/self/map_files/"+f[0], 0)))})
			}
		}
		_, _ = ep.Recv()
		_ = ep.Close()
	},
	// It changes the user, as an initializer may, stops, and would not notice its master's end.
	"drop": func(ep link.Endpoint) {
		_ = syscall.Setuid(12345)
		ep.(link.Settler).Settled()
		_ = ep.Send(pid())
		_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
		select {}
	},
	"garbage": func(ep link.Endpoint) {
		_, _ = syscall.Write(3, []byte("these bytes are not a frame at all"))
		select {}
	},
	// It answers "bad" to each segment that has a byte which is not its frame's first one, and ends at an empty stream.
	"same": func(ep link.Endpoint) {
		for {
			f, err := ep.Recv()
			if err != nil || len(f.Stream) == 0 {
				_ = ep.Send(link.Frame{Stream: []byte("over")})
				_ = ep.Close()
				return
			}
			for _, s := range f.Segments {
				if bytes.Count(s, f.Stream[:1]) != len(s) {
					_ = ep.Send(link.Frame{Stream: []byte("bad")})
				}
			}
		}
	},
	"local": func(ep link.Endpoint) {
		_ = ep.Send(link.Frame{Stream: []byte(fmt.Sprint(ep.Send(link.Frame{Local: 1})))})
		_ = ep.Close()
	},
	// A program that holds the worker's end of the socket open beyond the worker's end.
	"heir": func(ep link.Endpoint) {
		_, _ = ep.Recv()             // by then it has its mark, which would end the heir
		var unlimited syscall.Rlimit // of which the numbers have a sign on some systems
		unlimited.Cur, unlimited.Max = ^unlimited.Cur, ^unlimited.Max
		_ = syscall.Setrlimit(realTime, &unlimited)
		c := exec.Command("sleep", "600")
		c.ExtraFiles = []*os.File{os.NewFile(3, "socket")}
		if err := c.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_ = ep.Send(link.Frame{Stream: []byte(strconv.Itoa(c.Process.Pid))})
		os.Exit(3)
	},
	// A task that has started processes of all kinds and waits for them.
	"family": func(ep link.Endpoint) {
		_, _ = ep.Recv()
		_ = ep.Send(link.Frame{Stream: []byte(strings.Join(startFamily(), " "))})
		_, _ = ep.Recv()
		_ = ep.Close()
	},
	// One of which the child leaves a trace when it is asked to end.
	"polite": func(ep link.Endpoint) {
		_, _ = ep.Recv()
		c := exec.Command("sh", "-c", `trap 'echo > "$0"; exit' TERM; echo; sleep 1000 & wait`, os.Getenv(traceVariable))
		out, err := c.StdoutPipe()
		if err == nil {
			err = c.Start()
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_, _ = out.Read(make([]byte, 1))
		_ = ep.Send(pid())
		_, _ = ep.Recv()
		_ = ep.Close()
	},
	"size": func(ep link.Endpoint) {
		for {
			f, err := ep.Recv()
			if err != nil {
				_ = ep.Close()
				return
			}
			s := f.Segments[0]
			answer := binary.LittleEndian.AppendUint64(nil, uint64(len(s)))
			_ = ep.Send(link.Frame{Stream: append(answer, s[0], s[len(s)/2], s[len(s)-1])})
		}
	},
	// It sends frames of as many bytes as it is told, as fast as the master takes them.
	"pour": func(ep link.Endpoint) {
		f, err := ep.Recv()
		if err != nil {
			_ = ep.Close()
			return
		}
		s := make([]byte, binary.LittleEndian.Uint64(f.Stream))
		_ = ep.Send(pid())
		for ep.Send(link.Frame{Segments: [][]byte{s}}) == nil {
		}
		_ = ep.Close()
	},
	// It receives, and says when it has begun to.
	"drink": func(ep link.Endpoint) {
		_ = ep.Send(pid())
		for {
			if _, err := ep.Recv(); err != nil {
				_ = ep.Close()
				return
			}
		}
	},
	"swell": func(ep link.Endpoint) {
		f, _ := ep.Recv()
		s := make([]byte, binary.LittleEndian.Uint64(f.Stream)) // never written but here, so it takes next to no memory
		s[0], s[len(s)/2], s[len(s)-1] = 1, 2, 3
		_ = ep.Send(link.Frame{Segments: [][]byte{s}})
		_ = ep.Close()
	},
}

// groupSignals are sent to whole process groups.
var groupSignals = []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2}

// showIgnored prints which signals a shell was started to ignore, where the system tells.
const showIgnored = `grep SigIgn /proc/self/status 2>/dev/null || echo unknown`

func hangHere(ep link.Endpoint) {
	_ = ep.Send(pid())
	select {}
}

// traceVariable is where a process leaves a trace.
const traceVariable = "RANKPOOL_PROC_TEST_TRACE"

// realTime is Linux's RLIMIT_RTTIME.
const realTime = 15

// startFamily starts a shell, its child, an orphan in a session of its own that has no environment, and one that is stopped,
// and returns their numbers.
func startFamily() (pids []string) {
	c := exec.Command("sh", "-c", `sleep 600 & echo $!
		(exec env -i setsid sleep 600) & echo $!
		sh -c 'kill -STOP $$; sleep 600' & echo $!
		sh -c 'sleep 600 & echo $!'
		echo $$; echo; wait`)
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for in := bufio.NewScanner(out); in.Scan() && in.Text() != ""; {
		pids = append(pids, in.Text())
	}
	return pids
}

func pid() link.Frame { return link.Frame{Stream: []byte(strconv.Itoa(os.Getpid()))} }

// groupOf opens a group whose workers do that act, and ends this process when it cannot.
func groupOf(act string, slots int, h link.Handler) *proc.Group {
	g := proc.New(proc.Config{Slots: slots, Args: []string{}, Env: []string{roleVariable + "=" + act}})
	if _, err := g.Open(context.Background(), h); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return g
}

// runDoomedMaster starts a spinning, an idle, a stopped, a receiving and a sending worker, prints their pids, and waits to be
// killed.
func runDoomedMaster() {
	time.AfterFunc(2*patience, func() { os.Exit(1) }) // when the test does not kill it
	h := make(pids)                                   // so the last worker, which goes on sending, waits without end
	large := make([]byte, 64<<20)
	var all []string
	for _, act := range []string{"spin", "idle", "idle", "drink", "pour"} {
		g := groupOf(act, 1, h)
		g.Start(0)
		if act == "pour" {
			g.Send(0, link.Frame{Stream: binary.LittleEndian.AppendUint64(nil, 1<<20)})
		}
		all = append(all, <-h)
		if act == "drink" {
			for range 100 {
				g.Send(0, link.Frame{Segments: [][]byte{large}})
			}
		}
	}
	if stopped, err := strconv.Atoi(all[2]); err == nil {
		_ = syscall.Kill(stopped, syscall.SIGSTOP)
	}
	fmt.Println(strings.Join(all, " "))
	select {}
}

// runFamilies starts a worker that starts processes, and one itself that is to stay, prints their numbers, the latter first,
// and waits to be killed.
func runFamilies() {
	time.AfterFunc(2*patience, func() { os.Exit(1) })
	h := make(pids)
	g := groupOf("family", 2, h)
	own := exec.Command("sleep", "600")
	own.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // the kernel hangs up on a group that is left with a stopped process
	if err := own.Start(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	all := []string{strconv.Itoa(own.Process.Pid)}
	for w := range 2 {
		g.Start(w)
		g.Send(w, link.Frame{})
		all = append(all, <-h)
	}
	fmt.Println(strings.Join(all, " "))
	select {}
}

// runDropped starts a worker that changes its user and stops, prints the numbers of all its children but not before there are
// two, and waits to be killed.
func runDropped() {
	time.AfterFunc(2*patience, func() { os.Exit(1) })
	h := make(pids)
	g := groupOf("drop", 1, h)
	g.Start(0)
	worker := <-h
	guardian := 0
	for guardian == 0 {
		guardian = guardianOf(os.Getpid())
	}
	fmt.Println(guardian, worker)
	select {}
}

type pids chan string

func (p pids) Receive(_ int, f link.Frame) { p <- string(f.Stream) }
func (p pids) Lost(int, link.Loss)         {}

// guardianOf finds the guardian of a process, 0 for none.
func guardianOf(pid int) int {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		line, _ := os.ReadFile(path)
		if strings.HasPrefix(string(line), "rankpool-guard of process "+strconv.Itoa(pid)+"\x00") {
			found, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			return found
		}
	}
	return 0
}
