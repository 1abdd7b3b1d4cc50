package proc_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/hostmem"
	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/proc"
)

func init() {
	acts["inherit"] = func(ep link.Endpoint) { inherit(ep) }
	acts["inherit a copy"] = func(ep link.Endpoint) {
		proc.RefuseMappings()
		inherit(ep)
	}
}

// inherit sends what a worker has inherited, and which files the programs of its tasks have open.
func inherit(ep link.Endpoint) {
	files, _ := exec.Command("sh", "-c", "ls -l /proc/self/fd").Output()
	segments, copied, err := ep.(link.Heir).Inherit()
	again, _, _ := ep.(link.Heir).Inherit()
	maps, _ := os.ReadFile("/proc/self/maps")
	says := fmt.Sprintf("copied=%v err=%v again=%d leaked=%v mapped=%v", copied, err, len(again), bytes.Contains(files, []byte("rankpool-globals")),
		bytes.Contains(maps, []byte("rankpool-globals")))
	_ = ep.Send(link.Frame{Stream: []byte(says), Segments: segments})
	_, _ = ep.Recv()
	_ = ep.Close()
}

// shared is memory to inherit.
func shared(t *testing.T, pieces ...[]byte) *os.File {
	t.Helper()
	m, err := hostmem.New()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pieces {
		if err := m.Append(p); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Seal(); err != nil {
		t.Fatal(err)
	}
	return m.File()
}

func TestAWorkerInheritsMemoryAndSoDoesTheOneThatTakesItsPlace(t *testing.T) {
	pieces := [][]byte{[]byte("small"), bytes.Repeat([]byte("large"), 1<<18)}
	for act, want := range map[string]string{
		"inherit":        "copied=<nil> err=<nil> again=2 leaked=false mapped=true",
		"inherit a copy": "copied=refused err=<nil> again=2 leaked=false mapped=false",
	} {
		t.Run(act, func(t *testing.T) {
			g, e := acting(t, act, proc.Config{Inherit: shared(t, pieces...)})
			for range 2 {
				f := e.frame(t)
				if string(f.Stream) != want || len(f.Segments) != len(pieces) {
					t.Fatalf("%d pieces, %s", len(f.Segments), f.Stream)
				}
				for i, s := range f.Segments {
					if !bytes.Equal(s, pieces[i]) {
						t.Errorf("piece %d is another one", i)
					}
				}
				g.Kill(0, nil)
				e.loss(t)
				g.Start(0)
			}
		})
	}
}

func TestAWorkerWithNothingToInheritInheritsNothing(t *testing.T) {
	_, e := acting(t, "inherit", proc.Config{})
	if f := e.frame(t); len(f.Segments) > 0 || !strings.HasPrefix(string(f.Stream), "copied=<nil> err=<nil>") {
		t.Errorf("%d pieces, %s", len(f.Segments), f.Stream)
	}
}
