//go:build mpi

package mpi_test

import (
	"context"
	"testing"

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
