package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/rankpool/rankpool/internal/command"
)

// completionCommand is `rankpool completion`.
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is what --help says beyond the options.
func (completionCommand) Help() string {
	return `It prints a script that has your shell complete subcommands, options and file names.

Examples:

    source <(rankpool completion bash)      in ~/.bashrc
    source <(rankpool completion zsh)       in ~/.zshrc, after compinit
    rankpool completion fish | source       in ~/.config/fish/config.fish

Status: 0; 1 for another shell.`
}

// Run prints the script.
func (c completionCommand) Run(s command.Surroundings, ctx *kong.Context) error {
	if !command.Speaks(s.Launcher) {
		return nil
	}
	root := ctx.Model.Node
	var b strings.Builder
	switch c.Shell {
	case "fish":
		fishCompletion(&b, root)
	case "zsh":
		b.WriteString("autoload -U +X bashcompinit && bashcompinit\n")
		bashCompletion(&b, root)
	default:
		bashCompletion(&b, root)
	}
	_, err := io.WriteString(s.Out, b.String())
	return err
}

// visible are the subcommands that the help lists.
func visible(root *kong.Node) (all []*kong.Node) {
	for _, n := range root.Children {
		if !n.Hidden {
			all = append(all, n)
		}
	}
	return all
}

// options are those of a subcommand that its help lists.
func options(n *kong.Node) (all []*kong.Flag) {
	for _, group := range n.AllFlags(true) {
		all = append(all, group...)
	}
	return all
}

// values are what an operand or an argument may be, if the grammar says that.
func values(v *kong.Value) string { return strings.Join(strings.Split(v.Enum, ","), " ") }

func bashCompletion(w io.Writer, root *kong.Node) {
	var names []string
	for _, n := range visible(root) {
		names = append(names, n.Name)
	}
	// An empty COMPREPLY has bash complete names of files. It takes the = of --option=value for a word.
	fmt.Fprintf(w, "_rankpool() {\n  local now=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=\n  COMPREPLY=()\n")
	fmt.Fprintf(w, "  if [ \"$before\" = = ]; then before=${COMP_WORDS[COMP_CWORD-2]}; fi\n  if [ \"$now\" = = ]; then now=; fi\n")
	fmt.Fprintf(w, "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    case $now in\n    -*) COMPREPLY=($(compgen -W '--help --version' -- \"$now\")) ;;\n    *) COMPREPLY=($(compgen -W '%s' -- \"$now\")) ;;\n    esac\n    return\n  fi\n  case ${COMP_WORDS[1]} in\n", strings.Join(names, " "))
	for _, n := range visible(root) {
		var flags, operands []string
		fmt.Fprintf(w, "  %s)\n    case $before in\n", n.Name)
		for _, f := range options(n) {
			flags = append(flags, "--"+f.Name)
			if values(f.Value) != "" {
				fmt.Fprintf(w, "    --%s) COMPREPLY=($(compgen -W '%s' -- \"$now\")); return ;;\n", f.Name, values(f.Value))
			} else if !f.IsBool() {
				operands = append(operands, "--"+f.Name)
			}
		}
		if len(operands) > 0 {
			fmt.Fprintf(w, "    %s) return ;;\n", strings.Join(operands, "|"))
		}
		words := ""
		for _, p := range n.Positional {
			words = values(p)
		}
		fmt.Fprintf(w, "    esac\n    words='%s'\n    case $now in -*) words='%s' ;; esac ;;\n", words, strings.Join(flags, " "))
	}
	fmt.Fprintf(w, "  esac\n  if [ -n \"$words\" ]; then\n    COMPREPLY=($(compgen -W \"$words\" -- \"$now\"))\n  fi\n}\n")
	fmt.Fprintf(w, "complete -o bashdefault -o default -F _rankpool rankpool\n")
}

func fishCompletion(w io.Writer, root *kong.Node) {
	quote := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`, "\n", " ").Replace(s) + "'"
	}
	for _, n := range visible(root) {
		fmt.Fprintf(w, "complete -c rankpool -f -n __fish_use_subcommand -a %s -d %s\n", n.Name, quote(n.Help))
		within := quote("set -l words (commandline -opc); test \"$words[2]\" = " + n.Name)
		for _, f := range options(n) {
			fmt.Fprintf(w, "complete -c rankpool -n %s -l %s -d %s", within, f.Name, quote(f.Help))
			switch {
			case values(f.Value) != "":
				fmt.Fprintf(w, " -x -a %s", quote(values(f.Value)))
			case !f.IsBool():
				fmt.Fprint(w, " -r")
			}
			fmt.Fprintln(w)
		}
		for _, p := range n.Positional {
			if of := values(p); of != "" {
				fmt.Fprintf(w, "complete -c rankpool -f -n %s -a %s\n", within, quote(of))
			}
		}
	}
}
