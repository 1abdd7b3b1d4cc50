package launch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/findmpi"
	"github.com/rankpool/rankpool/internal/gobuild"
)

// compiler makes programs of targets with the go command.
type compiler struct {
	mpi      bool                              // with MPI
	settings func() (*findmpi.Settings, error) // of the MPI for a program that is linked with one
	workers  bool                              // statements get an executor
	tags     string                            // beside mpi
	module   string                            // the folder of the library's source, if the user says
	wait     time.Duration                     // for a file system
	stdin    io.Reader
	stderr   io.Writer
}

// compile builds t into the file out. It blocks while the go command works, until ctx ends. scratch is an empty folder that
// the caller removes.
func (c compiler) compile(ctx context.Context, t target, scratch, out string) error {
	if _, err := exec.LookPath("go"); err != nil {
		host, _ := os.Hostname()
		return fmt.Errorf("cannot build %s: there is no go command on the path of %s: install Go, or build the program elsewhere "+
			"(rankpool build) and run that", t, host)
	}
	job, err := c.plan(ctx, t, scratch)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err != nil {
		return errors.Join(err, gobuild.CheckHome())
	}
	args := []string{"build", "-buildvcs=false", "-o", out}
	if job.install {
		args = []string{"install", "-buildvcs=false"}
	}
	var flags []string
	if tags := gobuild.Tags(c.mpi, c.tags); tags != "" {
		flags = append(flags, "-tags", tags)
	}
	if len(job.overlay) > 0 {
		file := filepath.Join(scratch, "overlay.json")
		text, err := json.Marshal(map[string]any{"Replace": job.overlay})
		if err != nil {
			return err
		}
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return err
		}
		flags = append(flags, "-overlay", file)
	}
	linking, err := c.linking(ctx, job, flags, scratch)
	if err != nil {
		return err
	}
	cmd := gobuild.Command(ctx, job.dir, slices.Concat(args, flags, []string{job.what})...)
	cmd.Env = slices.Concat(cmd.Env, job.env, linking)
	if job.install {
		cmd.Env = append(cmd.Env, "GOBIN="+filepath.Join(scratch, "bin"))
	}
	cmd.Stdout, cmd.Stderr = c.stderr, c.stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
			if home := gobuild.CheckHome(); home != nil { // of which the go command's words tell what comes of it
				return fmt.Errorf("cannot build %s: %w", t, home)
			}
			return fmt.Errorf("cannot build %s", t) // the go command has told why
		}
		return fmt.Errorf("cannot build %s: %w", t, err)
	}
	if job.install {
		return gobuild.Adopt(filepath.Join(scratch, "bin"), out)
	}
	return check(t, out)
}

// linking returns the variables for a program that is linked with an MPI; most are not, and need none. What a package with a version
// imports is not known beforehand.
func (c compiler) linking(ctx context.Context, job work, flags []string, scratch string) ([]string, error) {
	if !c.mpi || !job.install && !gobuild.LinksMPI(ctx, job.dir, job.env, flags, job.what) {
		return nil, nil
	}
	s, err := c.settings()
	switch {
	case err == nil:
		return s.Environment(scratch)
	case job.install:
		return nil, nil
	}
	return nil, err
}

// check refuses what go build writes for a package that is no program: an archive.
func check(t target, out string) error {
	f, err := os.Open(out)
	if errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot run %s: it is no program, for its package is not main", t)
	}
	if err != nil {
		return err
	}
	defer f.Close()
	head := make([]byte, 8)
	if _, err := io.ReadFull(f, head); err == nil && string(head) == "!<arch>\n" {
		return fmt.Errorf("cannot run %s: it is no program, for its package is not main", t)
	}
	return nil
}

// work is one call of the go command.
type work struct {
	dir     string
	what    string            // the file or package
	overlay map[string]string // files that are not there, and what to read instead
	env     []string
	install bool // a package with a version
}

