//go:build unix

package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rankpool/rankpool/futures"
)

func init() {
	for name, act := range map[string]func(context.Context) error{"interrupted": interrupted, "reads": reads} {
		acts[name] = act
	}
}

var (
	// crunch does not look at its context, and takes an hour.
	crunch = futures.Register("crunch", func(x int) (int, error) {
		if x >= 4 {
			time.Sleep(time.Hour)
		}
		return x, nil
	})

	// upper tries to read what the master reads.
	upper = futures.Register("upper", func(s string) (string, error) {
		rest, err := io.ReadAll(os.Stdin)
		return fmt.Sprintf("%s and %d bytes in the worker (%v)", strings.ToUpper(s), len(rest), err), nil
	})
)

// interrupted is told to end while it collects results, which it writes in a deferred function.
func interrupted(ctx context.Context) (err error) {
	var got []int
	defer func() {
		text := fmt.Sprintf("%v %v\n", got, err)
		_ = os.WriteFile(filepath.Join(*dir, "saved"), []byte(text), 0o600)
		fmt.Print("saved: ", text)
	}()
	ex := executor()
	defer ex.Close()
	for y, err := range futures.Map(ctx, ex, crunch, []int{0, 1, 2, 3, 4, 5, 6, 7}) {
		if err != nil {
			return err
		}
		if got = append(got, y); len(got) == 4 {
			fmt.Println("four are done")
		}
	}
	return nil
}

// reads is a filter in a pipeline, whose tasks try to read as well.
func reads(ctx context.Context) error {
	ex := executor()
	defer ex.Close()
	lines := bufio.NewScanner(os.Stdin)
	source := iter.Seq[string](func(yield func(string) bool) {
		for lines.Scan() && yield(lines.Text()) {
		}
	})
	for y, err := range futures.Map(ctx, ex, upper, source) {
		if err != nil {
			return err
		}
		fmt.Println(y)
	}
	return lines.Err()
}
