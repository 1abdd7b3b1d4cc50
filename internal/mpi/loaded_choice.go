//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"unsafe"

	"github.com/rankpool/rankpool/internal/mpi/abi"
	"github.com/rankpool/rankpool/internal/mpi/clib"
	"github.com/rankpool/rankpool/internal/mpi/find"
)

// rawLoad loads the library that find names, unless that is done, and returns how it was chosen. Nothing is loaded before.
func rawLoad() (how string, err error) {
	if lib != nil {
		return chosen, nil
	}
	l := launcherToFind(os.LookupEnv)
	candidates, err := find.Candidates(find.Here(), l)
	if err != nil {
		return "", err
	}
	c, err := libc()
	if err != nil {
		return "", err
	}
	c.tameUCX()
	// Constructors of a library may replace the actions of signals, and start threads: UCX takes SIGHUP, not on the signal stack.
	before, mask := signalActions(), calmThread()
	defer func() {
		maskSignals(sigSetMask, mask)
		runtime.UnlockOSThread()
		replaced = before.putBack()
	}()
	present := inProcess()
	choice, err := find.Try(candidates, l, func(c find.Candidate) error {
		b, path, err := load(c, l)
		if err == nil && b.face != abi.Standard { // which may be a layer above its family's own library
			err = present.otherThan(identity(b.library), path)
		}
		if err == nil {
			lib, chosen, linked = b, path+" ("+c.Why+")", c.Name == ""
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if steps := choice.Steps; len(steps) > 1 {
		chosen += ", after " + find.Choice{Steps: steps[:len(steps)-1]}.String()
	}
	return chosen, nil
}

// chosen is how lib was chosen, and replaced are the signals whose actions it had replaced when it was loaded, and which were put back.
var (
	chosen   string
	replaced []int
)

// launcherToFind is what find wants to know of the launcher.
func launcherToFind(lookup func(string) (string, bool)) find.Launcher {
	l := FindLauncher(lookup)
	f := find.Launcher{Name: l.Name, Fits: familyFace(l.Family), Speaks: familyFace(SpokenTo(lookup))}
	if l.Strange() {
		f.Strange = l.Variable
	}
	return f
}

// load loads one candidate and finds everything in it that this package needs, or says why it is not the one.
func load(c find.Candidate, launcher find.Launcher) (b *bound, path string, err error) {
	b = new(bound)
	if c.Name == "" {
		if b.library, path, err = loadedAlready(); err != nil {
			return nil, "", err
		}
	} else {
		if err := lookAt(c.Name); err != nil {
			return nil, "", err
		}
		if b.library, err = clib.Open(c.Name); err != nil {
			return nil, "", explained(c.Name, err)
		}
	}
	missing := b.findAll(b.library)
	if b.Init_thread == 0 {
		return nil, "", errors.New("it is no MPI library: it has no MPI_Init_thread")
	}
	if len(missing) > 0 {
		return nil, "", fmt.Errorf("it lacks %s: MPI 3.0 or later is needed", strings.Join(missing, ", "))
	}
	if path == "" {
		if path = mappedAt(b.Init_thread); path == "" {
			path = c.Name
		}
	}
	text := versionOf(b)
	face, err := faceOf(b, text)
	if err != nil {
		return nil, "", err
	}
	if c.Want != abi.Unknown && face != c.Want {
		return nil, "", fmt.Errorf("it has the interface of %s, not of %s: it is %s", face, c.Want, named(text))
	}
	b.family = familyOf(text)
	if face == abi.Standard && launcher.Fits != abi.Unknown && familyFace(b.family) != launcher.Fits {
		return nil, "", fmt.Errorf("it is %s, which %s does not start", named(text), launcher.Name)
	}
	if missing := b.take(face); len(missing) > 0 {
		return nil, "", fmt.Errorf("it lacks %s", strings.Join(missing, ", "))
	}
	if c.Name != "" { // the modules that it loads itself may want its symbols
		if err := clib.Share(c.Name); err != nil {
			return nil, "", err
		}
	}
	return b, path, nil
}

// libraries are files by their identity: two names may be one library.
type libraries map[uintptr]string

// identity is an address that tells libraries apart, and a tool in front of a library, which has MPI's functions but not these, from none.
func identity(l clib.Library) uintptr {
	if own := l.Symbol("PMPI_Init_thread"); own != 0 {
		return own
	}
	return l.Symbol("MPI_Init_thread")
}

// inProcess are the MPI libraries in the process, before one is loaded: the program may be linked with one, something else may have loaded one, and
// LD_PRELOAD may name two.
func inProcess() libraries {
	all := libraries{}
	for _, i := range []abi.Interface{abi.OpenMPI, abi.MPICH} {
		for _, name := range abi.Names(i) {
			if l, there := clib.Loaded(name); there {
				if id := identity(l); id != 0 {
					all[id] = mappedAt(id)
				}
			}
		}
	}
	return all
}

// otherThan is an error where one of the libraries is another than the chosen one.
func (l libraries) otherThan(one uintptr, chosen string) error {
	for id, path := range l {
		if id != one {
			return fmt.Errorf("%s is in this process as well as %s, and two MPI libraries in one process take each other's functions: "+
				"look at LD_PRELOAD, at %s, and at what the program is linked with", path, chosen, find.Variable)
		}
	}
	return nil
}

// loadedAlready is the library in the process. Its symbols are looked up in itself: there may be two.
func loadedAlready() (clib.Library, string, error) {
	all := clib.Process()
	init := all.Symbol("MPI_Init_thread")
	if init == 0 {
		return all, "", find.ErrNone
	}
	path := mappedAt(init)
	if l, ok := clib.Loaded(path); ok && path != "" {
		return l, path, nil
	}
	return all, path, nil // the program itself
}

// faceOf tells which interface a library has, before MPI is initialised. The native libraries of MPICH 5 and Open MPI 6 know
// MPI_Abi_get_version too, and answer with -1; and the one of Open MPI 6 with the standard interface has its native symbols as well.
func faceOf(b *bound, text string) (abi.Interface, error) {
	if f := b.library.Symbol("MPI_Abi_get_version"); f != 0 {
		v := new([2]int32)
		if clib.Do(f, uintptr(unsafe.Pointer(&v[0])), uintptr(unsafe.Pointer(&v[1]))) == 0 && v[0] > 0 {
			return abi.Standard, nil
		}
	}
	switch {
	case b.library.Symbol("ompi_mpi_comm_world") != 0:
		return abi.OpenMPI, nil
	case familyOf(text) == MPICH:
		return abi.MPICH, nil
	}
	return abi.Unknown, fmt.Errorf("its binary interface is neither MPICH's, nor Open MPI's, nor that of MPI 5: it is %s", named(text))
}

// versionOf asks a library what it is, which may be done before MPI is initialised. No interface has a longer text.
func versionOf(b *bound) string {
	buf, n := make([]byte, 8192+1), new(int32)
	if clib.Do(b.Get_library_version, uintptr(unsafe.Pointer(&buf[0])), uintptr(unsafe.Pointer(n))) != 0 {
		return ""
	}
	return string(buf[:min(max(int(*n), 0), len(buf))])
}

// lookAt says what is wrong with a file, as far as that shows before it is loaded. The system finds a name that is no path itself.
func lookAt(name string) error {
	if !strings.Contains(name, "/") {
		return nil
	}
	if _, err := os.Stat(name); err != nil {
		return err
	}
	f, err := elf.Open(name)
	if err != nil {
		return errors.New("it is no shared library of this system")
	}
	defer f.Close()
	want := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	switch {
	case f.Class != elf.ELFCLASS64:
		return fmt.Errorf("it is for programs of 32 bits (%s), and this one has 64", f.Machine)
	case f.Machine != want:
		return fmt.Errorf("it is for another processor (%s)", f.Machine)
	case f.Type != elf.ET_DYN:
		return errors.New("it is no shared library")
	}
	return nil
}

// explained adds what to do to the system's words about a library that cannot be loaded.
func explained(name string, err error) error {
	text := strings.TrimPrefix(err.Error(), name+": ")
	switch {
	case strings.Contains(text, "failed to map segment"):
		text += "; its file system is mounted noexec, or memory is short"
	case strings.Contains(text, "musl"):
		text += "; it is built for musl, and this program for glibc"
	case strings.Contains(text, "GLIBC_"):
		text += "; it is built for a newer system"
	case text == "cannot open shared object file: No such file or directory" && !strings.Contains(name, "/"):
		text = "not there"
	}
	return errors.New(text)
}

// mappedAt returns the file that is mapped at an address.
func mappedAt(address uintptr) string {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return ""
	}
	for line := range bytes.Lines(maps) {
		fields := strings.Fields(string(line))
		if len(fields) < 6 {
			continue
		}
		from, to, _ := strings.Cut(fields[0], "-")
		low, err1 := strconv.ParseUint(from, 16, 64)
		high, err2 := strconv.ParseUint(to, 16, 64)
		if err1 == nil && err2 == nil && low <= uint64(address) && uint64(address) < high {
			return strings.Join(fields[5:], " ")
		}
	}
	return ""
}

// familyFace is the interface of a family's own libraries.
func familyFace(f Family) abi.Interface {
	switch f {
	case OpenMPI:
		return abi.OpenMPI
	case MPICH:
		return abi.MPICH
	}
	return abi.Unknown
}

// familyOf reads the family out of what MPI_Get_library_version says.
func familyOf(text string) Family {
	switch {
	case strings.Contains(text, "Open MPI"):
		return OpenMPI
	case strings.Contains(text, "MPICH"), strings.Contains(text, "Intel(R) MPI"), strings.Contains(text, "MVAPICH"):
		return MPICH
	}
	return OtherMPI
}
