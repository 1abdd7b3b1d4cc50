package arch_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// calls are the calls that take options: what stands before them.
var calls = map[string]string{
	"futures.Submit": "ex, fn, 1", "pool.Apply": "ctx, p, fn, 1", "pool.ApplyAsync": "p, fn, 1",
	"futures.SubmitEach": "ex, fn, 1", "futures.SubmitAfter": "ex, fn, input",
	"futures.Map": "ctx, ex, fn, xs", "futures.Starmap": "ctx, ex, fn, xs",
	"pool.Imap": "ctx, p, fn, xs", "pool.ImapUnordered": "ctx, p, fn, xs", "pool.Istarmap": "ctx, p, fn, xs", "pool.IstarmapUnordered": "ctx, p, fn, xs",
	"pool.Map": "ctx, p, fn, xs", "pool.Starmap": "ctx, p, fn, xs", "pool.MapAsync": "ctx, p, fn, xs", "pool.StarmapAsync": "ctx, p, fn, xs",
	"futures.Register": `"f", plain`, "futures.TryRegister": `"f", plain`,
	"futures.RegisterContext": `"f", withContext`, "futures.TryRegisterContext": `"f", withContext`,
	"futures.NewMPIPoolExecutor": "", "futures.NewProcessPoolExecutor": "", "futures.NewThreadPoolExecutor": "",
	"futures.With": "ctx, body", "futures.MPICommExecutor": "ctx, comm, 0, root",
	"pool.New": "", "pool.With": "ctx, poolBody", "threadpool.New": "", "threadpool.With": "ctx, poolBody",
	"Shutdown":     "ctx",
	"futures.Main": "run", "spmd.Main": "run",
	"futures.WithRetries": "3", "journal.Open": `"x"`,
}

// options are the options, with values.
var options = map[string]string{
	"futures.WithTaskTimeout": "1", "futures.WithInterruptGrace": "1", "futures.WithSnapshot": "", "futures.WithRetries": "3", "futures.WithPriority": "1",
	"futures.OnWorkers": "2", "futures.OnOneHost": "", "futures.WithVersion": `"2"`, "futures.WithJournal": "nil", "futures.WithContext": "ctx", "futures.WithChunkSize": "8", "pool.WithChunkSize": "8", "futures.WithBufferSize": "8",
	"futures.WithArrivals": "nil", "futures.WithArrivalCount": "nil", "pool.WithProgress": "nil", "futures.WithProgress": `nil, ""`, "futures.Unordered": "", "futures.FailFast": "",
	"pool.KeepGoing": "", "futures.WithMaxWorkers": "4", "futures.WithSlots": "4", "pool.WithProcesses": "4", "futures.WithMaxTasksPerChild": "1", "futures.WithExecutable": `"x"`,
	"futures.WithArgs": `"x"`, "futures.WithDir": `"x"`, "futures.WithEnv": "nil", "futures.WithGlobal": "global, 1",
	"futures.WithInitializer": "fn, 1", "pool.WithInitializer": "fn, 1", "futures.WithMPIInfo": "nil", "futures.WithService": `""`,
	"futures.WithOutOfBand": "true", "futures.WithOutOfBandThreshold": "1", "futures.WithBackoff": "1", "futures.WithStartTimeout": "1",
	"futures.WithLiveness": "1", "futures.WithStopTimeout": "1", "futures.WithLogger": "nil", "futures.WithTrace": `"x"`, "futures.WithHooks": "nil", "futures.WithOutputPrefix": "",
	"futures.WithOutputDir": `"x"`, "futures.NoWait": "", "futures.CancelFutures": "", "futures.InterruptTasks": "", "futures.KillTasks": "1",
	"futures.WithDrainGrace": "1", "futures.DrainOn": "", "futures.RetryIf": "nil", "futures.RetryTimeouts": "", "futures.WithRetryBackoff": "1, 1",
	"journal.SkipFailures": "",
}

// frame is what calls and values refer to.
const frame = `package snippets

import (
	"context"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/journal"
	"github.com/rankpool/rankpool/pool"
	"github.com/rankpool/rankpool/spmd"
	"github.com/rankpool/rankpool/threadpool"
)

var (
	ctx         context.Context
	ex          futures.Executor
	p           *pool.Pool
	fn          futures.Func[int, int]
	global      futures.Global[int]
	comm        futures.Communicator
	input       *futures.Future[int]
	xs          []int
	plain       func(int) (int, error)
	withContext func(context.Context, int) (int, error)
	body        func(futures.Executor) error
	root        func(context.Context, futures.Executor) error
	poolBody    func(*pool.Pool) error
	run         func(context.Context) error
	_           = spmd.Main
	_           = threadpool.New
	_           = journal.Open
)

func _() {
`

