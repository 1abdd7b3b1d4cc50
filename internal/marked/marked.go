// Package marked runs commands of which nothing is left when they have ended: launchers start processes in groups of their own, so
// whatever a command starts is found by a mark in its environment.
package marked

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// Run runs a command until its end or until ctx ends, and returns what it printed. Each line goes to see first, which may be
// nil and tells whether the line is kept; it is called on one goroutine, whose work is over when Run returns. Nothing that the command
// has started is left then.
func Run(ctx context.Context, env []string, name string, args []string, see func(line string) (keep bool)) (string, error) {
	mark := newMark()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(append(os.Environ(), env...), mark)
	ownGroup(cmd)
	cmd.Cancel = func() error {
		killMarked(mark)
		return cmd.Process.Kill()
	}
	cmd.WaitDelay = 2 * time.Second
	read, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = write, write
	var text strings.Builder
	var done sync.WaitGroup
	done.Go(func() {
		lines := bufio.NewScanner(read)
		lines.Buffer(nil, 1<<20)
		for lines.Scan() {
			keep := see == nil || see(lines.Text())
			if keep && text.Len() < 64<<10 {
				text.WriteString(lines.Text() + "\n")
			}
		}
		_, _ = io.Copy(io.Discard, read) // a line that is too long is nobody's
	})
	err := cmd.Run()
	_ = write.Close()
	done.Wait()
	killMarked(mark)
	if errors.Is(err, exec.ErrWaitDelay) {
		err = nil
	}
	return text.String(), err
}

// LastWords are the lines of an output that say most, on one line.
func LastWords(out string, err error) string {
	var kept []string
	for line := range strings.Lines(out) {
		if line = strings.Trim(line, "-= \t\n"); line != "" {
			kept = append(kept, line)
		}
	}
	text := strings.Join(kept[:min(len(kept), 6)], " ")
	switch {
	case err != nil && text != "":
		return fmt.Sprintf("%v (%s)", err, text)
	case err != nil:
		return err.Error()
	case text == "":
		return "it ended without a word"
	}
	return text
}
