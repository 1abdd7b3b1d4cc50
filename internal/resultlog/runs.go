package resultlog

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"math/bits"
	"math/rand/v2"
	"os"
	"slices"

	"github.com/zeebo/xxh3"
)

// A run is a file of entries in the order of their keys, which never changes. It is of this process alone: its name is removed as soon as it is
// open, and what is in it is made anew from the log by the next process.
//
// A run is blocks of 4 KiB: the checksum of the rest of the block, 8 bytes, the number of entries, 8 bytes, and entries of 16 bytes. The seed of the checksums is the
// run's own, so that a block of another file is none of it. In memory it has the first key of
// each block, and unless it is very large a filter that tells of most keys that they are not there.
type run struct {
	file   File
	seed   uint64 // of the checksum of its first block; that of the n-th one after it is n more
	left   string // its name, where it could not be removed
	level  int    // how often its entries have been merged
	n      int    // entries
	fences []fence
	filter []uint64
}

// fence is the first key of a block.
type fence struct {
	hi  uint64
	tag uint16
}

const (
	blockSize  = 4096
	blockHead  = 16
	blockCount = (blockSize - blockHead) / 16
	runBuffer  = 64 * blockSize
	mostFilter = 16 << 20 // bytes: 8 bits for each of 16 million entries, fewer for each of more
	fewestBits = 2        // for an entry: with fewer most keys would pass
)

var (
	errRunDamaged = errors.New("a block of the index is damaged")
	errStopped    = errors.New("it was not to go on")
)

// order compares the keys of entries, as far as the index has them.
func order(hi uint64, tag uint16, s slot) int {
	return cmp.Or(cmp.Compare(hi, s.hi), cmp.Compare(tag, s.tag()))
}

func (s slot) tag() uint16 { return uint16(s.word >> tagShift) }

// newFilter returns a filter for n keys, or none if that would exclude little.
func newFilter(n int) []uint64 {
	if n > mostFilter*8/fewestBits {
		return nil
	}
	return make([]uint64, max(1, min(n, mostFilter)/8))
}

// places are which bits of the filter are a key's. Keys are hashes already.
func (r *run) places(hi uint64) (at [3]uint64) {
	m := uint64(len(r.filter)) * 64
	for i, odd := range [...]uint64{0x9e3779b97f4a7c15, 0xc2b2ae3d27d4eb4f, 0xff51afd7ed558ccd} {
		x := hi * odd
		at[i], _ = bits.Mul64(x^x>>32, m)
	}
	return at
}

// may tells whether a key can be there.
func (r *run) may(hi uint64) bool {
	if r.filter == nil {
		return true
	}
	for _, at := range r.places(hi) {
		if r.filter[at/64]&(1<<(at%64)) == 0 {
			return false
		}
	}
	return true
}

// find returns the word of a key, 0 if it is not there. The buffer has room for a block.
func (r *run) find(k Key, buf []byte) (word uint64, err error) {
	if !r.may(k.Hi) {
		return 0, nil
	}
	tag := uint16(k.Lo >> tagShift)
	block, there := slices.BinarySearchFunc(r.fences, k, func(f fence, k Key) int {
		return cmp.Or(cmp.Compare(f.hi, k.Hi), cmp.Compare(f.tag, tag))
	})
	if !there {
		block--
	}
	if block < 0 {
		return 0, nil
	}
	n, err := r.read(block, buf)
	if err != nil {
		return 0, err
	}
	for from, to := 0, n; from < to; {
		at := (from + to) / 2
		s := entryOf(buf, at)
		switch c := order(k.Hi, tag, s); {
		case c == 0:
			return s.word, nil
		case c < 0:
			to = at
		default:
			from = at + 1
		}
	}
	return 0, nil
}

// read reads a block, a second time if need be, and returns how many entries it has.
func (r *run) read(block int, buf []byte) (n int, err error) {
	for range 2 {
		if _, err = r.file.ReadAt(buf[:blockSize], int64(block)*blockSize); err == nil {
			n, err = r.checkBlock(buf, block)
		}
		if err == nil {
			break
		}
	}
	return n, err
}

// checkBlock returns how many entries a block has.
func (r *run) checkBlock(b []byte, block int) (int, error) {
	n := binary.LittleEndian.Uint64(b[8:])
	if binary.LittleEndian.Uint64(b) != xxh3.HashSeed(b[8:blockSize], r.seed+uint64(block)) || n > blockCount {
		return 0, errRunDamaged
	}
	return int(n), nil
}

func entryOf(b []byte, i int) slot {
	b = b[blockHead+16*i:]
	return slot{binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])}
}

// runWriter writes a run, entry after entry.
type runWriter struct {
	r    *run
	stop func() bool // it is not to go on
	buf  []byte      // whole blocks, and one that is begun
	in   int         // entries in that
	at   int64
}

// newRun begins a run of at most n entries. It ends early, with an error, when stop says so.
func newRun(open func(string, int, os.FileMode) (File, error), name string, n, level int, stop func() bool) (*runWriter, error) {
	f, err := open(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	r := &run{file: f, seed: rand.Uint64(), level: level, filter: newFilter(n)}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) { // some systems do not while it is open
		r.left = name
	}
	return &runWriter{r: r, stop: stop}, nil
}

