package resultlog

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// Info is what a file has in it.
type Info struct {
	Path      string
	Size      int64
	Functions []Summary // in the order in which they were first recorded
	Damaged   []Damage
	Cut       int64 // bytes behind the last whole record
	First     time.Time
	Last      time.Time
}

// Summary is what a file has of one function and version.
type Summary struct {
	Function
	Results  int
	Failures int
	Replaced int   // of results and failures: those that others have taken the place of
	Bytes    int64 // of all, heads included
	First    time.Time
	Last     time.Time
	Gone     bool // it was forgotten
	Known    bool // false: the record of the function is damaged
}

// Inspect reads a file, also while a job writes it. With all it reads large bodies too.
func Inspect(path string, all bool) (Info, error) {
	in := &inspector{info: Info{Path: path}, summaries: map[uint32]*Summary{}, epochs: map[string]uint64{}}
	f, size, seed, err := openToRead(path)
	if err != nil {
		return in.info, err
	}
	defer func() { _ = f.Close() }()
	in.info.Size = size
	s := scanner{r: f, seed: seed, size: size, all: all}
	end, err := s.scan(headSize, in)
	if err != nil {
		return in.info, fmt.Errorf("journal %s cannot be read: %w", path, err)
	}
	in.info.Cut = size - end
	for _, n := range in.order {
		u := in.summaries[n]
		u.Gone = u.Known && u.epoch < in.epochs[u.Name]
		in.info.Functions = append(in.info.Functions, *u)
	}
	return in.info, nil
}

func openToRead(path string) (f *os.File, size int64, seed uint64, err error) {
	if f, err = os.Open(path); err != nil {
		return nil, 0, 0, err
	}
	st, err := f.Stat()
	if err == nil {
		size = st.Size()
		seed, err = readFileHead(f)
	}
	if err != nil {
		_ = f.Close()
		return nil, 0, 0, fmt.Errorf("journal %s: %w", path, err)
	}
	return f, size, seed, nil
}

type inspector struct {
	info      Info
	index     index
	summaries map[uint32]*Summary
	order     []uint32
	epochs    map[string]uint64
	now       time.Time
}

func (in *inspector) damaged(d Damage) { in.info.Damaged = append(in.info.Damaged, d) }

func (in *inspector) of(n uint32) *Summary {
	u := in.summaries[n]
	if u == nil {
		u = &Summary{}
		in.summaries[n] = u
		in.order = append(in.order, n)
	}
	return u
}

func (in *inspector) record(off int64, r record, body []byte) {
	switch r.kind {
	case kindTime:
		in.now = time.Unix(0, int64(r.key.Hi))
		if in.info.First.IsZero() {
			in.info.First = in.now
		}
		in.info.Last = in.now
	case kindForget:
		in.epochs[string(body)]++
	case kindFunction:
		if f, err := parseFunction(body); err == nil {
			u := in.of(r.fn)
			u.Function, u.Known = f, true
		}
	case kindResult, kindFailure:
		u := in.of(r.fn)
		u.Bytes += r.total()
		if u.First.IsZero() {
			u.First = in.now
		}
		u.Last = in.now
		failed := r.kind == kindFailure
		if s := in.index.find(r.key); s != nil {
			u.Replaced++
			if was := s.failed(); was != failed && was {
				u.Failures--
				u.Results++
			}
		} else if failed {
			u.Failures++
		} else {
			u.Results++
		}
		in.index.record(r.key, off, failed)
	}
}

// Forget has what was recorded of a function, in all its versions, found no longer. A compaction removes it.
func Forget(path, name string, o Options) (entries int, err error) {
	info, err := Inspect(path, false)
	if err != nil {
		return 0, err
	}
	known := false
	for _, f := range info.Functions {
		if f.Name == name && !f.Gone {
			known = true
			entries += f.Results + f.Failures
		}
	}
	if !known {
		return 0, fmt.Errorf("journal %s has nothing of a function %q", path, name)
	}
	l, err := Open(path, o)
	if err != nil {
		return 0, err
	}
	l.out.small(kindForget, 0, Key{}, []byte(name))
	return entries, l.Close(context.Background())
}

