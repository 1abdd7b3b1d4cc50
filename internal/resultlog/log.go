package resultlog

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/zeebo/xxh3"
)

// File is what a log needs of a file.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
	Stat() (os.FileInfo, error)
}

// Options are choices for Open.
type Options struct {
	// Warn is told of what the program goes on after. It must not block. Nil: nobody is.
	Warn func(msg string)

	// SkipFailures is for whoever asks for it: what has failed is not to run again.
	SkipFailures bool

	// Lease is how long claims hold; 0 means Lease.
	Lease time.Duration

	// IndexEntries is how many entries of the index are in memory before they go to a file; 0 means 8 million.
	// While the file is written there may be as many again, and what comes meanwhile.
	IndexEntries int

	// OpenFile opens a file; nil means os.OpenFile.
	OpenFile func(name string, flag int, perm os.FileMode) (File, error)
}

// Log is an open log, which this process writes. All methods may be called together.
type Log struct {
	path  string
	skip  bool
	warn  func(string)
	file  File
	seed  uint64
	claim *claim

	keys *keys

	mu        sync.Mutex
	functions map[Key]*Func
	byNumber  map[uint32]*Func
	epochs    map[string]uint64
	earlier   map[string]*earlier // by name: what the file had when it was opened
	next      uint32              // number of the next function

	out    writer
	once   sync.Once
	closed func()             // called by Close
	stop   context.CancelFunc // of the signs of life
	beat   sync.WaitGroup
}

// Func is a function of a log.
type Func struct {
	Function
	number uint32
	id     Key
	held   int // entries that the file had when it was opened
}

// ErrClosed is the error of what is done with a log after Close.
var ErrClosed = errors.New("the journal is closed")

// Open opens a log, or makes one, and claims it for this process. It reads all of it but large bodies, and waits for up to a lease where nobody knows
// whether the last writer lives.
func Open(path string, o Options) (*Log, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if o.Warn == nil {
		o.Warn = func(string) {}
	}
	if o.Lease == 0 {
		o.Lease = Lease
	}
	if o.OpenFile == nil {
		o.OpenFile = openFile
	}
	c, err := takeClaim(path, o.Lease, func(h holder, ending bool) { o.Warn(fmt.Sprintf("journal %s: %s", path, h.awaited(ending, o.Lease))) })
	if err != nil {
		return nil, err
	}
	l := &Log{path: path, skip: o.SkipFailures, warn: o.Warn, claim: c, functions: map[Key]*Func{}, byNumber: map[uint32]*Func{}, epochs: map[string]uint64{}}
	removeRuns(path)
	l.keys = newKeys(path, o, l.out.full)
	if err := l.load(o.OpenFile); err != nil {
		if l.file != nil {
			_ = l.file.Close()
		}
		l.keys.close()
		c.giveBack()
		return nil, err
	}
	var ctx context.Context
	ctx, l.stop = context.WithCancel(context.Background())
	l.beat.Go(func() { l.live(ctx, o.Lease) })
	l.out.start(l)
	return l, nil
}

