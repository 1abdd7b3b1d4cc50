package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/report"
)

// reportCommand is `rankpool report`.
type reportCommand struct {
	HTML     string `name:"html" placeholder:"FILE" help:"Write a page that a browser opens from disk, without a network, instead of a summary."`
	Perfetto string `placeholder:"FILE" help:"Write the recording for https://ui.perfetto.dev and chrome://tracing (JSON), instead of a summary."`

	Profiles string `placeholder:"DIR" help:"Merge the profiles that RANKPOOL_PROFILE has put into this folder, those of master and workers apart, and say which functions cost most."`

	File string `arg:"" optional:"" help:"A recording: what RANKPOOL_TRACE or WithTrace has named."`
}

// Help is what --help says beyond the options.
func (reportCommand) Help() string {
	return `It says what a recording tells: how long the run took, how busy the workers were and why they were idle, how long each function takes, which elements took longest, which host is slow, what has failed and which workers were lost. The recording of a program that runs can be looked at too.

Examples:

    RANKPOOL_TRACE=run.rec ./sweep
    rankpool report run.rec
    rankpool report run.rec --html run.html
    rankpool report run.rec --perfetto run.json

    RANKPOOL_PROFILE=profiles ./sweep
    rankpool report --profiles profiles
    go tool pprof -http=: profiles/merged.cpu.worker.pb.gz

Status: 1 when the file is no recording, the folder has no profile that is whole, or the output cannot be written.`
}

// Run reads and prints.
func (c *reportCommand) Run(s command.Surroundings) error {
	if !command.Speaks(s.Launcher) {
		return nil
	}
	switch {
	case c.Profiles == "" && c.File == "":
		return command.Usagef("report needs a recording, or --profiles DIR")
	case c.File == "" && c.HTML+c.Perfetto != "":
		return command.Usagef("--html and --perfetto need a recording")
	case c.Profiles != "":
		if err := c.profiles(s); err != nil {
			return err
		}
	}
	if c.File == "" {
		return nil
	}
	r, err := report.Load(c.File)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if c.HTML != "" {
		if err := write(c.HTML, r.HTML); err != nil {
			return err
		}
	}
	if c.Perfetto != "" {
		if err := write(c.Perfetto, r.Perfetto); err != nil {
			return err
		}
	}
	if c.HTML+c.Perfetto != "" {
		return nil
	}
	return r.Text(s.Out)
}

// profiles merges the profiles in the folder, into files there.
func (c *reportCommand) profiles(s command.Surroundings) error {
	all, err := report.LoadProfiles(c.Profiles, func(text string) { fmt.Fprintln(s.Err, "rankpool: report: skipped", text) })
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	for _, p := range all {
		path := filepath.Join(c.Profiles, p.File())
		if err := write(path, p.Write); err != nil {
			return err
		}
		if err := p.Text(s.Out); err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "  go tool pprof %s\n\n", path)
	}
	return nil
}

// write makes a file, or leaves what was there. A pipe or a device is written to.
func write(path string, content func(w io.Writer) error) error {
	is, err := os.Stat(path)
	if err == nil && !is.Mode().IsRegular() {
		f, err := os.OpenFile(path, os.O_WRONLY, 0) //nolint:gosec // the user names it
		if err != nil {
			return fmt.Errorf("report: %w", err)
		}
		if err := errors.Join(content(f), f.Close()); err != nil {
			return fmt.Errorf("report: %s: %w", path, err)
		}
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".report")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	err = content(f)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("report: %s: %w", path, err)
	}
	return nil
}
