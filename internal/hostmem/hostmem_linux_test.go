package hostmem_test

import (
	"bytes"
	"errors"
	"os"
	"runtime"
	"testing"
	"unsafe"

	"github.com/rankpool/rankpool/internal/hostmem"
)

var pieces = [][]byte{[]byte("seven b"), bytes.Repeat([]byte{1, 2, 3}, 100_000), {}, {9}, make([]byte, 4096)}

func filled(t *testing.T) *hostmem.Memory {
	t.Helper()
	m, err := hostmem.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	for _, p := range pieces {
		if err := m.Append(p); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

func sealed(t *testing.T) *hostmem.Memory {
	t.Helper()
	m := filled(t)
	if err := m.Seal(); err != nil {
		t.Fatal(err)
	}
	return m
}

func same(t *testing.T, what string, got [][]byte, err error) {
	t.Helper()
	if err != nil || len(got) != len(pieces) {
		t.Fatalf("%s: %d pieces, %v", what, len(got), err)
	}
	for i, p := range got {
		if !bytes.Equal(p, pieces[i]) {
			t.Errorf("%s: piece %d is another one", what, i)
		}
		if len(p) > 1024 && uintptr(unsafe.Pointer(&p[0]))%8 != 0 {
			t.Errorf("%s: piece %d is not aligned", what, i)
		}
	}
}

func TestThePiecesAreReadCopiedAndMappedAsTheyWereAppended(t *testing.T) {
	m := filled(t)
	got, err := m.Pieces()
	same(t, "before the seal", got, err)
	if err := m.Seal(); err != nil {
		t.Fatal(err)
	}
	got, err = m.Pieces()
	same(t, "after it", got, err)
	got, err = hostmem.Read(m.File())
	same(t, "read", got, err)
	got, err = hostmem.Map(m.File())
	same(t, "mapped", got, err)
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	runtime.GC()
	same(t, "mapped, and the file is closed", got, nil)
}

func TestWhatIsWrittenIntoAMappingIsSeenInNoOther(t *testing.T) {
	m := sealed(t)
	one, err := hostmem.Map(m.File())
	if err != nil {
		t.Fatal(err)
	}
	other, err := hostmem.Map(m.File())
	if err != nil {
		t.Fatal(err)
	}
	for i := range one[1] {
		one[1][i] = 77
	}
	same(t, "another mapping", other, nil)
	got, err := hostmem.Read(m.File())
	same(t, "the file", got, err)
}

func TestASealedFileCannotBeChanged(t *testing.T) {
	m := sealed(t)
	if _, err := m.File().WriteAt([]byte{1}, 0); err == nil {
		t.Error("it was written to")
	}
	if err := m.File().Truncate(0); err == nil {
		t.Error("it was cut")
	}
	if m.Append([]byte{1}) == nil {
		t.Error("something was appended")
	}
}

func TestADamagedFileIsRefused(t *testing.T) {
	whole, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	m := sealed(t)
	info, err := m.File().Stat()
	if err != nil {
		t.Fatal(err)
	}
	b := make([]byte, info.Size())
	if _, err := m.File().ReadAt(b, 0); err != nil {
		t.Fatal(err)
	}
	refused := func(what string, b []byte) {
		t.Helper()
		if err := errors.Join(whole.Truncate(0), os.WriteFile(whole.Name(), b, 0o600)); err != nil {
			t.Fatal(err)
		}
		if got, err := hostmem.Read(whole); !errors.Is(err, hostmem.ErrDamaged) {
			t.Errorf("%s: %d pieces, %v", what, len(got), err)
		}
		if got, err := hostmem.Map(whole); !errors.Is(err, hostmem.ErrDamaged) {
			t.Errorf("%s, mapped: %d pieces, %v", what, len(got), err)
		}
	}
	refused("empty", nil)
	refused("cut", b[:len(b)-1])
	for i := 1; i <= 32; i++ {
		damaged := bytes.Clone(b)
		damaged[len(b)-i] ^= 0x80
		refused("a flipped bit at the end", damaged)
	}
}