func openFile(name string, flag int, perm os.FileMode) (File, error) {
	f, err := os.OpenFile(name, flag, perm)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// load opens the file and reads what is in it.
func (l *Log) load(open func(string, int, os.FileMode) (File, error)) error {
	f, err := open(l.path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return fmt.Errorf("journal %s cannot be written: %w", l.path, err)
	}
	l.file = f
	st, err := f.Stat()
	if err != nil {
		return err
	}
	if st.IsDir() || !st.Mode().IsRegular() {
		return fmt.Errorf("journal %s: it is no regular file", l.path)
	}
	size := st.Size()
	if size > 0 && size < headSize && beginning(f, size) { // cut off at its birth
		size = 0
	}
	if size == 0 {
		l.seed = rand.Uint64()
		l.out.end = headSize
		if _, err := f.WriteAt(appendFileHead(nil, l.seed), 0); err != nil {
			return fmt.Errorf("journal %s cannot be written: %w", l.path, err)
		}
		if err := f.Sync(); err != nil {
			return fmt.Errorf("journal %s cannot be written: %w", l.path, err)
		}
		syncFolder(l.path)
		return nil
	}
	if l.seed, err = readFileHead(f); err != nil {
		return fmt.Errorf("journal %s: %w", l.path, err)
	}
	loading := loader{l: l, entries: map[uint32]*int{}}
	s := scanner{r: f, seed: l.seed, size: size}
	end, err := s.scan(headSize, &loading)
	if err != nil {
		return fmt.Errorf("journal %s cannot be read: %w", l.path, err)
	}
	if loading.damages > 0 {
		l.warn(fmt.Sprintf("journal %s: %d bytes in %d places are damaged: what was recorded there runs again; the rest is whole (rankpool journal --verify says more)",
			l.path, loading.lost, loading.damages))
	}
	if end < size {
		l.warn(fmt.Sprintf("journal %s: the last %d bytes were cut off, or damaged: what was recorded there runs again", l.path, size-end))
		if err := f.Truncate(end); err != nil {
			return fmt.Errorf("journal %s cannot be written: %w", l.path, err)
		}
	}
	l.out.end = end
	l.earlier = loading.earlier()
	return nil
}

// beginning tells whether the bytes of a file are the beginning of a head.
func beginning(f File, size int64) bool {
	b := make([]byte, size)
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return false
	}
	n := min(len(b), len(magic))
	return string(b[:n]) == magic[:n]
}

// loader takes in what is in a file.
type loader struct {
	l       *Log
	damages int
	lost    int64
	entries map[uint32]*int // of each function, by its number
	last    *int            // of the function with the number of, which the next record is mostly of too
	of      uint32
}

func (d *loader) damaged(a Damage) {
	d.damages++
	d.lost += a.To - a.From
}

func (d *loader) record(off int64, r record, body []byte) {
	l := d.l
	l.next = max(l.next, r.fn)
	switch r.kind {
	case kindResult, kindFailure:
		l.keys.record(r.key, off, r.kind == kindFailure)
		d.count(r.fn)
	case kindFunction:
		if f, err := parseFunction(body); err == nil {
			fn := &Func{Function: f, number: r.fn, id: identify(f)}
			l.functions[fn.id], l.byNumber[r.fn] = fn, fn
		}
	case kindForget:
		l.epochs[string(body)]++
	}
}

// identify returns what keys of the function begin with.
func identify(f Function) Key { return xxh3.Hash128(f.body()) }

// Function returns the function, made known to the file if it is not.
func (l *Log) Function(f Function) (*Func, error) {
	l.mu.Lock()
	f.epoch = l.epochs[f.Name]
	id := identify(f)
	fn := l.functions[id]
	if fn != nil {
		if e := l.earlier[f.Name]; e != nil && fn.held > 0 {
			e.settled = true // the others are of other executors
		}
		l.mu.Unlock()
		return fn, nil
	}
	if l.next >= mostNumber {
		l.mu.Unlock()
		return nil, fmt.Errorf("journal %s has %d functions and takes no more: compact it", l.path, l.next)
	}
	body := f.body()
	if len(body) >= largeBody {
		l.mu.Unlock()
		return nil, fmt.Errorf("the name or the version of function %.40q… is too long", f.Name)
	}
	l.next++
	fn = &Func{Function: f, number: l.next, id: id}
	l.functions[id], l.byNumber[fn.number] = fn, fn
	unused := l.earlier[f.Name].unused(f)
	l.mu.Unlock()
	if unused != "" {
		l.Warn(fmt.Sprintf("%s; its calls run anew (rankpool journal %s lists what the file has)", unused, l.path))
	}
	l.out.small(kindFunction, fn.number, id, body)
	return fn, nil
}

// Key returns what a call of the function is found by whose argument is encoded so.
func (f *Func) Key(stream []byte, segments [][]byte) Key {
	var k Key
	if len(segments) == 0 {
		k = xxh3.Hash128Seed(stream, f.id.Lo)
	} else {
		h := xxh3.NewSeed(f.id.Lo)
		var n [8]byte
		for _, s := range segments {
			binary.LittleEndian.PutUint64(n[:], uint64(len(s)))
			_, _ = h.Write(n[:])
			_, _ = h.Write(s)
		}
		_, _ = h.Write(stream)
		k = h.Sum128()
	}
	k.Hi ^= f.id.Hi
	return k
}

