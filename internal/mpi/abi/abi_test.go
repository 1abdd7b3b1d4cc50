package abi_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi/abi"
	"github.com/rankpool/rankpool/internal/testkit"
)

var handles = append(append([]abi.Handle{
	abi.CommWorld, abi.CommSelf, abi.CommNull, abi.RequestNull, abi.MessageNull, abi.InfoNull, abi.OpNull, abi.ErrorsReturn,
	abi.NullCopy, abi.NullDelete,
}, abi.Types[:]...), abi.Ops[:]...)

var numbers = append(append([]abi.Number{
	abi.HandleSize, abi.StatusSize, abi.StatusSource, abi.StatusTag, abi.StatusError, abi.InPlace, abi.StatusIgnore, abi.AnySource,
	abi.AnyTag, abi.Undefined, abi.TagUB, abi.Universe, abi.AppNum, abi.TypeShared, abi.MaxErrorString, abi.MaxVersion,
	abi.MaxProcessor, abi.MaxPort,
}, abi.Levels[:]...), abi.Classes[:]...)

// headers finds the folders of the mpi.h that are installed, by interface. What a header is it says itself: build/mpi-env has the name
// ompi mean MPICH.
func headers() map[abi.Interface]string {
	found := map[abi.Interface]string{}
	for _, name := range []string{"ompi", "ompi-c", "mpich"} {
		out, err := exec.Command("pkg-config", "--cflags-only-I", name).Output()
		if err != nil {
			continue
		}
		for _, f := range strings.Fields(string(out)) {
			folder := strings.TrimPrefix(f, "-I")
			text, err := os.ReadFile(filepath.Join(folder, "mpi.h"))
			switch {
			case err != nil:
			case strings.Contains(string(text), "#define OPEN_MPI"):
				found[abi.OpenMPI] = folder
			case strings.Contains(string(text), "#define MPICH_VERSION"):
				found[abi.MPICH] = folder
			}
			standard := filepath.Join(folder, "standard_abi")
			if text, err := os.ReadFile(filepath.Join(standard, "mpi.h")); err == nil && strings.Contains(string(text), "MPI_ABI_VERSION") {
				found[abi.Standard] = standard
			}
		}
	}
	return found
}

// compiled runs a C program that prints one line for each fact: what mpi.h makes of it.
func compiled(t *testing.T, i abi.Interface, folder string) map[string]string {
	compiler := testkit.Compiler(t, "a program that shows what is in mpi.h")
	var c strings.Builder
	c.WriteString("#include <mpi.h>\n#if defined(OPEN_MPI) && defined(RANKPOOL_EXT)\n#include <mpi-ext.h>\n#endif\n" +
		"#include <stddef.h>\n#include <stdint.h>\n#include <stdio.h>\n#define TEXT(x) #x\n#define SHOW(x) TEXT(x)\nint main(void) {\n")
	for _, h := range handles {
		if i == abi.OpenMPI {
			fmt.Fprintf(&c, "puts(%q \"=\" SHOW(%s));\n", h.Name, h.Name)
		} else {
			fmt.Fprintf(&c, "printf(\"%s=%%lu\\n\", (unsigned long)(intptr_t)%s & 0xffffffff);\n", h.Name, h.Name)
		}
	}
	for _, n := range numbers {
		if macro := n.Name; strings.HasPrefix(macro, "MPIX_") {
			fmt.Fprintf(&c, "#ifdef %s\n", macro)
			fmt.Fprintf(&c, "printf(\"%s=%%d\\n\", %s);\n#endif\n", macro, macro)
			continue
		}
		fmt.Fprintf(&c, "printf(\"%s=%%d\\n\", %s);\n", n.Name, n.Name)
	}
	c.WriteString("return 0;\n}\n")
	dir := t.TempDir()
	source, program := filepath.Join(dir, "facts.c"), filepath.Join(dir, "facts")
	if err := os.WriteFile(source, []byte(c.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	args := []string{"-w", "-I" + folder, "-o", program, source}
	if _, err := os.Stat(filepath.Join(folder, "mpi-ext.h")); err == nil {
		args = append(args, "-DRANKPOOL_EXT")
	}
	if out, err := exec.Command(compiler[0], append(compiler[1:], args...)...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	out, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	facts := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		facts[name] = value
	}
	return facts
}

func TestTheTablesSayWhatTheInstalledHeadersSay(t *testing.T) {
	all := headers()
	if len(all) == 0 {
		t.Skip("there is nothing to compare with: pkg-config knows no mpi.h; install libopenmpi-dev, libmpich-dev and pkg-config (make deps)")
	}
	for i, folder := range all {
		t.Run(i.String(), func(t *testing.T) {
			facts := compiled(t, i, folder)
			for _, h := range handles {
				number, variable := h.In(i)
				got := facts[h.Name]
				if variable != "" {
					// ((MPI_Comm)(&(ompi_mpi_comm_world))): the name as a whole
					if !strings.Contains("|"+strings.NewReplacer(" ", "", "(", "|", ")", "|", "&", "|").Replace(got)+"|", "|"+variable+"|") {
						t.Errorf("%s is %s in %s, and %s here", h.Name, got, folder, variable)
					}
				} else if got != strconv.FormatUint(uint64(number), 10) {
					t.Errorf("%s is %s in %s, and %d here", h.Name, got, folder, number)
				}
			}
			for _, n := range numbers {
				got, there := facts[n.Name]
				if !there && strings.HasPrefix(n.Name, "MPIX_") {
					continue // Open MPI 4
				}
				if got != strconv.Itoa(n.In(i)) {
					t.Errorf("%s is %s in %s, and %d here", n.Name, got, folder, n.In(i))
				}
			}
			t.Logf("%s: %d facts", folder, len(facts))
		})
	}
}

func TestTheLengthOfAMessageIsReadOutOfAStatus(t *testing.T) {
	const long = 5<<32 + 7
	for _, c := range []struct {
		i         abi.Interface
		status    [4]uint64
		n         int64
		cancelled bool
		ok        bool
	}{
		{abi.MPICH, [4]uint64{7 | 10<<32}, long, false, true},
		{abi.MPICH, [4]uint64{7 | 1<<32}, 7, true, true},
		{abi.OpenMPI, [4]uint64{0, 0, long}, long, false, true},
		{abi.OpenMPI, [4]uint64{0, 1 << 32, 0}, 0, true, true},
		{abi.Standard, [4]uint64{}, 0, false, false},
	} {
		if n, cancelled, ok := abi.Length(c.i, &c.status); n != c.n || cancelled != c.cancelled || ok != c.ok {
			t.Errorf("%s: %d, %v, %v", c.i, n, cancelled, ok)
		}
	}
}
