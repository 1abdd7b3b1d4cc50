package find

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/rankpool/rankpool/internal/mpi/abi"
)

// Variable is the one by which a user names the library.
const Variable = "RANKPOOL_MPI"

// System is what the search looks at.
type System struct {
	Lookup func(string) (string, bool)   // a variable
	Glob   func(pattern string) []string // the files that match, in the order of their names
	Real   func(path string) string      // the file behind symbolic links
	OnPath func(program string) string   // where a command is; empty when it is nowhere

	// Parents are the programs of the parent of this process, of its parent, and so on.
	Parents []string
}

// Launcher is what is known of what started this process.
type Launcher struct {
	Name   string        // for errors; empty when there is none
	Fits   abi.Interface // whose programs it starts; Unknown when it is not told
	Speaks abi.Interface // of Slurm's, which starts both: whose programs understand what it offers; MPICH's do PMI, Open MPI's PMIx

	// Strange is the variable by which a launcher shows that is not known. Whose library it needs cannot be told then, and with another
	// one each process would be alone.
	Strange string
}

// Candidate is a library to try.
type Candidate struct {
	Why  string        // the step that names it
	Name string        // a path, or a name for the system to search; empty: what is in the process
	Want abi.Interface // what it must turn out to be; Unknown for any
}

// String names the candidate in a report.
func (c Candidate) String() string {
	if c.Name == "" {
		return c.Why
	}
	return c.Name + " (" + c.Why + ")"
}

// interfaces are those that fit a launcher, the likeliest first. All places are looked at for one group of them before the next.
func (l Launcher) interfaces() [][]abi.Interface {
	switch {
	case l.Fits != abi.Unknown:
		return [][]abi.Interface{{l.Fits, abi.Standard}}
	case l.Speaks == abi.MPICH:
		return [][]abi.Interface{{abi.MPICH}, {abi.OpenMPI, abi.Standard}}
	case l.Speaks == abi.OpenMPI:
		return [][]abi.Interface{{abi.OpenMPI}, {abi.MPICH, abi.Standard}}
	}
	return [][]abi.Interface{{abi.OpenMPI, abi.MPICH, abi.Standard}}
}

// families are the words that RANKPOOL_MPI takes for a path.
var families = map[string]abi.Interface{
	"openmpi": abi.OpenMPI, "ompi": abi.OpenMPI, "mpich": abi.MPICH, "intelmpi": abi.MPICH, "impi": abi.MPICH, "mvapich": abi.MPICH,
	"cray": abi.MPICH, "abi": abi.Standard,
}

// Candidates returns what to try, in this order. The error is about RANKPOOL_MPI.
func Candidates(s System, l Launcher) ([]Candidate, error) {
	want, named := l.interfaces(), abi.Unknown
	if value, ok := s.Lookup(Variable); ok && value != "" {
		family, known := families[strings.ToLower(value)]
		switch {
		case strings.Contains(value, "/"), strings.Contains(value, ".so"):
			return []Candidate{{Why: Variable, Name: value}}, nil
		case !known:
			return nil, fmt.Errorf("mpi: %s=%q is neither a path nor one of openmpi, mpich, abi", Variable, value)
		}
		want, named, l = [][]abi.Interface{{family}}, family, Launcher{Name: l.Name, Fits: family}
	}
	if l.Name == "" && l.Fits == abi.Unknown {
		want = [][]abi.Interface{preferred(s, want[0])}
	}
	f := &finder{s: s, seen: map[string]bool{}}
	f.list = append(f.list, Candidate{Why: "in the process already", Want: named}) // a second one beside it would get its symbols
	if l.Strange != "" {
		return f.list, nil
	}
	for _, group := range want {
		for _, look := range []func(abi.Interface){f.told, f.beside, f.searched, f.modules} {
			for _, i := range group {
				look(i)
			}
		}
	}
	return f.list, nil
}

// preferred puts the family of the mpiexec on the path first: without a launcher, a program that spawns asks that one.
func preferred(s System, want []abi.Interface) []abi.Interface {
	path := s.OnPath("mpiexec")
	if path == "" {
		return want
	}
	first := familyOf(s.Real(path))
	if first == abi.Unknown {
		return want
	}
	return append([]abi.Interface{first}, slices.DeleteFunc(slices.Clone(want), func(i abi.Interface) bool { return i == first })...)
}

