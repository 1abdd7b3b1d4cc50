package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/resultlog"
)

// journalCommand is `rankpool journal`.
type journalCommand struct {
	File    string `arg:"" help:"The journal."`
	Verify  bool   `name:"verify" help:"Read all of it, large results too, and tell what is damaged." xor:"what"`
	Compact bool   `name:"compact" help:"Write it anew without what is forgotten, replaced or damaged." xor:"what"`
	Forget  string `name:"forget" placeholder:"FUNCTION" help:"Have what is recorded of a function, in all versions, run again." xor:"what"`
}

// Help is what --help says beyond the options.
func (journalCommand) Help() string {
	return `It shows how many results and failures there are of each function and version, how large they are, and since when. That and --verify change nothing, and work while a job writes the journal; --compact and --forget need it for themselves.

Examples:

    rankpool journal sweep.journal
    rankpool journal --verify sweep.journal
    rankpool journal --forget energy sweep.journal
    rankpool journal --compact sweep.journal

Status: 1 when --verify finds damage, or something cannot be done, otherwise 0.`
}

// Run does it.
func (c *journalCommand) Run(s command.Surroundings) error {
	if !command.Speaks(s.Launcher) {
		return nil
	}
	o := resultlog.Options{Warn: func(msg string) { fmt.Fprintln(s.Err, "rankpool:", msg) }}
	switch {
	case c.Forget != "":
		n, err := resultlog.Forget(c.File, c.Forget, o)
		if err == nil {
			fmt.Fprintf(s.Out, "%d results and failures of %s are forgotten; rankpool journal --compact gives their room back\n", n, c.Forget)
		}
		return err
	case c.Compact:
		before, after, err := resultlog.Compact(c.File, o)
		if err == nil {
			fmt.Fprintf(s.Out, "%s before, %s now\n", size(before), size(after))
		}
		return err
	}
	info, err := resultlog.Inspect(c.File, c.Verify)
	if err != nil {
		return err
	}
	show(s.Out, info, time.Now())
	if !c.Verify {
		return nil
	}
	return verdict(s.Out, info)
}

// show prints what is in a journal.
func show(out io.Writer, info resultlog.Info, now time.Time) {
	fmt.Fprintf(out, "%s: %s", info.Path, size(info.Size))
	if !info.First.IsZero() {
		fmt.Fprintf(out, ", begun %s ago, last recorded %s ago", age(now.Sub(info.First)), age(now.Sub(info.Last)))
	}
	fmt.Fprintln(out)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "function\tversion\tresults\tfailures\tsize\tfirst\tlast\t")
	for _, f := range info.Functions {
		name, note := f.Name, ""
		switch {
		case !f.Known:
			name, note = "(damaged)", "its name is damaged, its results are not"
		case f.Gone:
			note = "forgotten"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%s\t%s\t%s\t%s\n", name, f.Version, f.Results, f.Failures, size(f.Bytes), stamp(f.First), stamp(f.Last), note)
	}
	_ = w.Flush()
}

// verdict says what is damaged. The error is for the status.
func verdict(out io.Writer, info resultlog.Info) error {
	for _, d := range info.Damaged {
		fmt.Fprintf(out, "damaged: bytes %d to %d: what was recorded there runs again\n", d.From, d.To)
	}
	if info.Cut > 0 {
		fmt.Fprintf(out, "the last %s are no whole record: they are being written, or were when the job was killed, and go when it is opened next\n", size(info.Cut))
	}
	if len(info.Damaged) > 0 {
		return &command.SilentError{Status: command.Failure}
	}
	fmt.Fprintln(out, "every record is whole")
	return nil
}

// size is a number of bytes for people.
func size(n int64) string {
	switch {
	case n < 10_000:
		return fmt.Sprintf("%d B", n)
	case n < 10<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 10<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}

// age is a duration for people.
func age(d time.Duration) string {
	if d < 48*time.Hour {
		return d.Round(time.Second).String()
	}
	return fmt.Sprintf("%.1f days", d.Hours()/24)
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.DateTime)
}
