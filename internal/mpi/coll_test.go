//go:build mpi && linux && (amd64 || arm64)

package mpi_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/mpi/mpitest"
)

type celsius float32

func TestCollectivesMoveAndReduceEveryKindOfNumber(t *testing.T) {
	if mpitest.Under(t, 3) {
		collectives(t)
	}
}

func TestCollectivesWorkWhereTheLibrarySerialises(t *testing.T) {
	if !mpitest.InRank() {
		t.Setenv(wantLevel, "serialized")
	}
	if !mpitest.Under(t, 3) {
		return
	}
	collectives(t)
	// The library may give more than was asked for; then this was the ordinary case.
	t.Log("level given:", environment.Level)
}

func collectives(t *testing.T) {
	w := must(mpi.World())(t)
	me := w.Rank()
	if d := cmp.Diff([]int{0, 1, 2}, must(w.RanksIn(w))(t)); d != "" {
		t.Error(d)
	}
	reduced(t, w, []int{me, 10 * me}, mpi.Sum, []int{3, 30})
	reduced(t, w, []int8{int8(me), -1}, mpi.Max, []int8{2, -1})
	reduced(t, w, []uint16{1 << me}, mpi.BitOr, []uint16{7})
	reduced(t, w, []uint64{uint64(me) + 1}, mpi.Prod, []uint64{6})
	reduced(t, w, []celsius{celsius(me) - 0.5}, mpi.Min, []celsius{-0.5})
	reduced(t, w, []float64{float64(me) / 2}, mpi.Sum, []float64{1.5})
	reduced(t, w, []complex128{complex(0, float64(me))}, mpi.Sum, []complex128{3i})
	reduced(t, w, []complex64{1i}, mpi.Sum, []complex64{3i})
	reduced(t, w, []int32{int32(me)}, mpi.LogicalOr, []int32{1})
	reduced(t, w, []float32{}, mpi.Sum, []float32{})
	if err := mpi.Allreduce(w, []int{1}, make([]int, 2), mpi.Sum); !errors.Is(err, mpi.ClassCount) {
		t.Errorf("different lengths: %v", err)
	}
	b := []float64{float64(me), float64(me)}
	if err := mpi.Bcast(w, b, 2); err != nil || b[1] != 2 {
		t.Errorf("broadcast: %v, %v", b, err)
	}
	rows := make([]int32, 6)
	if err := mpi.Allgather(w, []int32{int32(me), int32(-me)}, rows); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff([]int32{0, 0, 1, -1, 2, -2}, rows); d != "" {
		t.Error(d)
	}
	var all []byte
	if me == 1 {
		all = []byte("abcdef")
	}
	part := make([]byte, 2)
	if err := mpi.Scatter(w, all, part, 1); err != nil || string(part) != "abcdef"[2*me:2*me+2] {
		t.Errorf("scatter: %q, %v", part, err)
	}
	clear(all)
	if err := mpi.Gather(w, part, all, 1); err != nil || me == 1 && string(all) != "abcdef" {
		t.Errorf("gather: %q, %v", all, err)
	}
	got, err := mpi.GatherBytes(w, bytes.Repeat([]byte{'x'}, me), 0)
	if err != nil || me == 0 && string(bytes.Join(got, []byte("|"))) != "|x|xx" || me != 0 && got != nil {
		t.Errorf("gathered %q, %v", got, err)
	}
	r := must(w.Ibarrier())(t)
	if _, err := r.Wait(within(t)); err != nil {
		t.Error(err)
	}
	word := []byte("....")
	if me == 0 {
		word = []byte("word")
	}
	if _, err := must(w.Ibcast(word, 0))(t).Wait(within(t)); err != nil || string(word) != "word" {
		t.Errorf("%q, %v", word, err)
	}
	if err := w.Barrier(); err != nil {
		t.Error(err)
	}
}

func reduced[T mpi.Number](t *testing.T, w *mpi.Comm, mine []T, op mpi.Op, want []T) {
	t.Helper()
	got := make([]T, len(mine))
	if err := mpi.Allreduce(w, mine, got, op); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("allreduce of %T: %s", mine, d)
	}
	clear(got)
	if err := mpi.Reduce(w, mine, got, op, 1); err != nil {
		t.Error(err)
	}
	if d := cmp.Diff(want, got); d != "" && w.Rank() == 1 {
		t.Errorf("reduce of %T: %s", mine, d)
	}
	if err := mpi.Allreduce(w, nil, mine, op); err != nil || !cmp.Equal(want, mine) {
		t.Errorf("allreduce in place: %v, %v", mine, err)
	}
}
