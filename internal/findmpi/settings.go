// Package findmpi finds the MPI of this machine without calling it: its launcher, and what it takes to link a program with it.
package findmpi

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/mpi"
)

// Settings are what it takes to link a program with one MPI library.
type Settings struct {
	Family        mpi.Family
	Source        string   // what told: "/usr/bin/mpicc", "pkg-config mpich"
	Compile, Link []string // flags that find the headers and the library
}

// lookLimit is what one question to a compiler wrapper or to pkg-config may take; some live on slow file systems.
const lookLimit = 20 * time.Second

// Choice is which MPI the user wants: a word of the option --mpi.
type Choice string

// The choices.
const (
	Automatic   Choice = "auto" // the launcher's, or that of the mpicc on the path
	Without     Choice = "none"
	wantOpenMPI Choice = "openmpi"
	wantMPICH   Choice = "mpich"
	wantMPICC   Choice = "mpicc" // that of the mpicc on the path, whatever it is
)

// Family is the family a choice asks for, or OtherMPI for any.
func (c Choice) Family() mpi.Family {
	switch c {
	case wantOpenMPI:
		return mpi.OpenMPI
	case wantMPICH:
		return mpi.MPICH
	}
	return mpi.OtherMPI
}

// FindSettings returns the settings of an MPI of the wanted family, OtherMPI meaning any: those of the compiler wrapper on
// the path, which is the one that belongs to the mpiexec there, before those of pkg-config. The error says what was tried
// and why it was refused. It blocks while those programs answer.
func FindSettings(ctx context.Context, want mpi.Family, only Choice) (*Settings, error) {
	var refused []string
	for _, name := range wrappers(want, only) {
		s, err := ofWrapper(ctx, name)
		switch {
		case err != nil:
			refused = append(refused, fmt.Sprintf("%s: %v", name, err))
		case want != mpi.OtherMPI && s.Family != want:
			refused = append(refused, fmt.Sprintf("%s: belongs to %s", s.Source, s.Family))
		default:
			return s, nil
		}
	}
	if only != wantMPICC {
		for _, p := range []struct {
			name   string
			family mpi.Family
		}{{"ompi", mpi.OpenMPI}, {"mpich", mpi.MPICH}} {
			if want != mpi.OtherMPI && want != p.family {
				continue
			}
			s, err := ofPackage(ctx, p.name, p.family)
			if err == nil {
				return s, nil
			}
			refused = append(refused, fmt.Sprintf("pkg-config %s: %v", p.name, err))
		}
	}
	what := "MPI"
	if want != mpi.OtherMPI {
		what = want.String()
	}
	return nil, fmt.Errorf("no %s to link with: load its module, install its development package, or let MPICC name its "+
		"compiler wrapper; tried\n  %s", what, strings.Join(refused, "\n  "))
}

// wrappers are the names a compiler wrapper may have.
func wrappers(want mpi.Family, only Choice) []string {
	if name := os.Getenv("MPICC"); name != "" {
		return []string{name}
	}
	names := []string{"mpicc"}
	if only == wantMPICC {
		return names
	}
	switch want {
	case mpi.OpenMPI:
		names = append(names, "mpicc.openmpi")
	case mpi.MPICH:
		names = append(names, "mpicc.mpich", "mpiicx", "mpiicc")
	}
	if os.Getenv("CRAYPE_VERSION") != "" {
		names = append(names, "cc")
	}
	return names
}

// ofWrapper asks a compiler wrapper. Open MPI's answers --showme, MPICH's and its descendants' -show, Cray's something of
// its own. Which family it is the header tells.
func ofWrapper(ctx context.Context, name string) (*Settings, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return nil, errors.New("not on the path")
	}
	macros, err := Ask(ctx, "#include <mpi.h>\n", path, "-E", "-dM", "-x", "c", "-")
	if err != nil {
		return nil, fmt.Errorf("cannot compile with <mpi.h>: %w", err)
	}
	s := &Settings{Source: path}
	switch {
	case strings.Contains(macros, "#define OPEN_MPI "):
		s.Family = mpi.OpenMPI
	case strings.Contains(macros, "#define MPICH_VERSION "):
		s.Family = mpi.MPICH
	}
	for _, form := range [][2]string{
		{"--showme:compile", "--showme:link"}, {"--cray-print-opts=cflags", "--cray-print-opts=libs"}, {"-show", "-show"},
	} {
		compile, err := Ask(ctx, "", path, form[0])
		if err != nil {
			continue
		}
		link, err := Ask(ctx, "", path, form[1])
		if err != nil {
			continue
		}
		s.Compile, s.Link = compileFlags(strings.Fields(compile)), linkFlags(strings.Fields(link))
		return s, nil
	}
	return nil, errors.New("answers neither --showme nor -show: it is no MPI compiler wrapper")
}

// ofPackage asks pkg-config.
func ofPackage(ctx context.Context, name string, family mpi.Family) (*Settings, error) {
	tool := pkgConfig()
	if _, err := exec.LookPath(tool); err != nil {
		return nil, fmt.Errorf("there is no %s on the path", tool)
	}
	compile, err := Ask(ctx, "", tool, "--cflags", name)
	if err != nil {
		return nil, err
	}
	link, err := Ask(ctx, "", tool, "--libs", name)
	if err != nil {
		return nil, err
	}
	return &Settings{
		Family: family, Source: tool + " " + name,
		Compile: compileFlags(strings.Fields(compile)), Link: linkFlags(strings.Fields(link)),
	}, nil
}

