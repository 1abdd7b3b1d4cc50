package registry

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Diff returns "" when a worker with one fingerprint may serve a master with the other, or else the differences, one a
// line, most telling first.
//
// Names, types, build, Go version, operating system, architecture and, between ranks, the MPI library are compared. Another build is a refusal even when
// every signature agrees: the same name may stand for other code. A build that could not be read on one side is not
// compared. Where the source came from is only shown, after a difference.
func Diff(master, worker Fingerprint) string {
	var b strings.Builder
	diffEntries(&b, master.Entries, worker.Entries)
	line := func(what, m, w string) {
		if m != w {
			fmt.Fprintf(&b, "~ %s: master %s, worker %s\n", what, m, w)
		}
	}
	if master.Build != "" && worker.Build != "" {
		line("build", master.Build, worker.Build)
	}
	line("Go version", master.GoVersion, worker.GoVersion)
	line("platform", master.OS+"/"+master.Arch, worker.OS+"/"+worker.Arch)
	if master.MPI != "" && worker.MPI != "" {
		line("MPI library", master.MPI, worker.MPI)
	}
	if b.Len() == 0 {
		return ""
	}
	if master.Module != worker.Module {
		fmt.Fprintf(&b, "  (source: master %s, worker %s)\n", orUnknown(master.Module), orUnknown(worker.Module))
	}
	if master.Build == "" || worker.Build == "" {
		b.WriteString("  (build: not compared, an executable could not be read)\n")
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func orUnknown(s string) string {
	if s == "" {
		return "unknown"
	}
	return s
}

type key struct {
	kind Kind
	name string
}

func diffEntries(b *strings.Builder, master, worker []Signature) {
	theirs := make(map[key]Signature, len(worker))
	for _, s := range worker {
		theirs[key{s.Kind, s.Name}] = s
	}
	ours := make(map[key]bool, len(master))
	var changed []string
	for _, m := range master {
		k := key{m.Kind, m.Name}
		ours[k] = true
		w, both := theirs[k]
		switch {
		case !both:
			fmt.Fprintf(b, "- only the master has  %s\n", m)
		case m != w:
			x, y := apart(m.types(), w.types())
			changed = append(changed, fmt.Sprintf("~ differs  %s: master %s, worker %s\n", m.title(), x, y))
		}
	}
	for _, w := range worker {
		if !ours[key{w.Kind, w.Name}] {
			fmt.Fprintf(b, "+ only the worker has  %s\n", w)
		}
	}
	for _, c := range changed {
		b.WriteString(c)
	}
}

// title is the name, with its kind unless it is a function.
func (s Signature) title() string {
	if s.Kind == Function {
		return printable(s.Name)
	}
	return s.Kind.String() + " " + printable(s.Name)
}

func (s Signature) types() string {
	if s.Kind != Function {
		return printable(s.Args)
	}
	if s.Result == "" {
		return "(" + printable(s.Args) + ")"
	}
	return "(" + printable(s.Args) + ") " + printable(s.Result)
}

// printable keeps a name with line breaks in it from passing for a line of its own.
func printable(s string) string {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return strconv.Quote(s)
	}
	return s
}

// String writes the signature on one line, long types shortened.
func (s Signature) String() string {
	types := s.types()
	if len(types) > longest {
		types = cutRight(types, longest) + "…"
	}
	if s.Kind != Function {
		return s.title() + " " + types
	}
	return s.title() + types
}

const (
	longest = 160 // bytes of a type that a line shows
	around  = 60  // bytes kept on either side of a difference in a longer one
)

// apart shortens two descriptions to the part where they differ, when they are too long to be read whole.
func apart(x, y string) (string, string) {
	if len(x) <= longest && len(y) <= longest {
		return x, y
	}
	head := 0
	for head < len(x) && head < len(y) && x[head] == y[head] {
		head++
	}
	return window(x, head), window(y, head)
}

// window shows s around byte at.
func window(s string, at int) string {
	start := max(0, at-around)
	for start > 0 && start < len(s) && !utf8.RuneStart(s[start]) {
		start--
	}
	shown := s[start:]
	if start > 0 {
		shown = "…" + shown
	}
	if len(shown) > 2*around {
		shown = cutRight(shown, 2*around) + "…"
	}
	return shown
}

// cutRight keeps the first n bytes of s, less a rune cut in two.
func cutRight(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