// table reads the table of a document whose head begins with a word: the names in the second column by those in the first.
func table(t *testing.T, document, head string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root(t), document))
	if err != nil {
		t.Fatal(err)
	}
	_, rows, found := strings.Cut(string(text), "| "+head+" |")
	if !found {
		t.Fatalf("%s has no table of %s", document, head)
	}
	rows, _, _ = strings.Cut(rows, "\n\n")
	names := func(cell string) (all []string) {
		for _, m := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cell, -1) {
			all = append(all, m[1])
		}
		return all
	}
	entries := map[string][]string{}
	for row := range strings.Lines(rows) {
		if cells := strings.Split(row, "|"); len(cells) == 4 {
			for _, name := range names(cells[1]) {
				entries[name] = names(cells[2])
			}
		}
	}
	return entries
}

// line is one call with one option.
type line struct {
	what, code, wrong string
	compiles          bool // it should
}

func TestAnOptionCompilesWithTheCallsThatRespectItAndWithNoOthers(t *testing.T) {
	taken, declared := table(t, "docs/options.md", "type"), table(t, "docs/options.md", "option")
	var lines []line
	for family, verbs := range taken {
		suits := func(f string) bool { return slices.Equal(taken[f], verbs) } // it may be another name of the same type
		for _, verb := range verbs {
			before, ok := calls[verb]
			if !ok {
				t.Fatalf("docs/options.md has %s, which this test cannot call", verb)
			}
			callee := verb
			if verb == "Shutdown" {
				callee = "ex.Shutdown"
			}
			for option, families := range declared {
				value, ok := options[option]
				if !ok {
					t.Fatalf("docs/options.md has %s, which this test has no values for", option)
				}
				arg := option + "(" + value + ")"
				if before != "" {
					arg = before + ", " + arg
				}
				lines = append(lines, line{
					what: verb + " with " + option, code: callee + "(" + arg + ")", compiles: slices.ContainsFunc(families, suits),
				})
			}
			// Helpers gather options in a slice of the family's type.
			gathered := "append([]" + family + "(nil), nil)..."
			if before != "" {
				gathered = before + ", " + gathered
			}
			lines = append(lines, line{what: verb + " with a slice of " + family, code: callee + "(" + gathered + ")", compiles: true})
		}
	}
	compile(t, lines)
	good := 0
	for _, l := range lines {
		switch {
		case l.compiles && l.wrong != "":
			t.Errorf("%s does not compile: %s", l.what, l.wrong)
		case !l.compiles && l.wrong == "":
			t.Errorf("%s compiles, and docs/options.md says that it does not", l.what)
		case !l.compiles && !strings.Contains(l.wrong, "does not implement"):
			t.Errorf("%s fails for another reason: %s", l.what, l.wrong)
		case l.compiles:
			good++
		}
	}
	if bad := len(lines) - good; good < 200 || bad < 500 {
		t.Errorf("only %d calls compile, and %d do not", good, bad)
	}
}

// compile notes what is wrong with each line.
func compile(t *testing.T, lines []line) {
	t.Helper()
	var text strings.Builder
	text.WriteString(frame)
	first := strings.Count(frame, "\n") + 1
	for _, l := range lines {
		fmt.Fprintln(&text, l.code)
	}
	text.WriteString("}\n")
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, "snippets.go", text.String(), 0)
	if err != nil {
		t.Fatal(err)
	}
	config := types.Config{Importer: exports(t), Error: func(err error) {
		e := err.(types.Error)
		at := files.Position(e.Pos).Line - first
		switch {
		case e.Soft || strings.Contains(e.Msg, "is not used"): // the result of a call that compiles
		case at < 0 || at >= len(lines):
			t.Errorf("the frame does not compile: %v", err)
		case lines[at].wrong == "":
			lines[at].wrong = e.Msg
		}
	}}
	_, _ = config.Check("snippets", files, []*ast.File{file}, nil) // its error is the first of those above
}

// Else an option, or a call that takes some, could be added and not be in the tables.
func TestTheTablesHaveEveryOptionAndEveryCallThatTakesSome(t *testing.T) {
	taken, suits := table(t, "docs/options.md", "type"), table(t, "docs/options.md", "option")
	listed := map[string]bool{}
	for _, verbs := range taken {
		for _, v := range verbs {
			listed[v] = true
		}
	}
	for _, pkg := range loaded(t) {
		for _, name := range pkg.Scope().Names() {
			f, ok := pkg.Scope().Lookup(name).(*types.Func)
			if !ok || !f.Exported() {
				continue
			}
			full, s := pkg.Name()+"."+name, f.Signature()
			if s.Results().Len() == 1 && optionName(s.Results().At(0).Type()) != "" && suits[full] == nil {
				t.Errorf("%s is not in docs/options.md", full)
			}
			if !s.Variadic() {
				continue
			}
			last := s.Params().At(s.Params().Len() - 1).Type().(*types.Slice).Elem()
			if optionName(last) != "" && !listed[full] {
				t.Errorf("%s takes options and is not in docs/options.md", full)
			}
		}
	}
}
