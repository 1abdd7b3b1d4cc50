//go:build unix

package faults_test

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/testkit"
)

// available is how much memory the system can give, in bytes; 0 when it does not tell.
func available() (n uint64) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0
	}
	defer f.Close()
	for in := bufio.NewScanner(f); in.Scan(); {
		if strings.HasPrefix(in.Text(), "MemAvailable:") {
			_, _ = fmt.Sscanf(in.Text(), "MemAvailable: %d kB", &n)
		}
	}
	return n << 10
}

func TestLargeMessageOf3GiBTravelsThereAndBack(t *testing.T) {
	size, needed := uint64(3)<<30, uint64(10)<<30 // it stands in the master twice and in the worker once
	switch free := available(); {
	case testkit.Race:
		t.Skip("3 GiB take too long under the race detector; make large runs this test")
	case testing.Short():
		t.Skip("3 GiB take too long for -short")
	case uint64(int(size)) != size:
		t.Skip("3 GiB do not fit this machine's addresses")
	case free < needed:
		t.Skipf("%d MiB of memory are available, it takes %d", free>>20, needed>>20)
	}
	ex := processes.open(t, futures.WithMaxWorkers(1), futures.WithLiveness(patience)) // it answers nothing while it receives
	b := make([]byte, size)
	at := []uint64{0, 1<<31 - 1, 1 << 31, size / 2, size - 1}
	for i, k := range at {
		b[k] = byte(i + 1)
	}
	got, err := submit(t, ex, echo, b).Result(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if uint64(len(got)) != size {
		t.Fatalf("%d bytes came back", len(got))
	}
	for i, k := range at {
		if got[k] != byte(i+1) {
			t.Errorf("byte %d is %d", k, got[k])
		}
	}
	works(t, ex)
}
