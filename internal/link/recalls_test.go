package link_test

import (
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/rankpool/rankpool/internal/link"
)

func TestATaskIsRecalledIfItsNumberWasNamedAndNoOtherIs(t *testing.T) {
	shared := make([]uint64, link.RecallSize/8)
	mem := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(shared))), link.RecallSize)
	master, worker := link.NewJournal(make([]byte, 1<<10)), link.NewJournal(make([]byte, 1<<10))
	master.ShareRecalls(mem)
	worker.ShareRecalls(mem)
	named := map[uint64]bool{}
	base := uint64(1)
	for range 3000 {
		first, n := base+rand.Uint64N(200), rand.Uint64N(40)
		master.Recall(first, n)
		for seq := first; seq < first+n; seq++ {
			named[seq] = true
		}
		for seq := base; seq < base+300; seq++ {
			if got := worker.Recalled(seq); got != named[seq] {
				t.Fatalf("number %d is recalled: %v, want %v", seq, got, named[seq])
			}
		}
		base += rand.Uint64N(100) // far beyond one round of the table
	}
	worker.Reset()
	for seq := uint64(1); seq < base+300; seq++ {
		if master.Recalled(seq) {
			t.Fatalf("the next worker finds number %d recalled", seq)
		}
	}
}

// 4096 units of a frame and as many of the one behind it are all that can wait at a worker.
func TestAsManyTasksCanBeRecalledAsAWorkerIsSent(t *testing.T) {
	j := link.NewJournal(make([]byte, 1<<10))
	const n = 8192
	first := uint64(1<<40 - 100)
	j.Recall(first, n)
	for seq := first - 1; seq <= first+n; seq++ {
		if got, want := j.Recalled(seq), seq >= first && seq < first+n; got != want {
			t.Fatalf("number %d is recalled: %v, want %v", seq, got, want)
		}
	}
}
