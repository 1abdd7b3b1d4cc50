package resultlog

import (
	"encoding/binary"
	"fmt"

	"github.com/zeebo/xxh3"
)

// IndexBytes is how much memory an index of n keys takes.
func IndexBytes(n int) int {
	var x index
	for i := range n {
		b := [4]byte{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24)}
		x.record(xxh3.Hash128(b[:]), int64(i+1), false)
	}
	return x.bytes()
}

// MostWaiting is how many bytes may wait for the file.
const MostWaiting = mostWaiting

// HeadSize is how long the head of a file is.
const HeadSize = headSize

// LoseClaim has another process take the claim of a log over.
func LoseClaim(l *Log, other string) error {
	c := claim{path: l.path, lease: l.claim.lease, mine: holder{Host: other, Pid: 4711, Program: "sweep", Token: "other"}}
	n, err := c.highest()
	if err != nil {
		return err
	}
	h, err := readHolder(c.file(n))
	if err != nil {
		return err
	}
	_, err = c.make(n+1, n, h)
	return err
}

// ForeignClaim makes a claim as of a process of another machine. Live gives a sign of life, and release ends it.
func ForeignClaim(path string) (live func() error, release func(), err error) {
	c := claim{path: path, lease: Lease, mine: holder{Host: "node7", Pid: 4711, Program: "sweep", Token: "foreign", Place: place{Boot: "another"}}}
	if _, err := c.make(1, 0, holder{}); err != nil {
		return nil, nil, err
	}
	return c.beat, c.giveBack, nil
}

// Runs is how many runs the index of a log has.
func Runs(l *Log) int {
	l.keys.mu.Lock()
	defer l.keys.mu.Unlock()
	return len(l.keys.runs)
}

// Free is how many runs of places a log keeps that were given back, after all of them were counted.
func Free(l *Log) (n int) {
	l.keys.mu.Lock()
	defer l.keys.mu.Unlock()
	l.keys.takeBack()
	for _, free := range l.keys.free {
		n += len(free)
	}
	return n
}

// Written tells whether a log that is being closed has written all that was recorded.
func Written(l *Log) bool {
	select {
	case <-l.out.quit:
	default:
		return false
	}
	l.keys.mu.Lock()
	defer l.keys.mu.Unlock()
	return l.keys.closed.Load()
}

// AwaitIndex waits until no part of the index of a log is being written to a run.
func AwaitIndex(l *Log) {
	l.keys.mu.Lock()
	defer l.keys.mu.Unlock()
	for l.keys.writing {
		l.keys.written.Wait()
	}
}

// FilterOfRun makes a run of a few entries that was to have so many, looks them up, and returns how many bytes its filter has.
func FilterOfRun(name string, expected int) (bytes int, err error) {
	w, err := newRun(openFile, name, expected, 0, func() bool { return false })
	if err != nil {
		return 0, err
	}
	key := func(i int) Key { return xxh3.Hash128(binary.LittleEndian.AppendUint64(nil, uint64(i))) }
	const n = 1000
	var x index
	for i := range n {
		x.record(key(i), int64(i+1), false)
	}
	r, err := w.end(x.each(w.add))
	if err != nil {
		return 0, err
	}
	defer r.close()
	buf := make([]byte, blockSize)
	for i := range 2 * n {
		word, err := r.find(key(i), buf)
		if err != nil {
			return 0, err
		}
		if got := (slot{word: word}).offset(); i < n && got != int64(i+1) || i >= n && word != 0 {
			return 0, fmt.Errorf("entry %d is %d", i, got)
		}
	}
	return len(r.filter) * 8, nil
}
