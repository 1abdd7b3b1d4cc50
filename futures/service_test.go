package futures_test

import (
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/mpi"
)

func TestWithServiceIsRefusedWhereNothingConnects(t *testing.T) {
	for name, tt := range map[string]struct {
		make func() error
		want string
	}{
		"processes": {func() error {
			_, err := futures.NewProcessPoolExecutor(futures.WithService("x"))
			return err
		}, "only an executor made by NewMPIPoolExecutor connects"},
		"threads": {func() error {
			_, err := futures.NewThreadPoolExecutor(futures.WithService("x"))
			return err
		}, "only an executor made by NewMPIPoolExecutor connects"},
		"a program": {func() error {
			_, err := futures.NewMPIPoolExecutor(futures.WithService("x"), futures.WithExecutable("/bin/true"), futures.WithArgs("a"))
			return err
		}, "leave WithExecutable and WithArgs out"},
		"nonsense": {func() error {
			_, err := futures.NewMPIPoolExecutor(futures.WithService("a b"), futures.WithMaxWorkers(0))
			return err
		}, `WithService: "a b" is not the name of a service`},
	} {
		if err := tt.make(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestTheEnvironmentCanNameAService(t *testing.T) {
	if mpi.Built {
		t.Skip("built with MPI: package modes connects")
	}
	ex, err := futures.NewMPIPoolExecutor(futures.WithMaxWorkers(1))
	if err != nil {
		t.Fatal(err)
	}
	defer ex.Close()
	t.Setenv("RANKPOOL_SERVICE", "somewhere")
	if err := ex.Start(); err == nil || !strings.Contains(err.Error(), "the service somewhere cannot be used: mpi: MPI is not built into this program") {
		t.Errorf("Start: %v", err)
	}
	t.Setenv("RANKPOOL_SERVICE", "some where")
	if err := ex.Start(); err == nil || !strings.Contains(err.Error(), `RANKPOOL_SERVICE: "some where" is not the name`) {
		t.Errorf("Start: %v", err)
	}
	t.Setenv("RANKPOOL_SERVICE", "somewhere")
	t.Setenv("RANKPOOL_BACKEND", "threads") // says more
	if err := ex.Start(); err != nil || ex.Backend() != "threads" {
		t.Errorf("Start: %v, %s", err, ex.Backend())
	}
}
