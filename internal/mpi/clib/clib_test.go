//go:build linux && (amd64 || arm64)

package clib

import (
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"unsafe"
)

// libc is the one library that is in every process.
func libc(t testing.TB) Library {
	l, err := Open("libc.so.6")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func function(t testing.TB, name string) uintptr {
	f := libc(t).Symbol(name)
	if f == 0 {
		t.Fatal("no", name)
	}
	return f
}

// runners are both ways to call. The second is what other processors have.
var runners = map[string]func([]Call, int, *int32){"in one crossing": run, "one by one": runEach}

// heap has bytes be where they stay: the stack of a goroutine moves, and nobody tells C.
func heap(b []byte) []byte {
	inHeap = b
	return b
}

var inHeap []byte

// snprintf shows every argument where C finds it: six in registers, the others on the stack.
func TestAFunctionGetsItsArgumentsInTheirOrder(t *testing.T) {
	printf := function(t, "snprintf")
	format := []byte("%d %d %d %d %d %d %ld\x00")
	for name, run := range runners {
		buf, format := heap(make([]byte, 100)), heap(format)
		c := []Call{{Func: printf, Args: [MaxArgs]uintptr{
			uintptr(unsafe.Pointer(&buf[0])), 100, uintptr(unsafe.Pointer(&format[0])), 11, 12, 13, 14, 15, 16, ^uintptr(16),
		}}}
		run(c, 1, nil)
		runtime.KeepAlive(format)
		if got := Text(unsafe.Pointer(&buf[0])); got != "11 12 13 14 15 16 -17" || int(c[0].Result) != len(got) {
			t.Errorf("%s: %q, result %d", name, got, c[0].Result)
		}
	}
}

func TestDoReturnsTheIntOfAFunctionWithItsSign(t *testing.T) {
	compare := function(t, "strcmp")
	a, b := []byte("abc\x00"), []byte("abd\x00")
	if less := Do(compare, uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&b[0]))); less >= 0 {
		t.Errorf("abc - abd is %d", less)
	}
	if equal := Do(compare, uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&a[0]))); equal != 0 {
		t.Errorf("abc - abc is %d", equal)
	}
}

// counting is sem_post and sem_getvalue: a counter in C. sem_post returns 0, and what sem_getvalue finds is a flag.
func TestRunEndsAtAResultAtAFlagAtAStopAndAfterItsRounds(t *testing.T) {
	post, value, trywait, absolute := function(t, "sem_post"), function(t, "sem_getvalue"), function(t, "sem_trywait"), function(t, "abs")
	initialise := function(t, "sem_init")
	for name, run := range runners {
		type block struct {
			sem         [8]uint64
			flag, other int32
		}
		b := new(block)
		begin := func(n uintptr) {
			b.flag, b.other = 0, 0
			Do(initialise, uintptr(unsafe.Pointer(&b.sem)), 0, n)
		}
		count := func() int {
			b.flag = 0
			Do(value, uintptr(unsafe.Pointer(&b.sem)), uintptr(unsafe.Pointer(&b.flag)))
			return int(b.flag)
		}
		sem := uintptr(unsafe.Pointer(&b.sem))
		add, look := Call{Func: post, Args: [MaxArgs]uintptr{sem}}, Call{Func: value, Args: [MaxArgs]uintptr{sem, uintptr(unsafe.Pointer(&b.flag))}}

		begin(0)
		run([]Call{add, add}, 5, nil)
		if n := count(); n != 10 {
			t.Errorf("%s: 2 calls in 5 rounds are %d", name, n)
		}
		begin(0)
		look.Flag = &b.flag
		run([]Call{add, look, add}, 5, nil)
		if n := count(); n != 1 {
			t.Errorf("%s: went on for %d calls behind a flag", name, n-1)
		}
		begin(3)
		run([]Call{{Func: trywait, Args: [MaxArgs]uintptr{sem}}}, 9, nil) // the fourth fails
		if n := count(); n != 0 {
			t.Errorf("%s: %d of 3 are left", name, n)
		}
		begin(0)
		calls := []Call{add, {Func: absolute, Args: [MaxArgs]uintptr{^uintptr(6)}}, add}
		run(calls, 5, nil)
		if n := count(); n != 1 || calls[1].Result != 7 {
			t.Errorf("%s: %d calls, result %d", name, n, calls[1].Result)
		}
		begin(0)
		b.other = 1
		run([]Call{add, add}, 5, &b.other)
		if n := count(); n != 2 {
			t.Errorf("%s: %d calls, where it was to stop after a round of 2", name, n)
		}
		b.other = 0
		run([]Call{add, add}, 5, &b.other)
		if n := count(); n != 12 {
			t.Errorf("%s: %d calls, where nothing stopped 5 rounds of 2 more", name, n)
		}
	}
}

