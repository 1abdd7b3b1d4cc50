// Command rankpool starts programs that use the library, in every way there is, builds them for the MPI at hand, and finds
// out why a cluster refuses.
//
//	rankpool run primes.go                    a Go file, with processes of this machine for workers
//	mpiexec -n 17 rankpool run primes.go      the same with 16 ranks for workers
//	mpiexec -n 4 rankpool exec ./simulation   any program, on every rank
//	mpiexec -n 4 rankpool serve ./sweep       workers that a master started apart connects to
//	rankpool build -o primes ./primes         with MPI, and linked with one if it imports mpicomm
//	rankpool doctor                           what is this MPI, and what does it refuse?
//	rankpool report run.rec                   what did the workers do, and when?
//	rankpool bench                            how fast is it here, and how fast are others?
//	rankpool journal sweep.journal            what has this job computed so far?
//	rankpool version                          of rankpool, Go and the MPIs here
//
// It calls MPI in no process that becomes the program: one that has called MPI_Init cannot start another MPI program.
// docs/command.md describes every subcommand.
package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/mpi"
)

// commands is the grammar of the command line.
type commands struct {
	Run    runCommand    `cmd:"" help:"Run a program that uses rankpool: the master and its workers."`
	Exec   execCommand   `cmd:"" help:"Run any program on every rank; the job ends when one of them fails."`
	Serve  serveCommand  `cmd:"" help:"Run a program's workers apart from its master, which connects to them."`
	Build  buildCommand  `cmd:"" help:"Build programs for the MPI whose mpicc is on the path."`
	Doctor doctorCommand `cmd:"" help:"Find out what this MPI and this machine can do, and how to repair the rest."`
	Report reportCommand `cmd:"" help:"Say what a recording of a run tells."`
	Top    topCommand    `cmd:"" help:"Show in the terminal what a program does that runs."`
	Bench  benchCommand  `cmd:"" help:"Measure rankpool on every backend that is here, beside its peers."`

	Journal journalCommand `cmd:"" help:"Show what a journal of results has in it, verify, compact, or forget."`
	About   versionCommand `cmd:"" name:"version" help:"Print the versions of rankpool, Go and the MPIs on the path."`

	Completion completionCommand `cmd:"" help:"Print a script that has a shell complete this command."`
	Man        manCommand        `cmd:"" help:"Print the manual page."`

	Tidy         tidyCommand    `cmd:"" hidden:""`
	Reach        reachCommand   `cmd:"" hidden:""`
	DoctorProbe  probeCommand   `cmd:"" hidden:""`
	BenchWork    workCommand    `cmd:"" hidden:""`
	BenchAlone   aloneCommand   `cmd:"" hidden:""`
	BenchScale   scaleCommand   `cmd:"" hidden:""`
	BenchSleeper sleeperCommand `cmd:"" hidden:""`

	Version versionFlag `help:"Print the version and end."`
}

// versionFlag prints the version when it is met.
type versionFlag bool

// BeforeReset is called by the parser.
func (versionFlag) BeforeReset(app *kong.Kong) error {
	fmt.Fprintln(app.Stdout, "rankpool", command.Version())
	app.Exit(0)
	return nil
}

func main() {
	mpi.Exit(start(os.Args[1:], command.Surroundings{Launcher: mpi.FindLauncher(os.LookupEnv), Out: os.Stdout, Err: os.Stderr}))
}

// start parses the command line, runs the subcommand and returns the exit status. Under an mpiexec every rank finds the
// same mistakes: one of them tells, and has the status. The others end with 0, for a status of theirs might end the job
// before the one has told.
func start(args []string, s command.Surroundings) int {
	if !command.Speaks(s.Launcher) {
		s.Out = io.Discard
	}
	status, done := 0, false
	exit := func(code int) { status, done = code, true }
	var c commands
	app := kong.Must(&c,
		kong.Name("rankpool"), kong.Writers(s.Out, s.Err), kong.Exit(exit),
		kong.Description("Starts, builds and examines programs whose pools of workers scale from goroutines to an MPI job."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 110}),
		kong.Help(help), kong.Bind(s))
	args, missing := protect(app.Model.Node, args)
	parsed, err := app.Parse(args)
	switch {
	case done:
		return status // the help or the version was printed
	case err == nil && missing != nil:
		err = missing
	case err == nil:
		err = parsed.Run()
	}
	switch usage := (*command.UsageError)(nil); {
	case err == nil:
		return 0
	case !isParseError(err) && !errors.As(err, &usage):
		return command.Report(s, err)
	case !command.Speaks(s.Launcher):
		return 0
	}
	fmt.Fprintf(s.Err, "rankpool: %v\n\n", err)
	app.Stdout = s.Err
	if p := (*kong.ParseError)(nil); errors.As(err, &p) {
		parsed = p.Context
	}
	_ = parsed.PrintUsage(true)
	return command.Failure
}

func isParseError(err error) bool {
	p := (*kong.ParseError)(nil)
	return errors.As(err, &p)
}

// protect keeps the parser away from what belongs to the program that is to be run: it marks the end of the options
// before the first argument of run, exec and serve that is none, and behind the operand of -c and -m. The error is that the last
// option lacks its operand.
func protect(root *kong.Node, args []string) ([]string, error) {
	var node *kong.Node
	for _, n := range root.Children {
		if len(args) > 0 && n.Name == args[0] && (n.Name == "run" || n.Name == "exec" || n.Name == "serve") {
			node = n
		}
	}
	if node == nil {
		return args, nil
	}
	safe := []string{args[0]}
	for rest := args[1:]; len(rest) > 0; rest = rest[1:] {
		arg := rest[0]
		name, value, glued := strings.Cut(arg, "=")
		if len(arg) > 2 && arg[0] == '-' && arg[1] != '-' { // -cSTATEMENTS
			name, value, glued = arg[:2], strings.TrimPrefix(arg[2:], "="), true
		}
		flag := find(node, name)
		switch {
		case arg == "--":
			return append(safe, rest...), nil
		case arg == "-" || !strings.HasPrefix(arg, "-"):
			return append(append(safe, "--"), rest...), nil
		case flag == nil || flag.IsBool():
			safe = append(safe, arg)
			continue
		case !glued && len(rest) == 1:
			return safe, command.Usagef("%s needs an operand: %s", arg, flag.Help)
		case !glued:
			rest = rest[1:]
			value = rest[0]
		}
		safe = append(safe, "--"+flag.Name+"="+value)
		if flag.Short == 'c' || flag.Short == 'm' {
			return append(append(safe, "--"), rest[1:]...), nil
		}
	}
	return safe, nil
}

func find(node *kong.Node, name string) *kong.Flag {
	for _, group := range node.AllFlags(false) {
		for _, f := range group {
			if name == "--"+f.Name || f.Short != 0 && name == "-"+string(f.Short) {
				return f
			}
		}
	}
	return nil
}

// What the grammar calls a program and its arguments, and what the help does.
const words, target = "words", "TARGET [args ...]"

// help prints what the parser knows, with the one usage line that it cannot know.
func help(o kong.HelpOptions, ctx *kong.Context) error {
	var b strings.Builder
	plain := ctx.Stdout
	ctx.Stdout = &b
	err := kong.DefaultHelpPrinter(o, ctx)
	ctx.Stdout = plain
	text := strings.ReplaceAll(b.String(), "[<"+words+"> ...] [flags]", "[flags] "+target)
	_, writeErr := io.WriteString(plain, text)
	return errors.Join(err, writeErr)
}
