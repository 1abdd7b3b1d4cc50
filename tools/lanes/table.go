package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// table says what ran and how long it took, and then what did not run and why.
func table(all []*lane, took time.Duration) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nlane\tresult\tseconds\tprocessors' seconds\ttests left out")
	var reasons []string
	for _, l := range all {
		out := leftOut(l.notes())
		result := l.result()
		if len(out.lane) > 0 && l.err == nil {
			result = "not run"
			if out.ran {
				result = "in part"
			}
		}
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%d\n", l.name, result, l.seconds, l.cpu, out.tests)
		for _, why := range out.lane {
			reasons = append(reasons, fmt.Sprintf("  %s: NOT RUN: %s", l.name, why))
		}
		for _, r := range out.reasons {
			reasons = append(reasons, fmt.Sprintf("  %s: %s", l.name, r))
		}
	}
	fmt.Fprintf(w, "all\t\t%.0f\n", took.Seconds())
	w.Flush()
	if len(reasons) > 0 {
		fmt.Fprintln(&b, "\nleft out:")
		for _, r := range reasons {
			fmt.Fprintln(&b, r)
		}
	}
	return b.String() + "\n"
}

// missing is what a lane has not run.
type missing struct {
	lane    []string // why the lane, or a part of it, was left out
	tests   int
	reasons []string // of tests, each with the number of tests and one of them
	ran     bool     // some of the lane
}

// leftOut reads notes: lines with a package, a test and a reason, apart by tabs. One without a package is about the lane.
func leftOut(path string) (m missing) {
	text, err := os.ReadFile(path)
	if err != nil {
		return m // nothing was left out
	}
	type group struct {
		tests []string
		why   string
	}
	var groups []*group
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(f) != 3 {
			continue
		}
		if f[0] == "" {
			m.lane = append(m.lane, f[2])
			m.ran = m.ran || f[1] == "part"
			continue
		}
		name := f[0][strings.LastIndex(f[0], "/")+1:] + "." + f[1]
		if f[1] == "" {
			name = f[0]
		} else {
			m.tests++
		}
		i := slices.IndexFunc(groups, func(g *group) bool { return g.why == f[2] })
		if i < 0 {
			groups = append(groups, &group{why: f[2]})
			i = len(groups) - 1
		}
		groups[i].tests = append(groups[i].tests, name)
	}
	for _, g := range groups {
		r := g.tests[0]
		if n := len(g.tests); n > 1 {
			r = fmt.Sprintf("%s and %d more", r, n-1)
		}
		m.reasons = append(m.reasons, r+": "+g.why)
	}
	return m
}
