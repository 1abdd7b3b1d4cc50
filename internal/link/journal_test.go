package link_test

import (
	"testing"

	"github.com/rankpool/rankpool/internal/link"
)

func TestAHaltIsSeenByTheNextMarkAndByNoOther(t *testing.T) {
	j := link.NewJournal(make([]byte, 1<<10))
	if j.Finished(6, 10) {
		t.Error("halted before anybody said so")
	}
	if n := j.Halt(); n != 6 {
		t.Errorf("task %d had finished, want 6", n)
	}
	if seq, n := j.Unsent(); seq != 6 || n != 10 {
		t.Errorf("after a halt the mark says %d, %d, want 6, 10", seq, n)
	}
	if finished, _, unsent := j.Read(); finished != 6 || len(unsent) != 10 {
		t.Errorf("after a halt the journal says %d, %d bytes, want 6, 10", finished, len(unsent))
	}
	if !j.Finished(7, 11) {
		t.Error("the mark after the halt does not say so")
	}
	if j.Finished(8, 12) {
		t.Error("a halt was seen twice")
	}
}
