package ours

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"time"
)

// Alone is the peer of a pool whose tasks sleep: as many processes of this program, that share the sleeping out between
// them beforehand and need no pool. It starts them with args, which must call Sleeper, waits until all are ready, and
// prints how many sleeps a second they did together.
func Alone(ctx context.Context, workers, n int, each time.Duration, args []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type process struct {
		cmd *exec.Cmd
		in  io.WriteCloser
		out *bufio.Reader
	}
	all := make([]process, workers)
	for i := range all {
		share := n / workers
		if i < n%workers {
			share++
		}
		cmd := exec.CommandContext(ctx, self, append(args, strconv.Itoa(share), each.String())...)
		cmd.Env = append(os.Environ(), "GOMAXPROCS=1") // as local workers have it when they outnumber the cores
		cmd.Stderr = os.Stderr
		in, err := cmd.StdinPipe()
		if err != nil {
			return err
		}
		out, err := cmd.StdoutPipe()
		if err != nil {
			return err
		}
		if err := cmd.Start(); err != nil {
			return err
		}
		defer func() { _ = cmd.Wait() }() // its status says nothing that its output does not
		all[i] = process{cmd, in, bufio.NewReader(out)}
	}
	defer cancel() // runs before the waits: none of them is without an end
	answers := func() error {
		for _, p := range all {
			if _, err := p.out.ReadString('\n'); err != nil {
				return fmt.Errorf("bench: a process that should sleep ended: %w", err)
			}
		}
		return nil
	}
	if err := answers(); err != nil {
		return err
	}
	begin := time.Now()
	for _, p := range all {
		if err := p.in.Close(); err != nil {
			return err
		}
	}
	if err := answers(); err != nil {
		return err
	}
	text, err := json.Marshal(map[string]float64{"sleep.per_second": float64(n) / time.Since(begin).Seconds()})
	if err != nil {
		return err
	}
	fmt.Printf("%s%s\n", Mark, text)
	return nil
}

// Sleeper is one of the processes of Alone: it says that it is ready, waits for the end of its input, and sleeps n times.
func Sleeper(n int, each time.Duration) error {
	fmt.Println("ready")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	for range n {
		time.Sleep(each)
	}
	fmt.Println("done")
	return nil
}
