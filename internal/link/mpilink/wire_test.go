package mpilink

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/mpi"
	"github.com/rankpool/rankpool/internal/testkit"
)

// posted is a receive that a wire has queued.
type posted struct {
	token uint64
	into  []byte
}

// unplugged is a wire without MPI, which may receive so many bytes.
func unplugged(limit uint64) (w *wire, open *[]posted) {
	open = new([]posted)
	return &wire{limit: limit, post: func(_, _ int, into []byte, token uint64) error {
		*open = append(*open, posted{token, into})
		return nil
	}}, open
}

// parts is the content of a head of the kind kindParts, or kindLength with stream and apart left out.
func parts(stream []byte, apart uint64, lengths ...uint64) []byte {
	b := stream
	for _, n := range lengths {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	b = binary.LittleEndian.AppendUint64(b, apart)
	return binary.LittleEndian.AppendUint32(b, uint32(len(lengths)))
}

func further(lengths ...uint64) []byte {
	var b []byte
	for _, n := range lengths {
		b = binary.LittleEndian.AppendUint64(b, n)
	}
	return binary.LittleEndian.AppendUint32(b, uint32(len(lengths)))
}

func TestALengthThatThisProcessCannotHaveIsAnErrorAndTakesNothing(t *testing.T) {
	const limit = 1 << 20
	type head struct {
		kind byte
		data []byte
	}
	for name, heads := range map[string][]head{
		"a segment":                   {{kindParts, parts(nil, 0, 1<<62)}},
		"the largest number":          {{kindParts, parts(nil, 0, math.MaxUint64)}},
		"a stream":                    {{kindParts, parts(nil, limit+1)}},
		"a stream of a negative size": {{kindParts, parts(nil, 1<<63)}},
		"a sum":                       {{kindParts, parts(nil, limit/2, limit/2, 1)}},
		"a sum that overflows":        {{kindParts, parts(nil, 0, limit, math.MaxUint64-limit+2)}},
		"in a head of lengths":        {{kindLength, further(1, limit)}},
		"over several heads":          {{kindLength, further(limit / 2)}, {kindLength, further(limit / 2)}, {kindParts, parts(nil, 1)}},
		"more numbers than there are": {{kindLength, binary.LittleEndian.AppendUint32(nil, math.MaxUint32)}},
	} {
		t.Run(name, func(t *testing.T) {
			w, open := unplugged(limit)
			var l lane
			var err error
			for _, h := range heads {
				if err = w.receive(&l, 1, h.kind, h.data); err != nil {
					break
				}
			}
			if !errors.Is(err, errHead) || len(*open) > 0 || !l.empty() {
				t.Errorf("%v; %d receives", err, len(*open))
			}
		})
	}
}

func TestWhatWasAnnouncedAndHasNotComeCountsForTheNext(t *testing.T) {
	const limit = 1 << 20
	w, open := unplugged(limit)
	var l lane
	if err := w.receive(&l, 1, kindParts, parts(nil, 0, limit/2, limit/2)); err != nil {
		t.Fatal(err)
	}
	if err := w.receive(&l, 1, kindParts, parts(nil, 0, 1)); !errors.Is(err, errHead) {
		t.Errorf("one byte more than there can be: %v", err)
	}
	l.lengths, l.sum = nil, 0
	for _, p := range *open {
		w.settle(&mpi.Event{Kind: mpi.Done, Token: p.token, Len: len(p.into)})
	}
	if err := w.receive(&l, 1, kindParts, parts(nil, 0, limit)); err != nil {
		t.Errorf("after all has come: %v", err)
	}
}

// resident is how much memory this process has at the moment.
func resident(t *testing.T) int {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("this system does not say: ", err)
	}
	n, err := strconv.Atoi(strings.Fields(string(b))[1])
	if err != nil {
		t.Fatal(err)
	}
	return n * os.Getpagesize()
}

func TestLargeMemoryThatIsAnnouncedIsTakenAsItComes(t *testing.T) {
	if testkit.Race || math.MaxInt == math.MaxInt32 {
		t.Skip("the race detector has memory of its own for all of it, and small machines have little")
	}
	w, open := unplugged(1 << 40)
	var l lane
	debug.FreeOSMemory() // what others have left must not go meanwhile
	before := resident(t)
	const announced, come = 2 << 30, 128 << 20
	if err := w.receive(&l, 1, kindParts, parts(nil, 0, announced)); err != nil {
		t.Fatal(err)
	}
	if now := resident(t); now > before+leastDoubted {
		t.Errorf("%d MiB were taken before a byte has come", (now-before)>>20)
	}
	for _, p := range (*open)[:come/largestPart] {
		for i := 0; i < len(p.into); i += os.Getpagesize() {
			p.into[i] = 1
		}
	}
	if now := resident(t); now < before+come/2 || now > before+2*come {
		t.Errorf("%d MiB were taken for %d", (now-before)>>20, come>>20)
	}
	runtime.KeepAlive(open)
}

