// Command lanes runs targets of the Makefile, several at a time, and prints at the end in one table what ran, what did not and why. Behind the
// table comes the output of the lane that is named last, so that the lines of its go test close the output. It is the longest, and begins first.
//
//	go run ./tools/lanes [-jobs N] [-alone LANE,...] LANE...
//
// What a lane prints is in bin/lanes/LANE.log as it comes, and is printed when the lanes before it have been. The status is 1 when a lane
// has failed.
package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// folder has the logs and the notes of lanes.
const folder = "bin/lanes"

func main() {
	jobs := flag.Int("jobs", 3, "how many lanes run at a time")
	alone := flag.String("alone", "", "lanes, apart by commas, beside which no other runs, and which come first: for want of memory")
	flag.Parse()
	signal.Ignore(os.Interrupt) // the lanes have it too, and end
	ok, err := run(os.Stdout, flag.Args(), strings.Split(*alone, ","), max(*jobs, 1))
	if err != nil {
		fmt.Fprintln(os.Stderr, "lanes:", err)
	}
	if err != nil || !ok {
		os.Exit(1)
	}
}

// lane is one of them, and how it has ended.
type lane struct {
	name    string
	done    chan struct{} // closed then
	err     error
	seconds float64 // that it took
	cpu     float64 // seconds of processors
}

func (l *lane) log() string   { return filepath.Join(folder, l.name+".log") }
func (l *lane) notes() string { return filepath.Join(folder, l.name+".notes") }

func run(out io.Writer, names, alone []string, jobs int) (ok bool, err error) {
	if err := os.RemoveAll(folder); err != nil {
		return false, err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return false, err
	}
	var all, first, rest []*lane
	for i, name := range names {
		l := &lane{name: name, done: make(chan struct{})}
		all = append(all, l)
		switch {
		case slices.Contains(alone, name):
			first = append(first, l)
		case i == len(names)-1:
			rest = slices.Insert(rest, 0, l) // were it the last to begin, it would run beside nothing at the end
		default:
			rest = append(rest, l)
		}
	}
	fmt.Fprintf(out, "lanes: %s; what they print is in %s as it comes\n", strings.Join(names, " "), folder)
	begin := time.Now()
	go func() {
		for _, l := range first {
			l.run()
		}
		next := make(chan *lane)
		for range jobs {
			go func() {
				for l := range next {
					l.run()
				}
			}()
		}
		for _, l := range rest {
			next <- l
		}
		close(next)
	}()
	ok = true
	for i, l := range all {
		<-l.done
		ok = ok && l.err == nil
		if i == len(all)-1 {
			fmt.Fprint(out, table(all, time.Since(begin)))
		}
		fmt.Fprintf(out, "== lane %s\n", l.name)
		if err := show(out, l.log()); err != nil {
			return false, err
		}
	}
	return ok, nil
}

var progress sync.Mutex

func (l *lane) run() {
	defer close(l.done)
	log, err := os.Create(l.log())
	if err != nil {
		l.err = err
		return
	}
	defer log.Close()
	begin := time.Now()
	cmd := exec.Command(cmp.Or(os.Getenv("MAKE"), "make"), "--no-print-directory", l.name)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = append(os.Environ(), "MAKEFLAGS="+ownFlags(os.Getenv("MAKEFLAGS")), "LANE_NOTES="+must(filepath.Abs(l.notes())))
	l.err = cmd.Run()
	l.seconds = time.Since(begin).Seconds()
	if s := cmd.ProcessState; s != nil {
		l.cpu = (s.UserTime() + s.SystemTime()).Seconds()
	}
	progress.Lock()
	defer progress.Unlock()
	fmt.Fprintf(os.Stderr, "lane %s: %s after %.0f s\n", l.name, l.result(), l.seconds)
}

// ownFlags are the flags of make without those that have it share a number of jobs with the make that has started this.
func ownFlags(flags string) string {
	return strings.Join(slices.DeleteFunc(strings.Fields(flags), func(f string) bool {
		return strings.HasPrefix(f, "-j") || strings.HasPrefix(f, "--jobserver")
	}), " ")
}

func (l *lane) result() string {
	if l.err != nil {
		return "FAILED"
	}
	return "ok"
}

func show(out io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(out, f)
	return err
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