func TestALibrarysSymbolsAreForOthersOnlyWhenItIsShared(t *testing.T) {
	const name, symbol = "libm.so.6", "lgamma_r"
	if Process().Symbol(symbol) != 0 {
		t.Skip("this process shares the symbols of libm already, so what loading it does cannot be seen: it is linked, or LD_PRELOAD names it")
	}
	l, err := Open(name)
	if err != nil || l.Symbol(symbol) == 0 {
		t.Fatalf("%v", err)
	}
	if Process().Symbol(symbol) != 0 {
		t.Error("seen before it is shared")
	}
	if err := Share(name); err != nil || Process().Symbol(symbol) == 0 {
		t.Errorf("not seen (%v)", err)
	}
	if err := Share("libnothing.so.1"); err == nil {
		t.Error("what is not loaded was shared")
	}
}

// Goroutines move their stacks, the collector runs and threads change while C is called.
func TestCallsFromManyGoroutinesWithDeepStacksAreRight(t *testing.T) {
	compare := function(t, "memcmp")
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			r := rand.New(rand.NewPCG(uint64(g), 1))
			for i := range 300 {
				deep(t, compare, r, i%60)
			}
		})
	}
	done := make(chan struct{})
	go func() { all.Wait(); close(done) }()
	for {
		select {
		case <-done:
			return
		default:
			runtime.GC()
		}
	}
}

// deep compares two buffers by C at the bottom of a stack that has just grown.
func deep(t *testing.T, compare uintptr, r *rand.Rand, depth int) byte {
	var room [1 << 10]byte
	room[depth] = byte(r.IntN(256))
	if depth > 0 {
		return room[depth] + deep(t, compare, r, depth-1)
	}
	a := make([]byte, 1+r.IntN(1000))
	for i := range a {
		a[i] = byte(r.IntN(256))
	}
	b := slices.Clone(a)
	if d := Do(compare, uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&b[0])), uintptr(len(a))); d != 0 {
		t.Errorf("equal bytes compare as %d", d)
	}
	b[len(b)-1]++
	if d := Do(compare, uintptr(unsafe.Pointer(&a[0])), uintptr(unsafe.Pointer(&b[0])), uintptr(len(a))); d == 0 {
		t.Error("different bytes compare as equal")
	}
	return room[0]
}

func TestALibraryThatIsNotThereIsAnErrorWithTheSystemsWords(t *testing.T) {
	_, err := Open("/nowhere/libnothing.so.1")
	if err == nil || !strings.Contains(err.Error(), "/nowhere/libnothing.so.1") {
		t.Errorf("%v", err)
	}
	if _, there := Loaded("libnothing.so.1"); there {
		t.Error("it is there")
	}
	if _, there := Loaded("libc.so.6"); !there {
		t.Error("libc is not there")
	}
	if f := libc(t).Symbol("no_such_function"); f != 0 {
		t.Errorf("a function that nobody has is at %x", f)
	}
	if Process().Symbol("malloc") == 0 {
		t.Error("the process has no malloc")
	}
}

func BenchmarkACall(b *testing.B) {
	abs := function(b, "abs")
	for name, run := range runners {
		b.Run(name, func(b *testing.B) {
			c := []Call{{Func: abs}}
			for b.Loop() {
				run(c, 1, nil)
			}
		})
	}
	b.Run("Do", func(b *testing.B) {
		for b.Loop() {
			Do(abs, 0)
		}
	})
}
