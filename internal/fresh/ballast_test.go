package fresh

import (
	"math"
	"runtime"
	"runtime/debug"
	"testing"
)

// heap is what the collector sees of the heap.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestTheHeapLooksLargerWhileLargeSegmentsCome(t *testing.T) {
	before := heap()
	Bytes(leastBallasted)
	if now := heap(); now > before+ballastSize/2 {
		t.Errorf("nobody said that segments come, and the heap went from %d to %d", before, now)
	}
	release, second := Steady(), Steady()
	Bytes(leastBallasted - 1)
	if now := heap(); now > before+ballastSize/2 {
		t.Errorf("a small segment came, and the heap went from %d to %d", before, now)
	}
	Bytes(leastBallasted)
	release()
	if now := heap(); now < before+ballastSize/4*3 {
		t.Errorf("a large segment came, and the heap went from %d to %d", before, now)
	}
	second()
	if now := heap(); now > before+ballastSize/2 {
		t.Errorf("no more segments come, and the heap has %d in place of %d", now, before)
	}
}

func TestTheHeapStaysAsItIsUnderALimitOfMemory(t *testing.T) {
	debug.SetMemoryLimit(8 << 30)
	defer debug.SetMemoryLimit(math.MaxInt64)
	defer Steady()()
	before := heap()
	Bytes(leastBallasted)
	if now := heap(); now > before+ballastSize/2 {
		t.Errorf("the heap went from %d to %d", before, now)
	}
}
