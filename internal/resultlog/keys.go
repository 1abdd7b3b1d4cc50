package resultlog

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	mostEntries  = 8 << 20 // of the table, before they go to a run
	runsOfALevel = 4       // so many are merged to one
)

// keys is the index of an open log: which keys have a record, and which were submitted. What comes goes to a table in memory. When that is full it becomes the layer, which
// does not change any more, and another table takes what comes. A goroutine writes the layer to a run, in a file beside the log, and puts the run in its place. If that
// fails the layer stays, and is tried again when the table is full. Meanwhile the table grows. Another goroutine merges runs, so that there are few. So memory does not grow
// with the number of keys, but for 16 bytes for each block of a run. What a run says of a record is confirmed by the record, which has the whole key.
//
// Nothing is written while the lock is held. A block of a run is read while it is held, because the entry of a key must not change between the search and the count: so a file system
// that does not answer holds up the calls that are looked up in runs, and those behind them.
type keys struct {
	most  int // entries of the table before it becomes the layer
	begin func(n, number, level int) (*runWriter, error)
	full  func() bool // the log cannot be written: no room is taken from it
	warn  func(string)

	mu      sync.Mutex
	table   *index
	layer   *index // or nil
	spare   *index // what was the layer, empty, for its memory; or nil
	limit   int    // at how many entries of the table a run is tried
	runs    []*run // the youngest first
	made    int    // runs so far, for their names
	writing bool   // the layer, to a run
	merging bool
	written sync.Cond       // writing has ended
	told    map[string]bool // what was warned of
	free    map[Key]spans   // places below the count of a key that were given back
	news    []string        // what is to be
	buf     []byte          // a block

	given given // places that were given back a moment ago

	closed atomic.Bool
	work   sync.WaitGroup
}

func newKeys(path string, o Options, full func() bool) *keys {
	most := o.IndexEntries
	if most == 0 {
		most = mostEntries
	}
	x := &keys{most: most, limit: most, full: full, table: new(index), told: map[string]bool{}, buf: make([]byte, blockSize),
		warn: func(msg string) { o.Warn(fmt.Sprintf("journal %s: %s", path, msg)) }}
	x.written.L = &x.mu
	stop := func() bool { return x.closed.Load() || full() }
	x.begin = func(n, number, level int) (*runWriter, error) {
		return newRun(o.OpenFile, runName(path, number), n, level, stop)
	}
	return x
}

// record notes where the record of a key stands. A failure does not take the place of a result. It is for opening, before anything is submitted.
// It waits for the layer where that is still written when the table is full.
func (x *keys) record(k Key, off int64, failed bool) {
	x.mu.Lock()
	for x.table.n >= x.limit && x.writing {
		x.written.Wait()
	}
	x.room()
	x.table.record(k, off, failed)
	x.unlock()
}

// submit counts a call of a function with that key. It returns the key of its entry, where that stands, and its place. An error says that nobody knows: the call must run, and
// must not be recorded.
func (x *keys) submit(f *Func, k Key) (Key, int64, Place, error) {
	x.mu.Lock()
	defer x.unlock()
	x.takeBack()
	s, err := x.get(k)
	if err != nil {
		x.unread(err)
		return k, 0, Place{}, err
	}
	if !s.seen() {
		x.count(k, 1)
		return k, s.offset(), Place{k, 0}, nil
	}
	n, again := x.again(k)
	if !again {
		n = s.offset()
		x.count(k, n+1)
	}
	if n == 0 { // where its record stood is forgotten; it had none that counts, or its place would not have been given back
		return k, 0, Place{k, 0}, nil
	}
	o := f.occurrence(k, uint64(n))
	if s, err = x.get(o); err != nil {
		x.unread(err)
	}
	return o, s.offset(), Place{k, n}, err
}

// unread warns that a block cannot be read. The lock is held.
func (x *keys) unread(err error) {
	x.tell("read", fmt.Sprintf("its index cannot be read: %v: calls whose place in it is not known run, and are not recorded", err))
}

// get returns what is known of a key. The lock is held, as it is for what follows.
func (x *keys) get(k Key) (s slot, err error) {
	for _, t := range [...]*index{x.table, x.layer} {
		if t == nil || s.settled() {
			continue
		}
		if in := t.find(k); in != nil {
			s.word = newer(s.word, in.word)
		}
	}
	for _, r := range x.runs {
		if s.settled() {
			break
		}
		old, err := r.find(k, x.buf)
		if err != nil {
			return slot{}, err
		}
		s.word = newer(s.word, old)
	}
	return s, nil
}

// count notes how many calls with this key have a place. Where its record stands is not asked again.
func (x *keys) count(k Key, n int64) {
	s := x.table.find(k)
	if s == nil {
		x.room()
		s = x.table.put(k)
	}
	s.word = s.word>>tagShift<<tagShift | seenBit | uint64(n)
}

// room has a run made of the table if that is full, and of the layer first if there is one.
func (x *keys) room() {
	if x.table.n < x.limit || x.writing || x.closed.Load() {
		return
	}
	switch {
	case x.full():
		x.later()
		return
	case x.layer == nil:
		x.layer, x.table, x.spare = x.table, cmp.Or(x.spare, new(index)), nil
		x.limit = x.most
	default: // it could not be written
		x.later()
	}
	x.writing = true
	x.made++
	layer, number := x.layer, x.made
	x.work.Go(func() { x.write(layer, number) })
}