// Compact writes the file anew, without what was forgotten, damaged, or replaced. It returns its size before and after. Until the end of it the old file stands.
func Compact(path string, o Options) (before, after int64, err error) {
	if path, err = filepath.EvalSymlinks(path); err != nil {
		return 0, 0, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return 0, 0, err
	}
	if o.Lease == 0 {
		o.Lease = Lease
	}
	c, err := takeClaim(path, o.Lease, func(h holder, ending bool) {
		if o.Warn != nil {
			o.Warn(h.awaited(ending, o.Lease))
		}
	})
	if err != nil {
		return 0, 0, err
	}
	defer c.giveBack()
	f, size, seed, err := openToRead(path)
	if err != nil {
		return 0, 0, err
	}
	defer func() { _ = f.Close() }()
	in := &inspector{summaries: map[uint32]*Summary{}, epochs: map[string]uint64{}}
	s := scanner{r: f, seed: seed, size: size, all: true}
	if _, err := s.scan(headSize, in); err != nil {
		return 0, 0, fmt.Errorf("journal %s cannot be read: %w", path, err)
	}
	st, err := f.Stat()
	if err != nil {
		return 0, 0, err
	}
	out, err := os.OpenFile(path+".compact", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, st.Mode().Perm())
	if err != nil {
		return 0, 0, err
	}
	k := &keeper{in: in, from: f, to: bufio.NewWriterSize(out, window), seed: seed, beat: c.holds}
	k.err = writeHead(k.to, seed)
	if _, err := s.scan(headSize, k); err != nil && k.err == nil {
		k.err = err
	}
	err = errors.Join(k.err, k.to.Flush(), out.Sync(), out.Close())
	if err == nil {
		if st, err = os.Stat(path + ".compact"); err == nil {
			err = c.holds()
		}
	}
	if err == nil {
		err = os.Rename(path+".compact", path)
	}
	if err != nil {
		_ = os.Remove(path + ".compact")
		return 0, 0, fmt.Errorf("journal %s cannot be written anew: %w", path, err)
	}
	syncFolder(path)
	return size, st.Size(), nil
}

func writeHead(w io.Writer, seed uint64) error {
	_, err := w.Write(appendFileHead(nil, seed))
	return err
}

// keeper copies the records that are to stay.
type keeper struct {
	in   *inspector
	from io.ReaderAt
	to   *bufio.Writer
	seed uint64
	beat func() error
	mark []byte // a time that nothing has followed yet
	err  error
}

func (k *keeper) damaged(Damage) {}

func (k *keeper) record(off int64, r record, body []byte) {
	if k.err != nil {
		return
	}
	switch r.kind {
	case kindTime:
		k.mark = r.appendHead(k.mark[:0], k.seed)
		k.err = k.beat()
		return
	case kindFunction:
		if u := k.in.summaries[r.fn]; u != nil && u.epoch < k.in.epochs[u.Name] {
			return
		}
	case kindResult, kindFailure:
		s := k.in.index.find(r.key)
		u := k.in.summaries[r.fn]
		if s == nil || s.offset() != off || u != nil && u.Known && u.epoch < k.in.epochs[u.Name] {
			return
		}
	}
	if len(k.mark) > 0 {
		_, k.err = k.to.Write(k.mark)
		k.mark = k.mark[:0]
	}
	if k.err == nil {
		_, k.err = k.to.Write(r.appendHead(nil, k.seed))
	}
	if k.err != nil {
		return
	}
	if !r.large {
		_, k.err = k.to.Write(body)
		return
	}
	_, k.err = io.Copy(k.to, io.NewSectionReader(k.from, off+int64(r.head()), r.size))
}

// failureText takes the body of a failure apart.
func failureText(body []byte) (at time.Time, text string, ok bool) {
	if len(body) < 8 {
		return at, "", false
	}
	return time.Unix(0, int64(binary.LittleEndian.Uint64(body))), string(body[8:]), true
}