// plan decides how t is built: in its own module, in the module of the working directory, or in one made for it.
func (c compiler) plan(ctx context.Context, t target, scratch string) (work, error) {
	here, err := os.Getwd()
	if err != nil {
		return work{}, err
	}
	switch t.form {
	case goFile, directory:
		w := work{dir: t.path, what: "."}
		if t.form == goFile {
			w.dir, w.what = filepath.Dir(t.path), "./"+filepath.Base(t.path) // which may begin with a dash
		}
		if inModule(ctx, w.dir) {
			return w, nil
		}
		return c.lend(ctx, w, scratch)
	case archive:
		return c.planArchive(ctx, t, scratch)
	case importPath:
		w := work{dir: here, what: t.text, install: strings.Contains(t.text, "@")}
		if w.install || inModule(ctx, here) || !strings.HasPrefix(t.text, gobuild.Module+"/") {
			return w, nil
		}
		return c.alone(ctx, work{what: t.text}, scratch)
	case standardInput:
		source, err := answered(ctx, noLimit, 0, "reading standard input", func() ([]byte, error) { return io.ReadAll(c.stdin) })
		if err != nil {
			return work{}, fmt.Errorf("cannot read the program from standard input: %w", err)
		}
		if len(bytes.TrimSpace(source)) == 0 {
			return work{}, command.Usagef("standard input has no program: it is empty")
		}
		return c.planSource(ctx, here, append([]byte("//line <stdin>:1:1\n"), source...), scratch)
	}
	return c.planSource(ctx, here, []byte(wrap(t.text, c.workers)), scratch)
}

// planArchive unpacks an archive in the scratch folder and builds there: in the module that the archive has, or in one that is lent. No
// module of a folder above counts, which may be another user's.
func (c compiler) planArchive(ctx context.Context, t target, scratch string) (work, error) {
	const folder = "archive"
	top := filepath.Join(scratch, folder)
	if err := os.Mkdir(top, 0o700); err != nil {
		return work{}, err
	}
	into, err := os.OpenRoot(top)
	if err != nil {
		return work{}, err
	}
	defer into.Close()
	limited, cancel := context.WithTimeoutCause(ctx, c.wait, fmt.Errorf("unpacking it in %s has not ended within %v: does the file system there "+
		"hang, or that of the archive? choose another folder with TMPDIR, or a longer time with --wait", os.TempDir(), c.wait))
	defer cancel()
	program, err := answered(limited, noLimit, fileGrace, "unpacking", func() (string, error) { return unpack(limited, t.path, into, usualRoom) })
	if err != nil {
		return work{}, fmt.Errorf("cannot build %s: %w", t, err)
	}
	w := work{dir: filepath.Join(top, filepath.FromSlash(program)), what: ".", env: []string{"GOWORK=off", "GO111MODULE=on"}}
	if _, err := into.Stat(filepath.Join(filepath.FromSlash(program), "go.mod")); err == nil {
		return w, nil
	}
	return c.lend(ctx, w, scratch)
}

// planSource builds a file that only this command has: as a part of the module of the working directory when that knows the
// library, so that the file may import the module's packages, and otherwise on its own.
func (c compiler) planSource(ctx context.Context, here string, source []byte, scratch string) (work, error) {
	const name = "rankpoolprogram.go"
	file := filepath.Join(scratch, name)
	if err := os.WriteFile(file, source, 0o600); err != nil {
		return work{}, err
	}
	if inModule(ctx, here) && gobuild.Command(ctx, here, "list", "-mod=readonly", "-m", gobuild.Module).Run() == nil {
		return work{dir: here, what: name, overlay: map[string]string{filepath.Join(here, name): file}}, nil
	}
	return c.alone(ctx, work{what: name}, scratch)
}

// inModule tells whether a folder belongs to a module.
func inModule(ctx context.Context, dir string) bool {
	out, err := gobuild.Command(ctx, dir, "env", "GOMOD").Output()
	mod := strings.TrimSpace(string(out))
	return err != nil || mod != "" && mod != os.DevNull
}

// alone makes a module in the scratch folder and builds there.
func (c compiler) alone(ctx context.Context, w work, scratch string) (work, error) {
	w, err := c.lend(ctx, w, scratch)
	w.dir, w.overlay = scratch, nil
	return w, err
}

// lend gives a folder without a module one for the time of the build, and writes nothing into the folder.
func (c compiler) lend(ctx context.Context, w work, scratch string) (work, error) {
	l, err := gobuild.FindLibrary(ctx, c.module)
	if err != nil {
		return work{}, err
	}
	w.overlay = map[string]string{}
	goMod, goSum := l.Files()
	for name, text := range map[string][]byte{"go.mod": goMod, "go.sum": goSum} {
		file := filepath.Join(scratch, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			return work{}, err
		}
		w.overlay[filepath.Join(w.dir, name)] = file
	}
	w.env = []string{"GOWORK=off", "GO111MODULE=on"}
	return w, nil
}
