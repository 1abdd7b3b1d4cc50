// Command printing has tasks that print: its first argument is how, "prefix" or a folder, the second what they do besides, the third
// how many lines each worker prints to each stream.
package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"syscall"

	"github.com/rankpool/rankpool/futures"
)

// chat prints in pieces, to both streams, and by a program of its own.
var chat = futures.RegisterContext("chat", func(ctx context.Context, lines int) (bool, error) {
	w, err := futures.Worker(ctx)
	if err != nil {
		return false, err
	}
	for i := range lines {
		for _, f := range []*os.File{os.Stdout, os.Stderr} {
			for _, piece := range []string{"this is ", "line ", fmt.Sprint(i), " of ", fmt.Sprint("worker ", w.Index), " on ", f.Name()[5:], "\n"} {
				if _, err := f.WriteString(piece); err != nil {
					return false, err
				}
			}
		}
	}
	c := exec.CommandContext(ctx, "/bin/echo", "a program of worker", fmt.Sprint(w.Index))
	c.Stdout = os.Stdout
	if err := c.Run(); err != nil {
		return false, err
	}
	_, err = fmt.Print("no end of line of worker ", w.Index)
	return true, err
})

var last = futures.RegisterContext("last", func(ctx context.Context, how string) (bool, error) {
	w, err := futures.Worker(ctx)
	if err != nil {
		return false, err
	}
	fmt.Printf("the last words of worker %d", w.Index)
	switch how {
	case "killed":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	case "crashes":
		go func() { panic("out of order") }()
	}
	select {}
})

func main() { futures.Main(run) }

func run(ctx context.Context) error {
	opt := futures.WithOutputPrefix()
	if os.Args[1] != "prefix" {
		opt = futures.WithOutputDir(os.Args[1])
	}
	ex, err := futures.NewMPIPoolExecutor(opt)
	if err != nil {
		return err
	}
	lines, err := strconv.Atoi(os.Args[3])
	if err != nil {
		return err
	}
	f, err := futures.SubmitEach(ex, chat, lines)
	if err != nil {
		return err
	}
	if _, err := f.Result(ctx); err != nil {
		return err
	}
	if how := os.Args[2]; how != "nothing" {
		f, err := futures.Submit(ex, last, how)
		if err != nil {
			return err
		}
		if _, err := f.Result(ctx); err == nil {
			return fmt.Errorf("the task has returned")
		}
	}
	err = ex.Close()
	fmt.Println("closed")
	return err
}