// familyOf tells whose a launcher is, by its file: orterun, prted, mpirun.openmpi; hydra_pmi_proxy, mpiexec.hydra.
func familyOf(path string) abi.Interface {
	base := filepath.Base(path)
	begins, has := func(word string) bool { return strings.HasPrefix(base, word) }, func(word string) bool { return strings.Contains(base, word) }
	switch {
	case begins("orte"), begins("prte"), base == "prun", begins("mpi") && has("openmpi"):
		return abi.OpenMPI
	case begins("hydra"), begins("mpi") && (has("hydra") || has("mpich")):
		return abi.MPICH
	}
	return abi.Unknown
}

// launches tells whether a program is a launcher, or the process of one on each host.
func launches(path string) bool {
	base := filepath.Base(path)
	return strings.HasPrefix(base, "mpiexec") || strings.HasPrefix(base, "mpirun") || familyOf(path) != abi.Unknown
}

// finder collects candidates.
type finder struct {
	s    System
	list []Candidate
	seen map[string]bool // files, behind their links
}

// in adds the libraries of an interface that a folder has, which may be a pattern.
func (f *finder) in(why, folder string, i abi.Interface) {
	for _, name := range abi.Names(i) {
		for _, path := range f.s.Glob(filepath.Join(folder, name)) {
			if real := f.s.Real(path); !f.seen[real] {
				f.seen[real] = true
				f.list = append(f.list, Candidate{why, path, i})
			}
		}
	}
}

// libraryFolders are where a prefix has its libraries. The last is Debian's, for each processor.
var libraryFolders = []string{"lib", "lib64", "lib/release", "lib/*-linux-gnu"}

func (f *finder) under(why, prefix string, i abi.Interface) {
	for _, folder := range libraryFolders {
		f.in(why, filepath.Join(prefix, folder), i)
	}
}

// told looks where the launcher's variables point: Open MPI's since version 5 names its folder of libraries, and one that was moved
// its prefix; Intel's mpiexec keeps the prefix of its own.
func (f *finder) told(i abi.Interface) {
	const folders = "OMPI_LIBDIR_LOC"
	if folder, ok := f.s.Lookup(folders); ok && folder != "" && i != abi.MPICH {
		f.in(folders, folder, i)
	}
	for _, v := range []struct {
		name string
		of   abi.Interface
	}{{"OPAL_PREFIX", abi.OpenMPI}, {"I_MPI_ROOT", abi.MPICH}} {
		if prefix, ok := f.s.Lookup(v.name); ok && prefix != "" && (v.of == i || i == abi.Standard) {
			f.under(v.name, prefix, i)
		}
	}
}

// beside looks next to the launcher among the parents of this process, and next to the mpiexec on the path where there is none.
func (f *finder) beside(i abi.Interface) {
	found := false
	for _, p := range f.s.Parents {
		if !launches(p) {
			continue
		}
		found = true
		if family := familyOf(p); family == i || family == abi.Unknown || i == abi.Standard {
			f.under("beside "+p, filepath.Dir(filepath.Dir(p)), i)
		}
	}
	if found {
		return
	}
	if p := f.s.OnPath("mpiexec"); p != "" {
		real := f.s.Real(p)
		if family := familyOf(real); family == i || family == abi.Unknown || i == abi.Standard {
			f.under("beside "+real, filepath.Dir(filepath.Dir(real)), i)
		}
	}
}

// searched leaves it to the system to look.
func (f *finder) searched(i abi.Interface) {
	for _, name := range abi.Names(i) {
		f.list = append(f.list, Candidate{"the system's search path", name, i})
	}
}

// prefixes are variables by which modules name where an MPI is: of Open MPI, MPICH, Cray, EasyBuild and Spack.
var prefixes = []string{
	"MPI_HOME", "MPI_ROOT", "MPI_DIR", "OPENMPI_HOME", "OPENMPI_ROOT", "OMPI_DIR", "EBROOTOPENMPI", "MPICH_DIR", "MPICH_HOME", "CRAY_MPICH_DIR",
	"EBROOTMPICH", "EBROOTIMPI", "MVAPICH_HOME",
}