func FuzzWire(f *testing.F) {
	script := func(steps ...any) (b []byte) { // kinds and data of heads, and numbers of operations that end
		for _, s := range steps {
			switch s := s.(type) {
			case int:
				b = append(b, 'e', byte(s))
			case []byte:
				b = append(b, s[0])
				b = append(binary.LittleEndian.AppendUint16(b, uint16(len(s)-1)), s[1:]...)
			}
		}
		return b
	}
	head := func(kind byte, data []byte) []byte { return append([]byte{kind}, data...) }
	f.Add(script(head(kindFrame, []byte("short"))))
	f.Add(script(head(kindParts, parts([]byte("stream"), 0, 8, 0, 100)), 0, 0))
	f.Add(script(head(kindLength, further(3, 4)), head(kindParts, parts(nil, 70000, 5)), head(kindFrame, nil), 1, 0, 2, 0))
	f.Add(script(head(kindParts, parts(nil, 1<<62)), head(kindLength, further(1<<63))))
	f.Add(script(head(kindParts, parts(nil, 0, 1)), head(kindParts, parts(nil, 0, 2)), 1, 0))
	f.Fuzz(func(t *testing.T, b []byte) {
		const limit = 1 << 16
		w, open := unplugged(limit)
		var l lane
		pushed, popped := 0, 0
		settle := func(i int, failed error) {
			p := (*open)[i]
			*open = append((*open)[:i:i], (*open)[i+1:]...)
			w.settle(&mpi.Event{Kind: mpi.Done, Token: p.token, Len: len(p.into), Err: failed})
		}
		take := func() {
			for in, ok := l.pop(); ok; in, ok = l.pop() {
				popped++
				link.PutBuffer(in.frame.Stream)
			}
		}
		for len(b) >= 3 {
			kind := b[0]
			if kind == 'e' {
				if n := len(*open); n > 0 {
					settle(int(b[1])%n, nil)
				}
				b = b[2:]
				take()
				continue
			}
			n := min(int(binary.LittleEndian.Uint16(b[1:])), len(b)-3)
			data := b[3 : 3+n]
			b = b[3+n:]
			if kind != kindFrame && kind != kindLength {
				kind = kindParts
			}
			if err := w.receive(&l, 1, kind, data); err != nil {
				if !errors.Is(err, errHead) {
					t.Fatal(err)
				}
				break // the rank is given up
			}
			if kind != kindLength {
				pushed++
			}
			sum := 0
			for _, p := range *open {
				sum += len(p.into)
			}
			if sum > limit || uint64(sum) > l.coming {
				t.Fatalf("%d bytes are awaited of %d that were announced", sum, l.coming)
			}
		}
		for len(*open) > 0 {
			settle(len(*open)-1, nil)
		}
		if take(); popped != pushed || !l.empty() || l.coming != 0 || w.parts() {
			t.Errorf("%d of %d frames, %d bytes to come, operations under way: %v", popped, pushed, l.coming, w.parts())
		}
	})
}

func TestALargeSegmentComesInPartsOfWhichEachIsTold(t *testing.T) {
	const size = 2*largestPart + 5
	w, open := unplugged(1 << 30)
	told := 0
	w.moved = func(peer int) {
		if told++; peer != 3 {
			t.Errorf("of rank %d", peer)
		}
	}
	var l lane
	if err := w.receive(&l, 3, kindParts, parts([]byte("stream"), 0, size)); err != nil {
		t.Fatal(err)
	}
	var lengths []int
	for i, p := range *open {
		if lengths = append(lengths, len(p.into)); told != i {
			t.Errorf("%d parts were told of after %d", told, i)
		}
		if in, ok := l.pop(); ok {
			t.Fatalf("the frame is there after %d parts: %v", i, in.err)
		}
		w.settle(&mpi.Event{Kind: mpi.Done, Peer: 3, Token: p.token, Len: len(p.into)})
	}
	if !slices.Equal(lengths, []int{largestPart, largestPart, 5}) || told != 3 {
		t.Errorf("%d, of which %d were told", lengths, told)
	}
	in, ok := l.pop()
	if !ok || len(in.frame.Segments) != 1 || len(in.frame.Segments[0]) != size || string(in.frame.Stream) != "stream" {
		t.Errorf("the frame: %v, %d segments", ok, len(in.frame.Segments))
	}
}

func FuzzWordsOfARank(f *testing.F) {
	f.Add(trail(self().append(nil), 7, kindSelf))
	f.Add(trail(appendWatched(nil, 3, self()), 0, kindProcessEnded))
	f.Add(trail(startArgs{1, 2, 3, true, 4, []int{5, 6}}.append(nil), 4, kindStart))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, _, ok := lastHead(b)
		if !ok {
			return
		}
		data := h.data
		if rank, p, ok := readWatched(data); ok && string(appendWatched(nil, rank, p)) != string(data) {
			t.Errorf("%q is not rank %d, %+v", data, rank, p)
		}
		if args, ok := readStart(data); ok && string(args.append(nil)) != string(data) {
			t.Errorf("%q is not %+v", data, args)
		}
	})
}

func TestAMessageThatTheLibraryLosesOrPutsBehindAnotherIsNoticed(t *testing.T) {
	heads := sequence{}
	for i := range uint32(3) {
		for peer := range 2 {
			if err := heads.check(peer, i+1); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, number := range map[string]uint32{"lost": 5, "twice": 3} {
		if err := (&sequence{map[int]uint32{7: 3}}).check(7, number); !errors.Is(err, errHead) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPartThatIsShorterThanAnnouncedIsNoticed(t *testing.T) {
	w, open := unplugged(1 << 20)
	var l lane
	if err := w.receive(&l, 1, kindParts, parts(nil, 100)); err != nil {
		t.Fatal(err)
	}
	w.settle(&mpi.Event{Kind: mpi.Done, Peer: 1, Token: (*open)[0].token, Len: 99})
	if in, ok := l.pop(); !ok || !errors.Is(in.err, errHead) {
		t.Errorf("%v, %v", in.err, ok)
	}
}
