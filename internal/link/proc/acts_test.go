//go:build unix

package proc_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
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
	"interrupt": func(ep link.Endpoint) {
		_ = syscall.Kill(os.Getpid(), syscall.SIGINT)
		_ = syscall.Kill(os.Getpid(), syscall.SIGTERM)
		_ = ep.Send(pid())
		_, _ = ep.Recv()
		_ = ep.Close()
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
		c := exec.Command("sleep", "600")
		c.ExtraFiles = []*os.File{os.NewFile(3, "socket")}
		if err := c.Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		_ = ep.Send(link.Frame{Stream: []byte(strconv.Itoa(c.Process.Pid))})
		os.Exit(3)
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

func pid() link.Frame { return link.Frame{Stream: []byte(strconv.Itoa(os.Getpid()))} }

// runDoomedMaster starts a spinning, an idle, a stopped, a receiving and a sending worker, prints their pids, and waits to be
// killed.
func runDoomedMaster() {
	time.AfterFunc(2*patience, func() { os.Exit(1) }) // when the test does not kill it
	h := make(pids)                                   // so the last worker, which goes on sending, waits for ever
	large := make([]byte, 64<<20)
	var all []string
	for _, act := range []string{"spin", "idle", "idle", "drink", "pour"} {
		g := proc.New(proc.Config{Slots: 1, Args: []string{}, Env: []string{roleVariable + "=" + act}})
		if _, err := g.Open(context.Background(), h); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
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

type pids chan string

func (p pids) Receive(_ int, f link.Frame) { p <- string(f.Stream) }
func (p pids) Lost(int, link.Loss)         {}
