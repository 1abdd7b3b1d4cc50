package mpi_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/testkit"
)

// palsInfo writes the file that PALS writes on each host, as the header for C of its library has it, for n processes on one host.
func palsInfo(t *testing.T, n int) string {
	const header, command, process, node = 136, 12, 12, 68
	b := new(bytes.Buffer)
	number := func(v int) { _ = binary.Write(b, binary.NativeEndian, []int32{int32(v), 0}) } // padded to the next size_t
	size := func(v int) { _ = binary.Write(b, binary.NativeEndian, uint64(v)) }
	at := header
	table := func(each, count int) {
		size(each)
		size(at)
		number(count)
		at += each * count
	}
	number(1)
	size(header + command + process*n + node)
	table(64, 0)
	table(command, 1)
	table(process, n)
	table(node, 1)
	table(44, 0)
	b.Write(make([]byte, at-b.Len()))
	path := filepath.Join(t.TempDir(), "apinfo")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Flux and PALS may offer PMIx alone, and PMI's count is missing then.
func TestTheOnlyProcessOfALauncherThatCountsByItselfIsAWholeWorld(t *testing.T) {
	for name, env := range map[string]func(rank, size int) []string{
		"Flux": func(rank, size int) []string {
			return []string{fmt.Sprint("FLUX_TASK_RANK=", rank), fmt.Sprint("FLUX_JOB_SIZE=", size), "PMIX_NAMESPACE=f1", fmt.Sprint("PMIX_RANK=", rank)}
		},
		"PALS": func(rank, size int) []string {
			return []string{"PALS_APID=0a1b", fmt.Sprint("PALS_RANKID=", rank), "PMIX_NAMESPACE=x", fmt.Sprint("PMIX_RANK=", rank), "PALS_APINFO=" + palsInfo(t, size)}
		},
		"PALS's aprun": func(rank, size int) []string {
			return []string{"ALPS_APP_ID=0a1b", fmt.Sprint("ALPS_APP_PE=", rank), fmt.Sprint("PALS_RANKID=", rank), "PALS_APINFO=" + palsInfo(t, size)}
		},
		"mpirun_rsh": func(rank, size int) []string {
			return []string{fmt.Sprint("MV2_COMM_WORLD_RANK=", rank), fmt.Sprint("MV2_COMM_WORLD_SIZE=", size)}
		},
		"jsrun": func(rank, size int) []string {
			return []string{fmt.Sprint("JSM_NAMESPACE_RANK=", rank), fmt.Sprint("JSM_NAMESPACE_SIZE=", size), "PMIX_NAMESPACE=1", fmt.Sprint("PMIX_RANK=", rank)}
		},
	} {
		for _, library := range []mpi.Family{mpi.OpenMPI, mpi.MPICH} {
			if err := mpi.CheckLauncher(testkit.Lookup(env(0, 1)...), library, 1); err != nil {
				t.Errorf("%s, a world of one: %v", name, err)
			}
			if err := mpi.CheckLauncher(testkit.Lookup(env(1, 3)...), library, 3); err != nil {
				t.Errorf("%s, a world of three: %v", name, err)
			}
			refusal := new(mpi.LauncherError)
			if err := mpi.CheckLauncher(testkit.Lookup(env(0, 3)...), library, 1); !errors.As(err, &refusal) || refusal.Launcher.Size != 3 {
				t.Errorf("%s, one of three in a world of its own: %v", name, err)
			}
		}
	}
}

func TestWhatIsNotTheFileOfPALSTellsNoCount(t *testing.T) {
	whole, err := os.ReadFile(palsInfo(t, 2))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file := func(name string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	many := bytes.Clone(whole)
	binary.NativeEndian.PutUint32(many[80:], 1000) // more than the file has room for
	none := bytes.Clone(whole)
	binary.NativeEndian.PutUint32(none, 0)
	for _, path := range []string{"", filepath.Join(dir, "missing"), dir, file("empty", nil), file("short", whole[:87]), file("many", many), file("no version", none),
		file("text", bytes.Repeat([]byte("what is this? "), 20))} {
		l := mpi.FindLauncher(testkit.Lookup("PALS_RANKID=0", "PMIX_RANK=0", "PALS_APINFO="+path))
		if !l.Strange() {
			t.Errorf("%q: %v", path, l)
		}
	}
}