// write puts a run in the place of the layer. It is what runs on a goroutine of its own.
func (x *keys) write(layer *index, number int) {
	w, err := x.begin(layer.n, number, 0)
	var r *run
	if err == nil {
		r, err = w.end(layer.each(w.add))
	}
	x.mu.Lock()
	if err == nil {
		x.runs = slices.Insert(x.runs, 0, r)
		x.layer = nil
		x.tidy()
		x.unlock()
		var spare *index
		if layer.n <= x.most+x.most/8 { // else it had grown while there was no room, and its memory goes
			layer.clear()
			spare = layer
		}
		x.mu.Lock()
		x.spare = spare
		x.limit = x.most
	} else {
		x.later()
		if !errors.Is(err, errStopped) {
			x.tell("write", fmt.Sprintf("its index cannot be written beside it: %v: the job goes on with the index in memory, which takes 20 to 32 bytes for each new call. It is tried again now and then", err))
		}
	}
	x.writing = false
	x.written.Broadcast()
	x.room() // the other may be full by now
	x.unlock()
}

// later has a run tried when there are some entries more.
func (x *keys) later() { x.limit = x.table.n + x.most/8 + 1 }

// tidy has runs merged where a level has enough of them.
func (x *keys) tidy() {
	if x.merging || x.closed.Load() || x.full() {
		return
	}
	for to := 0; to < len(x.runs); { // those of a level stand together, the younger levels first
		from := to
		n := 0
		for ; to < len(x.runs) && x.runs[to].level == x.runs[from].level; to++ {
			n += x.runs[to].n
		}
		if to-from >= runsOfALevel {
			x.merging = true
			x.made++
			old, number := slices.Clone(x.runs[from:to]), x.made
			x.work.Go(func() { x.merge(old, n, number) })
			return
		}
	}
}

// merge puts a run in the place of some. It is what runs on a goroutine of its own.
func (x *keys) merge(old []*run, n, number int) {
	w, err := x.begin(n, number, old[0].level+1)
	var r *run
	if err == nil {
		r, err = w.end(merge(w, old))
	}
	x.mu.Lock()
	x.merging = false
	if err == nil {
		from := slices.Index(x.runs, old[0])
		x.runs = slices.Replace(x.runs, from, from+len(old), r)
		x.tidy()
	} else if !errors.Is(err, errStopped) { // it is tried again when there is another run
		x.tell("merge", fmt.Sprintf("parts of its index cannot be put together: %v: the job goes on, and it takes longer to find a call", err))
	}
	x.unlock()
	if err == nil {
		for _, r := range old {
			r.close()
		}
	}
}

// tell has a warning given once.
func (x *keys) tell(kind, msg string) {
	if !x.told[kind] && !x.closed.Load() {
		x.told[kind] = true
		x.news = append(x.news, msg)
	}
}

// unlock gives the lock back, and then the warnings.
func (x *keys) unlock() {
	news := x.news
	x.news = nil
	x.mu.Unlock()
	for _, msg := range news {
		x.warn(msg)
	}
}

// close ends the writing and merging and lets go of the files.
func (x *keys) close() {
	x.given.close()
	x.mu.Lock()
	x.closed.Store(true) // no work begins from here on, so that it can be waited for
	x.unlock()
	x.work.Wait()
	x.mu.Lock()
	runs := x.runs
	x.runs = nil
	x.unlock()
	for _, r := range runs {
		r.close()
	}
}

// runName returns a name of a run that no other file has, as good as surely.
func runName(path string, number int) string {
	return fmt.Sprintf("%s%s%08x-%d", path, runMark, rand.Uint32(), number)
}

const runMark = ".index-"

// isRun tells whether a file has the name of a run of a log.
func isRun(name, log string) bool {
	of, ok := strings.CutPrefix(name, log+runMark)
	if !ok || len(of) < 10 || of[8] != '-' {
		return false
	}
	return strings.Trim(of[:8], "0123456789abcdef") == "" && strings.Trim(of[9:], "0123456789") == ""
}

// removeRuns removes the runs that processes have left which had the log before: they were killed, or the system removes no file that is open.
func removeRuns(path string) {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.Type().IsRegular() && isRun(e.Name(), filepath.Base(path)) {
			_ = os.Remove(filepath.Join(filepath.Dir(path), e.Name()))
		}
	}
}

// size returns how many entries there are, some perhaps in several places, and how much memory they take.
func (x *keys) size() (entries, bytes int) {
	x.mu.Lock()
	defer x.unlock()
	for _, t := range []*index{x.table, x.layer, x.spare} {
		if t != nil {
			entries += t.n
			bytes += t.bytes()
		}
	}
	for _, r := range x.runs {
		entries += r.n
		bytes += len(r.fences)*16 + len(r.filter)*8
	}
	return entries, bytes
}

// close lets go of the file.
func (r *run) close() {
	_ = r.file.Close()
	if r.left != "" {
		_ = os.Remove(r.left)
	}
}
