package testkit

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Columns are the kinds of workers in the table of docs/backends.md.
var Columns = []string{"goroutines", "processes", "world", "spawned"}

// places are the words that say, in front of a test's name there, for which columns it stands.
var places = map[string][]string{
	"everywhere": Columns, "goroutines": Columns[:1], "processes": Columns[1:2], "world": Columns[2:3], "spawned": Columns[3:], "ranks": Columns[2:],
}

// TestNames are the tests that documents name, as `folder.TestName`.
var TestNames = regexp.MustCompile("`([a-z][a-z0-9/]*)\\.((?:Test|Fuzz|Example)[A-Za-z0-9_]*)`")

// Row is a behaviour in docs/backends.md.
type Row struct {
	Behaviour string
	Cells     []string            // what it says for each column
	Tests     map[string][]string // by column, as folder.TestName
}

// Backends reads the table of docs/backends.md for a package whose folder is two below the root of the module.
func Backends() (rows []Row, err error) {
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "backends.md"))
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(strings.Trim(line, "| \n"), " | ")
		if len(cells) < 2 || cells[0] == "behaviour" {
			continue
		}
		if len(cells) != len(Columns)+2 {
			return nil, fmt.Errorf("%d cells, want %d: %s", len(cells), len(Columns)+2, line)
		}
		row := Row{Behaviour: cells[0], Cells: cells[1 : len(cells)-1], Tests: map[string][]string{}}
		for group := range strings.SplitSeq(cells[len(cells)-1], "; ") {
			where, names, _ := strings.Cut(group, ": ")
			found := TestNames.FindAllStringSubmatch(names, -1)
			for place := range strings.SplitSeq(where, ", ") {
				columns := places[place]
				if columns == nil || len(found) == 0 {
					return nil, fmt.Errorf("%q is no place with its tests: %s", group, line)
				}
				for _, column := range columns {
					for _, f := range found {
						row.Tests[column] = append(row.Tests[column], f[1]+"."+f[2])
					}
				}
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Ran is where the tests of a package have run: the zero value is ready.
type Ran struct {
	mu  sync.Mutex
	all map[string]bool // column and test
}

// Note notes that a test runs in a column, unless it skips itself.
func (r *Ran) Note(t testing.TB, column string) {
	t.Cleanup(func() {
		if name, _, _ := strings.Cut(t.Name(), "/"); !t.Skipped() {
			r.Add(column + " " + name)
		}
	})
}

// Add adds what Notes has returned elsewhere.
func (r *Ran) Add(notes ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.all == nil {
		r.all = map[string]bool{}
	}
	for _, n := range notes {
		r.all[n] = true
	}
}

// Notes returns what was noted, each as the column and the test.
func (r *Ran) Notes() (notes []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for n := range r.all {
		notes = append(notes, n)
	}
	slices.Sort(notes)
	return notes
}

// Missing returns an error that lists the tests of a folder that docs/backends.md names for these columns and that have not run there.
func (r *Ran) Missing(folder string, columns ...string) error {
	rows, err := Backends()
	if err != nil {
		return err
	}
	ran := r.Notes()
	var missing []string
	for _, row := range rows {
		for _, column := range columns {
			for _, test := range row.Tests[column] {
				if name, ours := strings.CutPrefix(test, folder+"."); ours && !slices.Contains(ran, column+" "+name) {
					missing = append(missing, fmt.Sprintf("%s has not run in the column %s of %q", name, column, row.Behaviour))
				}
			}
		}
	}
	if len(missing) > 0 {
		return fmt.Errorf("docs/backends.md names tests that are left out:\n%s", strings.Join(missing, "\n"))
	}
	return nil
}

// WholeVariable says that a run is whole although -skip leaves tests out of it: those that another lane runs.
const WholeVariable = "TESTS_WHOLE"

// Whole tells whether no flag leaves tests of this run out.
func Whole() bool {
	for _, name := range []string{"test.run", "test.skip", "test.list"} {
		if name == "test.skip" && os.Getenv(WholeVariable) != "" {
			continue
		}
		if f := flag.Lookup(name); f != nil && f.Value.String() != "" {
			return false
		}
	}
	return !testing.Short()
}
