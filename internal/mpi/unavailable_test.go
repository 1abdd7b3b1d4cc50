//go:build !mpi

package mpi_test

import (
	"errors"
	"strings"
	"testing"

	empi "github.com/emer/empi/mpi"

	"github.com/rankpool/rankpool/internal/mpi"
)

func TestWithoutTheTagEveryCallSaysHowToBuildIt(t *testing.T) {
	ctx := t.Context()
	for name, call := range map[string]func() error{
		"Init":          func() error { _, err := mpi.Init(mpi.Options{}); return err },
		"Finalize":      func() error { return mpi.Finalize(ctx) },
		"World":         func() error { _, err := mpi.World(); return err },
		"Self":          func() error { _, err := mpi.Self(); return err },
		"Parent":        func() error { _, err := mpi.Parent(); return err },
		"UniverseSize":  func() error { _, _, err := mpi.UniverseSize(); return err },
		"AppNumber":     func() error { _, _, err := mpi.AppNumber(); return err },
		"ProcessorName": func() error { _, err := mpi.ProcessorName(); return err },
		"Abort":         func() error { return mpi.Abort(1) },
		"FromEmpi":      func() error { _, err := mpi.FromEmpi(nil); return err },
		"Empi":          func() error { _, err := mpi.Empi[empi.Comm](new(mpi.Comm)); return err },
		"Dup":           func() error { _, err := new(mpi.Comm).Dup(); return err },
		"Spawn":         func() error { _, err := new(mpi.Comm).Spawn(mpi.SpawnRequest{Command: "x", N: 1}); return err },
		"Send":          func() error { return new(mpi.Comm).Send(ctx, nil, 0, 0) },
		"Recv":          func() error { _, err := new(mpi.Comm).Recv(ctx, nil, 0, 0); return err },
		"Mprobe":        func() error { _, err := new(mpi.Comm).Mprobe(ctx, 0, 0); return err },
		"Barrier":       func() error { return new(mpi.Comm).Barrier() },
		"Allreduce":     func() error { return mpi.Allreduce(new(mpi.Comm), nil, []int{1}, mpi.Sum) },
		"NewPort":       func() error { _, err := mpi.NewPort(new(mpi.Comm), mpi.PortOptions{}); return err },
	} {
		err := call()
		if !errors.Is(err, mpi.ErrNotBuilt) || !strings.Contains(err.Error(), "go build -tags mpi") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
