//go:build mpi && cgo && linux && (amd64 || arm64)

package mpicomm_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unsafe"

	empi "github.com/emer/empi/mpi"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/clib"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
	"github.com/rankpool/rankpool/internal/testkit"
)

// noStart keeps a rank from initialising, for tests about Init itself.
const noStart = "RANKPOOL_TEST_NOSTART"

func TestMain(m *testing.M) {
	if !mpitest.InRank() || os.Getenv(noStart) != "" {
		mpi.Exit(testkit.Run(m)) // a test may have initialised MPI and finalized it
	}
	if _, err := mpi.Init(mpi.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	if code := m.Run(); code != 0 {
		_ = mpi.Abort(code)
		os.Exit(code)
	}
	ctx, cancel := context.WithTimeout(context.Background(), testkit.Limit)
	defer cancel()
	if err := mpi.Finalize(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	mpi.Exit(0)
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// linkedWith is the one library that empi has linked this program with.
func linkedWith(t *testing.T) string {
	t.Helper()
	libs := must(mpitest.Libraries(must(os.Executable())(t)))(t)
	if len(libs) != 1 {
		t.Fatalf("linked with %q", libs)
	}
	return libs[0]
}

// otherThan is the launcher that does not belong to the library.
func otherThan(library string) string {
	return map[string]string{"openmpi": "mpich", "mpich": "openmpi"}[mpitest.LauncherOf(library)]
}

func TestTheLibraryThatTheProgramIsLinkedWithIsTheOnlyOneAndTheOneThatIsCalled(t *testing.T) {
	if !mpitest.Under(t, 2) {
		return
	}
	library, chosen := linkedWith(t), mpi.Chosen()
	if path, why, _ := strings.Cut(chosen, " ("); !strings.HasPrefix(filepath.Base(path), library) || why != "in the process already)" {
		t.Errorf("linked with %s, and chosen was %s", library, chosen)
	}
	var inside []string
	for line := range strings.Lines(string(must(os.ReadFile("/proc/self/maps"))(t))) {
		fields := strings.Fields(line)
		base := filepath.Base(fields[len(fields)-1])
		if (strings.HasPrefix(base, "libmpi.so") || strings.HasPrefix(base, "libmpich.so")) && !slices.Contains(inside, base) {
			inside = append(inside, base)
		}
	}
	if len(inside) != 1 {
		t.Errorf("in the process are %q", inside)
	}
	if empi.WorldSize() != 2 || empi.WorldRank() != must(mpi.World())(t).Rank() {
		t.Errorf("for empi this is rank %d of %d", empi.WorldRank(), empi.WorldSize())
	}
}

// failedInit has a rank print why Init failed.
func failedInit(t *testing.T) {
	t.Helper()
	_, err := mpi.Init(mpi.Options{})
	if err == nil {
		t.Fatal("no error")
	}
	t.Logf("init failed: %v", err)
}

// ofBoth runs this test on two ranks of a launcher, whose Init must fail, and looks for words of the error.
func ofBoth(t *testing.T, launcher string, env []string, words ...string) {
	t.Helper()
	r, err := mpitest.Run(t.Context(), mpitest.Job{
		Ranks: 2, Launcher: launcher, Env: append(env, noStart+"=1"), Args: []string{"-test.v", "-test.run=^" + t.Name() + "$"},
	})
	saying := 2
	if r.EndedInInit() {
		saying = 1 // one rank of the job has said it before
	}
	if err != nil || r.EndedInInit() != (r.Code != 0) {
		t.Errorf("%v, status %d", err, r.Code)
	}
	for _, w := range words {
		if n := strings.Count(r.Output, w); n < saying {
			t.Errorf("%d ranks say %q", n, w)
		}
	}
	if strings.Contains(r.Output, "MPICH configure") {
		t.Error("the error has the library's whole text")
	}
	t.Log("\n" + r.Output)
}

func TestAProgramUnderTheOtherMPIsLauncherIsRefused(t *testing.T) {
	if mpitest.InRank() {
		failedInit(t)
		return
	}
	ofBoth(t, otherThan(linkedWith(t)), nil, "start it with", "which is linked with", "rankpool build --mpi")
}

func TestALibraryThatIsAskedForBesideTheLinkedOneIsRefused(t *testing.T) {
	if mpitest.InRank() {
		failedInit(t)
		return
	}
	library := linkedWith(t)
	ofBoth(t, mpitest.LauncherOf(library), []string{"RANKPOOL_MPI=" + otherThan(library)}, "in this process already cannot be used")
}

var words = []byte("a handler ran\x00")

// The program may call MPI_Init itself, before anything else here: whatever libc is to run at the end is registered before then.
func TestAProgramThatHasInitialisedMPIItselfEndsByWayOfLibcsHandlers(t *testing.T) {
	if mpitest.InRank() {
		all := clib.Process()
		if clib.Do(all.Symbol("__cxa_atexit"), all.Symbol("puts"), uintptr(unsafe.Pointer(&words[0])), 0) != 0 {
			t.Fatal("libc takes no handler")
		}
		if err := empi.InitThreadSafe(); err != nil {
			t.Fatal(err)
		}
		env, err := mpi.Init(mpi.Options{})
		if err != nil || !env.Adopted || env.Level != mpi.Multiple {
			t.Fatalf("%+v, %v", env, err)
		}
		if err := must(mpi.World())(t).Barrier(); err != nil {
			t.Error(err)
		}
		empi.Finalize()
		if t.Failed() || !mpi.Ended() {
			t.Fatal("not finalised")
		}
		mpi.Exit(3) // the race detector would end a status of 0 in its own way
	}
	r, err := mpitest.Run(t.Context(), mpitest.Job{
		Ranks: 1, Launcher: mpitest.LauncherOf(linkedWith(t)), Env: []string{noStart + "=1"}, Args: []string{"-test.v", "-test.run=^" + t.Name() + "$"},
	})
	if err != nil || r.Code != 3 || strings.Count(r.Output, "a handler ran") != 1 {
		t.Errorf("%v, status %d:\n%s", err, r.Code, r.Output)
	}
}
