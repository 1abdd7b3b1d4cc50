// Command gotest runs go test with the arguments that it gets and prints what go test prints without -v. Beside that it notes which tests
// have skipped themselves, and why, in the file that LANE_NOTES names.
//
//	go run ./tools/gotest -race ./...
//
// Its status is that of go test. GO names another go command.
package main

import (
	"bufio"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strings"
)

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "gotest:", err)
		status = max(status, 1)
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	signal.Ignore(os.Interrupt) // go test has it too, and what it says then is passed on
	cmd := exec.Command(cmp.Or(os.Getenv("GO"), "go"), append([]string{"test", "-json"}, args...)...)
	cmd.Stderr = os.Stderr
	events, err := cmd.StdoutPipe()
	if err != nil {
		return 0, err
	}
	notes := io.Discard
	if path := os.Getenv("LANE_NOTES"); path != "" {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		notes = f
	}
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	reading := filter(events, os.Stdout, notes)
	err = cmd.Wait()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		fmt.Println("FAIL") // which go test prints last, but not with -json
		return max(exit.ExitCode(), 1), reading
	}
	return 0, errors.Join(err, reading)
}

// event is a line of go test -json, see go doc test2json.
type event struct {
	Action, Package, Test, Output string
}

// filter reads events and writes what go test writes without -v, and a note for each test that was left out: the package, the test and the
// reason, apart by tabs. What is no event is passed on.
func filter(events io.Reader, out, notes io.Writer) error {
	all := map[string]*tests{}
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				_, _ = out.Write(line)
			} else {
				if all[e.Package] == nil {
					all[e.Package] = &tests{name: e.Package, printed: map[string]string{}}
				}
				all[e.Package].take(e, out, notes)
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// tests are those of one package.
type tests struct {
	name    string
	printed map[string]string // by each test that has not ended; "" is what the package printed
	order   []string
}

func (p *tests) take(e event, out, notes io.Writer) {
	switch e.Action {
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "output":
		if strings.HasPrefix(e.Output, "=== ") { // which test begins, waits or goes on
			return
		}
		if _, known := p.printed[e.Test]; !known {
			p.order = append(p.order, e.Test)
		}
		p.printed[e.Test] += e.Output
	case "pass", "fail", "skip":
		if e.Test == "" {
			p.end(e.Action, out, notes)
			return
		}
		if e.Action == "fail" {
			fmt.Fprint(out, p.printed[e.Test])
		}
		if e.Action == "skip" {
			note(notes, p.name, e.Test, reason(p.printed[e.Test]))
		}
		delete(p.printed, e.Test)
	}
}

// end is that of the package. A package that passes says so in its last line; of one that fails all is shown that no test has shown, also
// what tests printed that its end has cut off.
func (p *tests) end(action string, out, notes io.Writer) {
	own := p.printed[""]
	if action == "fail" {
		for _, test := range p.order {
			if test != "" {
				fmt.Fprint(out, p.printed[test])
			}
		}
		fmt.Fprint(out, own)
		return
	}
	var last string
	for line := range strings.Lines(own) {
		if strings.Contains(line, "left out: ") {
			note(notes, p.name, "", strings.TrimSpace(line))
		}
		last = line
	}
	fmt.Fprint(out, last)
}

// reason is what a test has said when it skipped itself: the text behind the place in the file, in front of the line that tells the end.
func reason(printed string) string {
	said, _, _ := strings.Cut(printed, "--- SKIP: ")
	said = strings.TrimSpace(said)
	if _, text, ok := strings.Cut(said, ".go:"); ok {
		_, said, _ = strings.Cut(text, ": ")
	}
	return strings.Join(strings.Fields(said), " ")
}

func note(notes io.Writer, pkg, test, why string) { fmt.Fprintf(notes, "%s\t%s\t%s\n", pkg, test, why) }