// places are where MPI is put: by Red Hat and SUSE, by hand, by Intel and by Cray, whose library with MPICH's interface is in a folder
// of its own.
var places = []string{
	"/usr/lib64/openmpi/lib", "/usr/lib64/mpich/lib", "/usr/lib64/mpi/gcc/*/lib64", "/usr/lib/*-linux-gnu/openmpi/lib", "/usr/lib/*-linux-gnu/mpich/lib",
	"/usr/local/lib", "/usr/local/lib64", "/usr/local/openmpi/lib", "/usr/local/mpich/lib", "/opt/openmpi/lib", "/opt/openmpi/*/lib", "/opt/mpich/lib",
	"/opt/intel/oneapi/mpi/latest/lib", "/opt/intel/oneapi/mpi/latest/lib/release", "/opt/cray/pe/mpich/default/ofi/*/*/lib-abi-mpich",
	"/opt/cray/pe/lib64", "/lib64", "/usr/lib64", "/usr/lib/*-linux-gnu",
}

func (f *finder) modules(i abi.Interface) {
	for _, name := range prefixes {
		if prefix, ok := f.s.Lookup(name); ok && prefix != "" {
			f.under(name, prefix, i)
			f.in(name, filepath.Join(prefix, "lib-abi-mpich"), i)
		}
	}
	for _, place := range places {
		f.in("a usual place", place, i)
	}
}

// Step is what came of one candidate.
type Step struct {
	Candidate
	Err error // why it is not the one; nil for the one that was chosen
}

// Choice is how the library was chosen.
type Choice struct {
	Launcher Launcher
	Steps    []Step
}

// Found returns the candidate that was chosen.
func (c Choice) Found() (Candidate, bool) {
	if n := len(c.Steps); n > 0 && c.Steps[n-1].Err == nil {
		return c.Steps[n-1].Candidate, true
	}
	return Candidate{}, false
}

// String is the report: what was looked at, in turn, and what came of it.
func (c Choice) String() string {
	var b strings.Builder
	for i, s := range c.Steps {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(s.Candidate.String())
		if s.Err != nil {
			b.WriteString(": " + s.Err.Error())
		} else {
			b.WriteString(": chosen")
		}
	}
	return b.String()
}

// ErrNone is what try returns for the library in the process when there is none. Any other error about that one ends the search.
var ErrNone = errors.New("none")

// Try has try judge the candidates in turn, until it takes one. The error tells what was looked for and what to do.
func Try(candidates []Candidate, l Launcher, try func(Candidate) error) (Choice, error) {
	c := Choice{Launcher: l}
	for _, one := range candidates {
		err := try(one)
		c.Steps = append(c.Steps, Step{one, err})
		if err == nil {
			return c, nil
		}
		if one.Name == "" && !errors.Is(err, ErrNone) {
			return c, fmt.Errorf("mpi: the MPI library that is in this process already cannot be used: %w", err)
		}
	}
	return c, &MissingError{c}
}

// MissingError is the error of a search that has found no library.
type MissingError struct{ Choice Choice }

// Error says what was looked for, in turn, why it was not taken, and what to do.
func (e *MissingError) Error() string {
	if s := e.Choice.Steps; len(s) == 1 && s[0].Why == Variable {
		return fmt.Sprintf("mpi: %s=%s cannot be used: %v; name the libmpi of the MPI whose mpiexec starts the program, or unset it to have one looked for",
			Variable, s[0].Name, s[0].Err)
	}
	if l := e.Choice.Launcher; l.Strange != "" && len(e.Choice.Steps) == 1 {
		return fmt.Sprintf("mpi: %s has started this process, as %s shows, and whose MPI it belongs to cannot be told: name that by %s=openmpi, mpich "+
			"or abi, or its library by %s=/path/to/libmpi.so; unset %s where there is no launcher; looked for OMPI_COMM_WORLD_SIZE (Open MPI's mpiexec), "+
			"PMI_SIZE (MPICH's and its kin's), SLURM_STEP_ID (srun), and a library %s", l.Name, l.Strange, Variable, Variable, l.Strange, e.Choice)
	}
	of, with, fits := "MPI library", "", e.Choice.Launcher.Fits
	if s := e.Choice.Steps; len(s) > 0 && s[0].Want != abi.Unknown {
		fits = s[0].Want
	}
	if fits != abi.Unknown {
		of = "library of " + fits.String()
	}
	if name := e.Choice.Launcher.Name; name != "" {
		with = " for " + name
	}
	return fmt.Sprintf("mpi: found no %s%s: install it or load its module, on this host, or name its libmpi by %s=/path/to/libmpi.so; looked for %s",
		of, with, Variable, e.Choice)
}
