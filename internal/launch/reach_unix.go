//go:build unix

package launch

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Some file systems that hang hold the whole process: no signal ends a call of theirs, not even that of its end, and a process ends when
// all of its calls have. So the first look at each is that of another process, which may stay behind.

// reached looks whether paths answer, whatever they say. It blocks until then, until the limit, or until ctx ends.
func reached(ctx context.Context, limit time.Duration, paths ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, append([]string{"reach", "--"}, paths...)...)
	cmd.Env = []string{}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var path latest
	cmd.Stdout = &path
	restore := keepToOurselves()
	err = cmd.Start()
	restore()
	if err != nil {
		return fmt.Errorf("cannot start the process that looks at %s: %w", strings.Join(paths, ", "), err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // that it has ended is all there is to know
	}()
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case <-ended:
		return nil
	case <-late.C:
		err = &hungError{"looking at " + cmp.Or(path.String(), strings.Join(paths, ", ")), limit}
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	_ = cmd.Process.Kill()
	return err
}

// latest is the last line that was written to it.
type latest struct {
	mu   sync.Mutex
	text []byte
}

func (l *latest) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	return len(p), nil
}

func (l *latest) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := bytes.TrimSuffix(l.text, []byte("\n"))
	return string(text[bytes.LastIndexByte(text, '\n')+1:])
}

// Reach looks at paths, in the process that reached starts, and names each before it does.
func Reach(paths []string) error {
	for _, path := range paths {
		fmt.Println(path)
		if f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0); err == nil { // a pipe is not waited for
			_, _ = f.Readdirnames(1)
			_ = f.Close()
		}
	}
	return nil
}
