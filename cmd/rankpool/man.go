package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/rankpool/rankpool/internal/command"
)

// manCommand is `rankpool man`.
type manCommand struct{}

// Help is what --help says beyond the options.
func (manCommand) Help() string {
	return `It prints the manual page of rankpool, with every subcommand and its options.

Examples:

    rankpool man | man -l -
    rankpool man >~/.local/share/man/man1/rankpool.1

Status: 0.`
}

// Run prints the page.
func (manCommand) Run(s command.Surroundings, ctx *kong.Context) error {
	if !command.Speaks(s.Launcher) {
		return nil
	}
	var b strings.Builder
	manual(&b, ctx.Model)
	_, err := io.WriteString(s.Out, b.String())
	return err
}

// roff has a text say to troff what it says to a reader.
func roff(text string) string {
	lines := strings.Split(strings.NewReplacer(`\`, `\e`, "-", `\-`).Replace(text), "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, ".") || strings.HasPrefix(l, "'") {
			lines[i] = `\&` + l
		}
	}
	return strings.Join(lines, "\n")
}

// manual writes the page in the macros of man(7).
func manual(w io.Writer, app *kong.Application) {
	fmt.Fprintf(w, ".TH RANKPOOL 1 \"\" \"rankpool %s\"\n.SH NAME\nrankpool \\- %s\n", roff(command.Version()), roff(lowered(app.Help)))
	fmt.Fprintf(w, ".SH SYNOPSIS\n.B rankpool\n.I COMMAND\n[options] [arguments]\n.SH COMMANDS\n")
	for _, n := range visible(app.Node) {
		fmt.Fprintf(w, ".SS rankpool %s\n%s\n", roff(n.Name), roff(n.Help))
		for _, p := range n.Positional {
			name := p.Name
			if name == words {
				name = target
			}
			fmt.Fprintf(w, ".TP\n.I %s\n%s\n", roff(name), roff(p.Help))
		}
		for _, f := range options(n) {
			name := `\fB` + roff("--"+f.Name) + `\fR`
			if f.Short != 0 {
				name = `\fB` + roff("-"+string(f.Short)) + `\fR, ` + name
			}
			if !f.IsBool() {
				name += `=\fI` + roff(f.FormatPlaceHolder()) + `\fR`
			}
			fmt.Fprintf(w, ".TP\n%s\n%s\n", name, roff(f.Help))
		}
		detail(w, n.Detail)
	}
	variables(w, app)
	fmt.Fprintf(w, ".SH EXIT STATUS\n0 when the command has done its work, 1 when it has not. The description of each command ends with what else it may be.\n")
	fmt.Fprintf(w, ".SH SEE ALSO\nmpiexec(1), srun(1), go(1)\n")
}

// variables writes those of the environment that take the place of an option.
func variables(w io.Writer, app *kong.Application) {
	option, of := map[string]string{}, map[string][]string{} // of a variable, and the commands that have it
	for _, n := range visible(app.Node) {
		for _, f := range options(n) {
			for _, name := range f.Envs {
				option[name], of[name] = f.Name, append(of[name], n.Name)
			}
		}
	}
	fmt.Fprintf(w, ".SH ENVIRONMENT\nThese are read where an option is not given. The variables of programs are in docs/environment.md.\n")
	for _, name := range slices.Sorted(maps.Keys(option)) {
		fmt.Fprintf(w, ".TP\n.B %s\n\\fB%s\\fR of %s\n", name, roff("--"+option[name]), roff(strings.Join(of[name], ", ")))
	}
}

func lowered(s string) string { return strings.ToLower(s[:1]) + s[1:] }

// detail writes the rest of a help text: paragraphs, and lines that are indented as they are.
func detail(w io.Writer, text string) {
	for part := range strings.SplitSeq(text, "\n\n") {
		if strings.HasPrefix(part, "    ") {
			fmt.Fprintf(w, ".PP\n.nf\n%s\n.fi\n", roff(part))
		} else if part != "" {
			fmt.Fprintf(w, ".PP\n%s\n", roff(part))
		}
	}
}