// occurrence returns the key of a call whose argument has come so many times before.
func (f *Func) occurrence(k Key, n uint64) Key {
	var room [24]byte
	b := room[:20]
	if n > math.MaxUint32 {
		b = room[:]
	}
	binary.LittleEndian.PutUint64(b[:], k.Hi)
	binary.LittleEndian.PutUint64(b[8:], k.Lo)
	binary.LittleEndian.PutUint64(room[16:], n)
	o := xxh3.Hash128Seed(b, f.id.Lo)
	o.Hi ^= f.id.Hi
	return o
}

// Entry is what a call is recorded under, and where that stands.
type Entry struct {
	off   int64
	key   Key
	place Place
}

// Recorded tells whether something is recorded.
func (e Entry) Recorded() bool { return e.off != 0 }

// Key is what the call is recorded under. It is zero if the call must not be recorded.
func (e Entry) Key() Key { return e.key }

// Place is that of the call among equal ones.
func (e Entry) Place() Place { return e.place }

// Submit counts a call with that key. Each call of this process with the same one has an entry of its own, in the order in which they come. It returns the key of the
// entry, and the entry itself, which may be none. The zero key is that of a call which must not be recorded, because the index cannot be read.
// It waits for no write. It may read a block of a file in which a part of the index is, and waits as long as the file system takes for that.
func (l *Log) Submit(f *Func, k Key) (Key, Entry) {
	k, off, place, err := l.keys.submit(f, k)
	if err != nil {
		l.out.unasked()
		return Key{}, Entry{}
	}
	return k, Entry{off, k, place}
}

// GiveBack gives the place of a call back that has not run and will not: the next call with the same key gets it. Nothing may be recorded of the call then, and it may give the
// place back once. It waits for no file. The zero Place has no effect.
func (l *Log) GiveBack(p Place) {
	if p != (Place{}) {
		l.keys.giveBack(p)
	}
}

// Size returns how many keys the index has, of what was recorded when the log was opened and of what was submitted since, and how much memory it takes.
func (l *Log) Size() (keys, bytes int) { return l.keys.size() }

// WhenClosed has f called by Close.
func (l *Log) WhenClosed(f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = f
}

// SkipFailures tells whether what has failed is not to run again.
func (l *Log) SkipFailures() bool { return l.skip }

// Warn tells of something that the program goes on after.
func (l *Log) Warn(msg string) { l.warn(fmt.Sprintf("journal %s: %s", l.path, msg)) }

// Path returns the absolute name of the file.
func (l *Log) Path() string { return l.path }

// live gives signs of life until ctx ends.
func (l *Log) live(ctx context.Context, lease time.Duration) {
	t := time.NewTicker(lease / (Lease / Beat))
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			_ = l.claim.beat() // before the next write it is told, if the claim is lost
		}
	}
}

// Close writes what has been recorded, has the system put it to the disk, and gives the claim back. It waits for the file system until ctx ends. The error says what is
// not in the file. A second call does nothing.
func (l *Log) Close(ctx context.Context) (err error) {
	l.once.Do(func() {
		l.mu.Lock()
		closed := l.closed
		l.mu.Unlock()
		if closed != nil {
			closed()
		}
		err = l.out.close(ctx)
		let := make(chan struct{})
		go func() {
			l.keys.close()
			close(let)
		}()
		select {
		case <-let:
		case <-ctx.Done():
		}
		l.stop()
		l.beat.Wait()
		l.claim.giveBack()
		if err != nil {
			err = fmt.Errorf("journal %s: %w", l.path, err)
		}
	})
	return err
}

// syncFolder has the system put the name of a new file to the disk, where it can.
func syncFolder(path string) {
	if d, err := os.Open(filepath.Dir(path)); err == nil {
		_ = d.Sync()
		_ = d.Close()
	}
}
