// Package settings takes what a program has set in its own process to its workers: flags, environment, working directory and umask.
package settings

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
)

// Settings is what a program has changed in its process since it began.
type Settings struct {
	Dir   string            // the working directory; "" if it is the same
	Umask string            // in octal; "" if it is the same, or not known
	Set   map[string]string // variables of the environment that are new or have another value
	Unset []string          // and those that are gone, sorted

	Parsed bool     // flag.Parse has been called
	Flags  []Flag   // those that were set, sorted by name
	Args   []string // what Parse has left
}

// Origin is what a process began with.
type Origin struct {
	env   map[string]string
	dir   string
	umask string
}

// Begin returns what this process has now.
func Begin() Origin {
	dir, _ := os.Getwd() // one that cannot be named cannot be compared: whatever comes later is a change
	return Origin{env: environment(), dir: dir, umask: Umask()}
}

func environment() map[string]string {
	env := map[string]string{}
	for _, entry := range os.Environ() {
		if name, value, ok := strings.Cut(entry, "="); ok && name != "" {
			env[name] = value
		}
	}
	return env
}

// Changed returns what this process has changed since o.
func (o Origin) Changed() Settings {
	s := Flagged()
	if dir, err := os.Getwd(); err == nil && dir != o.dir {
		s.Dir = dir
	}
	if mask := Umask(); mask != o.umask {
		s.Umask = mask
	}
	now := environment()
	for name, value := range now {
		if old, was := o.env[name]; !was || old != value {
			if s.Set == nil {
				s.Set = map[string]string{}
			}
			s.Set[name] = value
		}
	}
	for name := range o.env {
		if _, is := now[name]; !is {
			s.Unset = append(s.Unset, name)
		}
	}
	slices.Sort(s.Unset)
	return s
}

// differ says in what two settings differ, or nothing.
func differ(a, b Settings) string {
	var what []string
	if a.Dir != b.Dir {
		what = append(what, fmt.Sprintf("working directory %q, not %q", b.Dir, a.Dir))
	}
	if a.Umask != b.Umask {
		what = append(what, fmt.Sprintf("umask %q, not %q", b.Umask, a.Umask))
	}
	names := map[string]bool{}
	for _, m := range []map[string]string{a.Set, b.Set} {
		for name := range m {
			if x, ok := a.Set[name]; ok != has(b.Set, name) || x != b.Set[name] {
				names[name] = true
			}
		}
	}
	for _, name := range append(slices.Clone(a.Unset), b.Unset...) {
		if slices.Contains(a.Unset, name) != slices.Contains(b.Unset, name) {
			names[name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		what = append(what, "variable "+name)
	}
	flags := map[string]bool{}
	for _, f := range append(slices.Clone(a.Flags), b.Flags...) {
		if !slices.ContainsFunc(a.Flags, f.same) || !slices.ContainsFunc(b.Flags, f.same) {
			flags[f.Name] = true
		}
	}
	for _, name := range slices.Sorted(maps.Keys(flags)) {
		what = append(what, "flag -"+name)
	}
	if a.Parsed != b.Parsed || !slices.Equal(a.Args, b.Args) {
		what = append(what, "arguments")
	}
	return strings.Join(what, ", ")
}

func has(m map[string]string, name string) bool {
	_, ok := m[name]
	return ok
}

// apply sets this process as s says. Undo brings back what there was.
func (s Settings) apply() (undo func() error, err error) {
	var steps []func() error
	undo = func() error {
		var errs []error
		for _, step := range slices.Backward(steps) {
			errs = append(errs, step())
		}
		steps = nil
		return errors.Join(errs...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, undo())
		}
	}()
	if s.Dir != "" {
		old, problem := os.Getwd()
		if err := os.Chdir(s.Dir); err != nil {
			return undo, fmt.Errorf("the program's working directory has changed since Main began, and a worker cannot go there: %w", err)
		}
		if problem == nil {
			steps = append(steps, func() error { return os.Chdir(old) })
		}
	}
	if s.Umask != "" {
		back, err := setUmask(s.Umask)
		if err != nil {
			return undo, err
		}
		steps = append(steps, back)
	}
	for name, value := range s.Set {
		steps = append(steps, restore(name))
		if err := os.Setenv(name, value); err != nil {
			return undo, fmt.Errorf("variable %s: %w", name, err)
		}
	}
	for _, name := range s.Unset {
		steps = append(steps, restore(name))
		if err := os.Unsetenv(name); err != nil {
			return undo, fmt.Errorf("variable %s: %w", name, err)
		}
	}
	back, err := s.applyFlags()
	steps = append(steps, back...)
	return undo, err
}

// restore returns what brings a variable back.
func restore(name string) func() error {
	old, was := os.LookupEnv(name)
	if !was {
		return func() error { return os.Unsetenv(name) }
	}
	return func() error { return os.Setenv(name, old) }
}
