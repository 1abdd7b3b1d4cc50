package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/rankpool/rankpool/bench/peers"
	"github.com/rankpool/rankpool/internal/findmpi"
	"github.com/rankpool/rankpool/internal/gobuild"
	"github.com/rankpool/rankpool/internal/marked"
	"github.com/rankpool/rankpool/internal/mpi"
)

// lookFor finds the launcher of an MPI.
func (f *field) lookFor(ctx context.Context, i *implementation) error {
	var seen []string
	for _, name := range append(findmpi.LauncherNames(i.family), "mpiexec") {
		l, err := findmpi.FindLauncher(ctx, name)
		if err == nil && l.Family == i.family {
			i.mpiexec = l.Path
			return nil
		}
		seen = append(seen, name)
	}
	return fmt.Errorf("no mpiexec of %s is on the path (looked for %s)", i.family, strings.Join(seen, ", "))
}

// buildOurs builds this command with MPI, unless it is.
func (f *field) buildOurs(ctx context.Context) error {
	if mpi.Built {
		self, err := os.Executable()
		if err != nil {
			return err
		}
		return os.Symlink(self, f.path(withMPI))
	}
	f.log("building with MPI")
	folder := filepath.Join(f.scratch, "build-"+withMPI)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	return f.build(ctx, withMPI, "cmd/rankpool", folder, []string{"GOWORK=off"}, "-tags", "mpi")
}

// withMPI is the name of this command with MPI. It loads the library of whichever launcher starts it.
const withMPI = "rankpool-mpi"

// compileRaw compiles the plain MPI program, which is linked with one library.
func (f *field) compileRaw(ctx context.Context, i *implementation) error {
	found, err := findmpi.FindSettings(ctx, i.family, findmpi.Automatic)
	if err != nil {
		return err
	}
	return f.compileC(ctx, f.path("raw-"+i.name), peers.RawMPI, found.Compile, found.Link)
}

// buildExtra builds a program of the module bench/extra, for which Go may have to download what it uses.
func (f *field) buildExtra(ctx context.Context, name string) error {
	f.log("building %s", name)
	folder := filepath.Join(f.scratch, "build-"+name)
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	return f.build(ctx, name, "bench/extra/"+name, folder, []string{"GOWORK=off"})
}

// compileLimit is what a C compiler may take.
const compileLimit = 20 * time.Second

// buildLimit is what the go command may take, downloads included.
const buildLimit = 5 * time.Minute

// build builds a package of the repository: from the source that this command was built from if it is still there, else from
// the version that it was built from.
func (f *field) build(ctx context.Context, name, pkg, folder string, env []string, flags ...string) error {
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("it cannot be built: there is no go command on the path")
	}
	ctx, cancel := context.WithTimeout(ctx, buildLimit)
	defer cancel()
	l, err := gobuild.FindLibrary(ctx, f.module)
	if err != nil {
		return err
	}
	var cmd *exec.Cmd
	if l.Dir != "" {
		dir := l.Dir
		if rest, ok := strings.CutPrefix(pkg, "bench/extra/"); ok {
			dir, pkg = filepath.Join(dir, "bench", "extra"), rest
		}
		cmd = gobuild.Command(ctx, dir, slices.Concat([]string{"build", "-buildvcs=false", "-o", f.path(name)}, flags, []string{"./" + pkg})...)
	} else {
		cmd = gobuild.Command(ctx, folder, slices.Concat([]string{"install", "-buildvcs=false"}, flags, []string{gobuild.Module + "/" + pkg + "@" + l.Version})...)
		env = append(env, "GOBIN="+filepath.Join(folder, "bin"))
	}
	cmd.Env = append(cmd.Env, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("it cannot be built: %s", marked.LastWords(string(out), err))
	}
	if l.Dir == "" {
		return gobuild.Adopt(filepath.Join(folder, "bin"), f.path(name))
	}
	return nil
}

// compileC compiles a C program with the compiler that cgo would use.
func (f *field) compileC(ctx context.Context, out string, source []byte, compile, link []string) error {
	var cc []string
	for _, name := range []string{os.Getenv("CC"), "cc", "gcc", "clang"} {
		if words := strings.Fields(name); len(words) > 0 && len(cc) == 0 {
			if _, err := exec.LookPath(words[0]); err == nil {
				cc = words
			}
		}
	}
	if len(cc) == 0 {
		return errors.New("it cannot be compiled: there is no C compiler on the path (looked for $CC, cc, gcc, clang)")
	}
	file := out + ".c"
	if err := os.WriteFile(file, source, 0o600); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, compileLimit)
	defer cancel()
	args := slices.Concat(cc[1:], []string{"-O2"}, compile, []string{"-o", out, file}, link)
	if text, err := exec.CommandContext(ctx, cc[0], args...).CombinedOutput(); err != nil {
		return fmt.Errorf("it cannot be compiled: %s", marked.LastWords(string(text), err))
	}
	return nil
}

// interpreters are where Python may be: packages of the system belong to the system's, which need not be the first on the path.
var interpreters = []string{"python3", "/usr/bin/python3"}

// lookForPython finds an interpreter.
func (f *field) lookForPython(ctx context.Context) error {
	var refused []string
	for _, name := range interpreters {
		out, err := findmpi.Ask(ctx, "", name, "-c", "import multiprocessing, platform; print(platform.python_version())")
		if err == nil {
			f.interpreter = name
			f.multiprocessing().name += ", Python " + strings.TrimSpace(out)
			return errors.Join(f.script("multiprocessing_pool.py", peers.Multiprocessing), f.script("grain.py", peers.Grain))
		}
		refused = append(refused, fmt.Sprintf("%s: %v", name, err))
	}
	return fmt.Errorf("no Python: %s", strings.Join(refused, "; "))
}

// script writes a peer in Python to where it is run from.
func (f *field) script(name string, text []byte) error {
	return os.WriteFile(filepath.Join(f.scratch, name), text, 0o600)
}

// lookForMPI4Py finds an interpreter that has mpi4py, and the MPI library that this was built for.
func (f *field) lookForMPI4Py(ctx context.Context) error {
	const script = `import json, mpi4py
mpi4py.rc.initialize = False
import mpi4py.MPI
print(json.dumps([mpi4py.__version__, mpi4py.MPI.get_vendor()[0]]))`
	var refused []string
	for _, name := range interpreters {
		out, err := findmpi.Ask(ctx, "", name, "-c", script)
		var answer []string
		if err == nil {
			err = json.Unmarshal([]byte(out), &answer)
		}
		if err != nil || len(answer) != 2 {
			if _, pathErr := exec.LookPath(name); pathErr != nil {
				err = errors.New("not there")
			} else if err == nil || strings.Contains(err.Error(), "Traceback") {
				err = errors.New("it has no mpi4py (Debian: python3-mpi4py)")
			}
			refused = append(refused, fmt.Sprintf("%s: %v", name, err))
			continue
		}
		f.mpi4py.interpreter = name
		f.original().name += " " + answer[0]
		for _, i := range f.mpis {
			if i.family.String() == answer[1] {
				f.mpi4py.vendor = i.family
				if err := i.look.done(ctx); err != nil {
					return err
				}
				return errors.Join(f.script("mpi4py_futures.py", peers.MPI4Py), f.script("grain-mpi4py.py", peers.Grain))
			}
		}
		return fmt.Errorf("mpi4py %s of %s was built for %s, which is not tried", answer[0], name, answer[1])
	}
	return errors.New(strings.Join(refused, "; "))
}
