package futures_test

import (
	"runtime"
	"testing"
	"weak"

	"github.com/rankpool/rankpool/futures"
)

func TestARangeOverAsCompletedKeepsNoFutureThatItHasYielded(t *testing.T) {
	const n = 20
	begin := func() (fs []*futures.Future[[]byte], refs []weak.Pointer[futures.Future[[]byte]]) {
		for range n {
			f := new(futures.Future[[]byte])
			fs, refs = append(fs, f), append(refs, weak.Make(f))
		}
		return fs, refs
	}
	fs, refs := begin()
	for _, f := range fs[:n/2] {
		set(t, f, make([]byte, 1<<16))
	}
	late := fs[n/2:]
	yielded := 0
	for f, err := range futures.AsCompleted(t.Context(), fs) {
		if err != nil {
			t.Fatal(err)
		}
		if yielded++; yielded == n/2 { // the others are done while the consumer is busy
			for i, f := range late {
				late[i] = nil
				set(t, f, make([]byte, 1<<16))
			}
		}
		clear(fs[:min(yielded, n/2)])
		at := yielded - 1
		if refs[at].Value() != f {
			t.Fatalf("future %d did not come as number %d", at, yielded)
		}
		if at == 0 {
			continue
		}
		runtime.GC()
		runtime.GC()
		for i, ref := range refs[:at] {
			if ref.Value() != nil {
				t.Fatalf("after %d of %d, future %d is still kept", yielded, n, i)
			}
		}
	}
	if yielded != n {
		t.Errorf("%d of %d were yielded", yielded, n)
	}
}
