//go:build mpi && linux && (amd64 || arm64)

package mpi_test

import (
	"context"
	"errors"
	"testing"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/testkit"
)

// within bounds a wait in a test.
func within(t testing.TB) context.Context { return testkit.Within(t) }

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// isRefused is the rank of a job that another MPI's launcher has started.
func isRefused(t *testing.T) {
	t.Helper()
	_, err := mpi.Init(mpi.Options{})
	var refused *mpi.LauncherError
	if !errors.As(err, &refused) {
		t.Fatalf("got %v", err)
	}
	t.Log(err)
}
