//go:build unix

package proc

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// envOf is the environment of a worker.
func (g *Group) envOf(index int) []string {
	env := append(g.env[:len(g.env):len(g.env)], variable+"="+handshake(index, g.cfg.Journals, g.cfg.Inherit != nil))
	for i, n := range [len(NumberVariables)]int{index, len(g.slots), index, len(g.slots)} {
		env = append(env, NumberVariables[i]+"="+strconv.Itoa(n))
	}
	return env
}

// nameOf is what a worker is called: the program's name, a colon and the worker's number, so that ps shows which it is. Another
// program than this one is called by its name alone, for it may be one of those that do by their name what they do; and so is every
// one on a system where a program finds its own file by its name.
func (g *Group) nameOf(index int) string {
	if g.cfg.Executable != "" || runtime.GOOS == "openbsd" || runtime.GOOS == "aix" {
		return g.name
	}
	return g.name + suffix(index)
}

func suffix(index int) string { return ":" + strconv.Itoa(index) }

// takeName gives a worker its short name, and takes the number from os.Args, which is what the master's program sees there.
// Package flag has seen the name before.
func takeName(value string) {
	is, ok := indexIn(value)
	if !ok || len(os.Args) == 0 {
		return
	}
	name, numbered := strings.CutSuffix(os.Args[0], suffix(is.index))
	if numbered {
		if flag.CommandLine.Name() == os.Args[0] {
			flag.CommandLine.Init(name, flag.CommandLine.ErrorHandling())
		}
		os.Args[0] = name
	}
	setComm(filepath.Base(name), suffix(is.index))
}
