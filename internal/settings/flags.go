package settings

import (
	"flag"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
)

// Flag is a flag that was set.
type Flag struct {
	Name   string
	Text   string   // what its value says
	Values []string // what it is to be set to, one after another
}

func (f Flag) same(g Flag) bool {
	return f.Name == g.Name && f.Text == g.Text && slices.Equal(f.Values, g.Values)
}

// Flagged returns the flags of this process's command line that were set. One of the package's own types is set to what its value
// says. Others may write what they cannot read, lists for one, or nothing, as functions do: they are set as the command line has it.
func Flagged() (s Settings) {
	if s.Parsed = flag.Parsed(); s.Parsed {
		s.Args = slices.Clone(flag.Args())
	}
	given := onCommandLine()
	flag.Visit(func(f *flag.Flag) {
		c := Flag{Name: f.Name, Text: f.Value.String()}
		if c.Values = given[f.Name]; plain(f.Value) || len(c.Values) == 0 {
			c.Values = []string{c.Text}
		}
		s.Flags = append(s.Flags, c)
	})
	return s
}

// plain tells whether a flag can read what it writes.
func plain(v flag.Value) bool {
	t := reflect.TypeOf(v)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return (t.PkgPath() == "flag" || t.PkgPath() == "testing") && t.Kind() != reflect.Func
}

// onCommandLine returns the values that the command line gives to each flag; nothing when something else was parsed.
func onCommandLine() map[string][]string {
	if len(os.Args) == 0 || !flag.Parsed() {
		return nil
	}
	args, rest := os.Args[1:], flag.Args()
	if len(rest) > len(args) || !slices.Equal(args[len(args)-len(rest):], rest) {
		return nil
	}
	args = args[:len(args)-len(rest)]
	given := map[string][]string{}
	for len(args) > 0 && len(args[0]) > 1 && args[0][0] == '-' && args[0] != "--" {
		name, value, has := strings.Cut(strings.TrimPrefix(args[0][1:], "-"), "=")
		args = args[1:]
		f := flag.Lookup(name)
		if f == nil {
			return nil
		}
		if b, ok := f.Value.(interface{ IsBoolFlag() bool }); !has && ok && b.IsBoolFlag() {
			value, has = "true", true
		}
		if !has {
			if len(args) == 0 {
				return nil
			}
			value, args = args[0], args[1:]
		}
		given[name] = append(given[name], value)
	}
	return given
}

// applyFlags sets the flags that this process knows, those that have another value, and has flag.Parsed and flag.Args say what they
// say in the master. Undo is what brings the values back, in the order of the changes.
func (s Settings) applyFlags() (undo []func() error, err error) {
	set := map[string]bool{}
	flag.Visit(func(f *flag.Flag) { set[f.Name] = true })
	for _, want := range s.Flags {
		f := flag.Lookup(want.Name)
		if f == nil {
			continue
		}
		old := f.Value.String()
		if old == want.Text && (set[want.Name] || plain(f.Value)) { // this process has parsed its command line itself
			if !set[want.Name] {
				_ = flag.Set(want.Name, old) // so that Visit finds it
			}
			continue
		}
		if plain(f.Value) { // before: a value that one cannot read may change it
			undo = append(undo, func() error { return flag.Set(want.Name, old) })
		}
		for _, value := range want.Values {
			if err := flag.Set(want.Name, value); err != nil {
				return undo, fmt.Errorf("the flag -%s was set to %q in the master, and cannot be in a worker: %w", want.Name, value, err)
			}
		}
	}
	if s.Parsed && (!flag.Parsed() || !slices.Equal(flag.Args(), s.Args)) {
		// Nothing of this is a flag, so it cannot fail.
		err = flag.CommandLine.Parse(append([]string{"--"}, s.Args...))
	}
	return undo, err
}