// pkgConfig is the pkg-config to use for what is not MPI.
func pkgConfig() string {
	if tool := os.Getenv("PKG_CONFIG"); tool != "" {
		return tool
	}
	return "pkg-config"
}

// Ask runs a program and returns what it prints; the error has the first line of its complaint.
func Ask(ctx context.Context, input, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.WaitDelay = time.Second
	var out, complaint bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaint
	if err := cmd.Run(); err != nil {
		if line, _, _ := strings.Cut(strings.TrimSpace(complaint.String()), "\n"); line != "" {
			return "", fmt.Errorf("%w (%s)", err, line)
		}
		return "", err
	}
	return out.String(), nil
}

// compileFlags are the flags that find headers; cgo refuses most others, and optimisation is not MPI's to choose.
func compileFlags(words []string) (kept []string) {
	for i := 0; i < len(words); i++ {
		switch w := words[i]; {
		case (w == "-I" || w == "-D") && i+1 < len(words):
			i++
			kept = append(kept, w+words[i])
		case len(w) > 2 && (strings.HasPrefix(w, "-I") || strings.HasPrefix(w, "-D")), w == "-pthread":
			kept = append(kept, w)
		}
	}
	return kept
}

// linkFlags are the flags that find libraries, now and when the program starts. The path of the latter comes in one word or
// in several.
func linkFlags(words []string) (kept []string) {
	path := false // the next argument of the linker is one
	for i := 0; i < len(words); i++ {
		w := words[i]
		linker, ok := strings.CutPrefix(w, "-Wl,")
		if w == "-Xlinker" && i+1 < len(words) {
			i++
			linker, ok = words[i], true
		}
		switch {
		case ok && path:
			kept = append(kept, "-Wl,-rpath,"+linker)
			path = false
		case ok && (linker == "-rpath" || linker == "--rpath"):
			path = true
		case ok && strings.HasPrefix(linker, "-rpath"):
			kept = append(kept, "-Wl,"+linker)
		case ok:
		case (w == "-L" || w == "-l") && i+1 < len(words):
			i++
			kept = append(kept, w+words[i])
		case len(w) > 2 && (strings.HasPrefix(w, "-L") || strings.HasPrefix(w, "-l")), w == "-pthread",
			strings.HasPrefix(w, "/") && (strings.Contains(filepath.Base(w), ".so") || strings.HasSuffix(w, ".a")):
			kept = append(kept, w)
		}
	}
	return kept
}

// Identity is different for each set of flags.
func (s *Settings) Identity() string {
	h := sha256.Sum256(fmt.Appendf(nil, "%d %q %q", s.Family, s.Compile, s.Link))
	return hex.EncodeToString(h[:6])
}

// defines are the macros that tell Go's build cache one MPI from another, which sees CGO_CFLAGS but not what pkg-config
// answers: without them the library that was built first would stay linked, silently.
func (s *Settings) defines() []string {
	d := []string{"-DRANKPOOL_FLAGS_" + s.Identity()}
	switch s.Family {
	case mpi.OpenMPI:
		d = append(d, "-DRANKPOOL_OPENMPI")
	case mpi.MPICH:
		d = append(d, "-DRANKPOOL_MPICH")
	}
	return d
}

//go:embed pkg-config.sh
var pkgConfigScript string

// Environment writes the program that the go command asks for flags into a folder, which must live as long as the build, and
// returns the variables to build with.
func (s *Settings) Environment(folder string) ([]string, error) {
	tool := filepath.Join(folder, "pkg-config")
	script := strings.NewReplacer(
		"@COMPILE@", ShellQuote(pkgConfigLine(s.Compile)), "@LINK@", ShellQuote(pkgConfigLine(s.Link)),
		"@OTHERS@", ShellQuote(pkgConfig())).Replace(pkgConfigScript)
	if err := os.WriteFile(tool, []byte(script), 0o700); err != nil {
		return nil, err
	}
	flags, set := os.LookupEnv("CGO_CFLAGS")
	if !set {
		flags = "-O2 -g"
	}
	var kept []string
	for f := range strings.FieldsSeq(flags) {
		if !strings.HasPrefix(f, "-DRANKPOOL_") {
			kept = append(kept, f)
		}
	}
	return []string{
		"PKG_CONFIG=" + tool, "CGO_ENABLED=1", "CGO_CFLAGS=" + strings.Join(append(kept, s.defines()...), " "),
	}, nil
}

// pkgConfigLine writes flags as pkg-config does.
func pkgConfigLine(flags []string) string {
	escaped := make([]string, len(flags))
	for i, f := range flags {
		escaped[i] = strings.NewReplacer(`\`, `\\`, " ", `\ `, `"`, `\"`, `'`, `\'`).Replace(f)
	}
	return strings.Join(escaped, " ")
}

// ShellQuote quotes a word for a shell.
func ShellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
