// Command wordcount counts the identifiers in every .go file under a directory with a pool of workers, one task per
// batch of files. The files are read by the workers: only their names and the counts travel.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"go/scanner"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rankpool/rankpool/futures"
)

// tally is what a task returns and what the master adds up.
type tally struct {
	Files, Bytes, Identifiers int
	Count                     map[string]int
}

// countFiles counts the identifiers in a batch of files.
var countFiles = futures.Register("countFiles", func(paths []string) (tally, error) {
	t := tally{Count: make(map[string]int)}
	for _, path := range paths {
		source, err := os.ReadFile(path)
		if err != nil {
			return tally{}, err
		}
		t.Files++
		t.Bytes += len(source)
		t.scan(source)
	}
	return t, nil
})

// scan adds the identifiers of one file. What is not valid Go is skipped: the tests of a compiler are full of it.
func (t *tally) scan(source []byte) {
	var s scanner.Scanner
	s.Init(token.NewFileSet().AddFile("", -1, len(source)), source, nil, 0)
	for {
		switch _, tok, name := s.Scan(); tok {
		case token.IDENT:
			t.Identifiers++
			t.Count[name]++
		case token.EOF:
			return
		}
	}
}

// add adds another tally.
func (t *tally) add(u tally) {
	t.Files += u.Files
	t.Bytes += u.Bytes
	t.Identifiers += u.Identifiers
	for name, n := range u.Count {
		t.Count[name] += n
	}
}

var (
	batch = flag.Int("batch", 64, "files per task: the `number`")
	top   = flag.Int("top", 20, "identifiers to print: the `number`, most frequent first")
)

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `usage: wordcount [-batch number] [-top number] [directory]

Counts the identifiers in every .go file under the directory; without one, in the sources of the Go installation.
RANKPOOL_BACKEND (auto, mpi, processes, threads) and RANKPOOL_MAX_WORKERS choose the workers.

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	futures.Main(run)
}

func run(ctx context.Context) error {
	if *batch < 1 || *top < 1 || flag.NArg() > 1 {
		return errors.New("wordcount: -batch and -top are at least 1, and there is one directory; see wordcount -help")
	}
	files, err := goFiles(flag.Arg(0))
	if err != nil {
		return fmt.Errorf("wordcount: %w", err)
	}

	start := time.Now()
	return futures.With(ctx, func(ex *futures.MPIPoolExecutor) error {
		total := tally{Count: make(map[string]int)}
		for t, err := range futures.Map(ctx, ex, countFiles, slices.Chunk(files, *batch)) {
			if err != nil {
				return err
			}
			total.add(t)
		}
		elapsed := time.Since(start)

		n, err := ex.NumWorkers(ctx)
		if err != nil {
			return err
		}
		total.print(*top)
		fmt.Printf("backend %s, workers %d, tasks %d, elapsed %v\n",
			ex.Backend(), n, ex.Stats().Submitted, elapsed.Round(time.Millisecond))
		return nil
	})
}

// goFiles lists the .go files under dir, by absolute path, so that it does not matter where a worker runs.
func goFiles(dir string) ([]string, error) {
	if dir == "" {
		root, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			return nil, fmt.Errorf("cannot find the Go installation (%w): name a directory", err)
		}
		dir = filepath.Join(strings.TrimSpace(string(root)), "src")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	// WalkDir does not follow a link, not even as its root, and some distributions install the sources behind one.
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	var files []string
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && filepath.Ext(path) == ".go" {
			files = append(files, path)
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("no .go file under %s", dir)
	}
	return files, err
}

// print writes the most frequent identifiers, equal ones in alphabetical order, and the totals.
func (t *tally) print(top int) {
	names := slices.SortedFunc(maps.Keys(t.Count), func(a, b string) int {
		return cmp.Or(cmp.Compare(t.Count[b], t.Count[a]), cmp.Compare(a, b))
	})
	for _, name := range names[:min(top, len(names))] {
		fmt.Printf("%9d %s\n", t.Count[name], name)
	}
	fmt.Printf("%d identifiers, %d distinct, in %d files of %d bytes\n", t.Identifiers, len(names), t.Files, t.Bytes)
}