func (w *runWriter) add(s slot) error {
	if w.in == 0 {
		if w.stop() {
			return errStopped
		}
		w.buf = append(w.buf, make([]byte, blockSize)...)
		w.r.fences = append(w.r.fences, fence{s.hi, s.tag()})
	}
	b := w.buf[len(w.buf)-blockSize+blockHead+16*w.in:]
	binary.LittleEndian.PutUint64(b, s.hi)
	binary.LittleEndian.PutUint64(b[8:], s.word)
	if w.r.filter != nil {
		for _, at := range w.r.places(s.hi) {
			w.r.filter[at/64] |= 1 << (at % 64)
		}
	}
	w.r.n++
	if w.in++; w.in == blockCount {
		w.seal()
		if len(w.buf) >= runBuffer {
			return w.flush()
		}
	}
	return nil
}

// seal ends the block that is begun.
func (w *runWriter) seal() {
	if w.in == 0 {
		return
	}
	b := w.buf[len(w.buf)-blockSize:]
	binary.LittleEndian.PutUint64(b[8:], uint64(w.in))
	binary.LittleEndian.PutUint64(b, xxh3.HashSeed(b[8:], w.r.seed+uint64(len(w.r.fences)-1)))
	w.in = 0
}

func (w *runWriter) flush() error {
	n, err := w.r.file.WriteAt(w.buf, w.at)
	if err == nil && n < len(w.buf) {
		err = errors.New("a write has ended early")
	}
	w.at += int64(n)
	w.buf = w.buf[:0]
	return err
}

// end returns the run, or drops it after an error. Some file systems say only when they put a file to the disk that there is no room for it, or lose a part of it then. So the file
// is put there, and its ends are read.
func (w *runWriter) end(err error) (*run, error) {
	if err == nil {
		w.seal()
		err = w.flush()
	}
	if err == nil {
		err = w.r.file.Sync()
	}
	if err == nil {
		err = w.r.check()
	}
	if err != nil {
		w.r.close()
		return nil, err
	}
	return w.r, nil
}

// check reads the first block and the last.
func (r *run) check() error {
	buf := make([]byte, blockSize)
	for _, block := range []int{0, len(r.fences) - 1} {
		if _, err := r.read(block, buf); err != nil {
			return fmt.Errorf("it cannot be read back: %w", err)
		}
	}
	return nil
}

// runReader reads the entries of a run one after another.
type runReader struct {
	r     *run
	block int // the next one to read
	buf   []byte
	at    int // the block in buf
	in, n int // the next entry of it, and how many it has
	head  slot
}

// next makes the next entry the head. It is false at the end.
func (it *runReader) next() (bool, error) {
	for it.in == it.n {
		if it.at++; it.at*blockSize >= len(it.buf) {
			left := len(it.r.fences) - it.block
			if left == 0 {
				return false, nil
			}
			it.buf = append(it.buf[:0], make([]byte, min(left, runBuffer/blockSize)*blockSize)...) // the product of all may not fit into 32 bits
			if n, err := it.r.file.ReadAt(it.buf, int64(it.block)*blockSize); n < len(it.buf) {
				return false, fmt.Errorf("the index cannot be read: %w", err)
			}
			it.at = 0
		}
		n, err := it.r.checkBlock(it.buf[it.at*blockSize:], it.block)
		if err != nil {
			return false, err
		}
		it.block++
		it.in, it.n = 0, n
	}
	it.head = entryOf(it.buf[it.at*blockSize:], it.in)
	it.in++
	return true, nil
}

// newer returns what holds of two entries of a key, each of which may be 0, for none.
func newer(young, old uint64) uint64 {
	if young == 0 {
		return old
	}
	if s := (slot{word: young}); s.failed() && !s.seen() {
		if o := (slot{word: old}); !o.failed() && o.offset() != 0 {
			return old // a failure does not take the place of a result
		}
	}
	return young
}

// merge writes the entries of runs, the youngest first, to another one.
func merge(to *runWriter, from []*run) error {
	var its []*runReader
	for _, r := range from {
		it := &runReader{r: r}
		ok, err := it.next()
		if err != nil {
			return err
		}
		if ok {
			its = append(its, it)
		}
	}
	for len(its) > 0 {
		first := its[0].head
		for _, it := range its[1:] {
			if order(it.head.hi, it.head.tag(), first) < 0 {
				first = it.head
			}
		}
		word := uint64(0)
		for i := 0; i < len(its); i++ {
			it := its[i]
			if order(first.hi, first.tag(), it.head) != 0 {
				continue
			}
			word = newer(word, it.head.word)
			ok, err := it.next()
			if err != nil {
				return err
			}
			if !ok {
				its = slices.Delete(its, i, i+1)
				i--
			}
		}
		if err := to.add(slot{first.hi, word}); err != nil {
			return err
		}
	}
	return nil
}
