package trace

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// writer is the file. Its lock is held while the disk is at work: only goroutines that write wait for it.
type writer struct {
	rec  *Recording
	mu   sync.Mutex
	warn func(string, error) // that of the pool which writes now

	file   *os.File
	size   int64 // of the file, as far as it is whole
	room   int64 // that was left of the limit when the file was opened
	failed bool  // the last write was, and that was said
	half   bool  // of the limit is used, and that was said
	full   bool  // likewise, all
	enc    encoder
	before *leftFile // what this program left behind when it closed the file last
	bytes  []byte    // not written
	thin   thinner
	taken  time.Time // when thin was emptied last
	first  time.Time // when it was opened

	merged, missed  int // what was not told one by one since the run has begun
	told, toldOther int // of that, what the file says
	confessed       time.Time
}

// round writes what there is of the pool, and tells whether nothing more comes.
func (p *Pool) round() (ended bool) {
	p.sample(false)
	events, over, missed, ended := p.file.take()
	for i := range events {
		events[i].describe()
	}
	w := &p.rec.writer
	w.mu.Lock()
	defer w.mu.Unlock()
	w.warn = p.warn
	if w.file == nil && !p.rec.broken.Load() {
		if err := w.open(); err != nil {
			p.rec.broken.Store(true)
			w.warn("rankpool: nothing is recorded", err)
		}
	}
	if w.file != nil {
		w.merged += over.merged
		w.missed += missed
		for i := range events {
			w.event(&events[i])
		}
		for _, e := range over.take() {
			w.event(e)
		}
		if ended {
			w.tell(w.thin.takePool(p.number))
		}
		w.write()
	}
	p.file.giveBack(events)
	if ended && p.rec.leave() {
		w.close()
	}
	return ended
}

// write tells of what was put together, now and then, and saves.
func (w *writer) write() {
	now := time.Now()
	if now.Sub(w.taken) > now.Sub(w.first)/16 && w.left() > w.thin.room()+lastRoom {
		w.flushThin()
	}
	if now.Sub(w.confessed) > now.Sub(w.first)/16 {
		w.confess()
	}
	w.save()
	w.warnOfLimit()
}

// warnOfLimit says once that the recording begins to tell less.
func (w *writer) warnOfLimit() {
	limit := fmt.Errorf("it may have %d bytes; with a greater RANKPOOL_TRACE_LIMIT it tells more", w.rec.run.Limit)
	switch left := w.left(); {
	case !w.half && left < w.room/2:
		w.half = true
		w.warn("rankpool: half of the limit of the recording is used; from here on units are put together", limit)
	case !w.full && left < lastRoom:
		w.full = true
		w.warn("rankpool: the recording has its limit; starts, jobs and failures are not told any more", limit)
	}
}

// describe asks the error for its text. Its method may be a user's, so nobody's lock is held.
func (e *Event) describe() {
	if e.Err != nil {
		e.Text, e.Err = fmt.Sprint(e.Err), nil // it takes a panic for text
	}
}

// event encodes an event, or keeps it to be told of with others.
func (w *writer) event(e *Event) {
	if len(w.enc.texts) >= mostTexts { // each has a number, which reader and writer know: a run that goes on begins again
		w.bytes = w.enc.append(w.bytes, &Event{Kind: RunBegins, Run: &w.rec.run})
	}
	if w.missed > 0 { // perhaps the job that says of which function it is
		e.Listed = false
	}
	switch {
	case e.Kind != UnitsRan && (len(w.bytes) > mostUnsaved || w.left() < lastRoom/2 && (e.Kind != PoolEnds || w.left() < 0)):
		w.missed++
	case e.Kind != UnitsRan:
		w.bytes = w.enc.append(w.bytes, e)
	default:
		most := w.most()
		if most <= 1 {
			w.bytes = w.enc.append(w.bytes, e)
		} else if full := w.thin.add(e, most); full != nil {
			w.bytes = w.enc.append(w.bytes, full)
		}
	}
}

// most is how many units are put together now. When half of the room is used these are 8, of what is left then after another half 64,
// and so on: so the file never has its limit.
func (w *writer) most() int {
	left := w.left()
	if len(w.bytes) > mostUnsaved || left < lastRoom {
		return math.MaxInt
	}
	most := 1
	for at := w.room / 2; left < at && most < 1<<30; at /= 2 {
		most *= 8
	}
	return most
}

// mostTexts is how many texts are told by a number, so that they take no more memory the longer a program runs.
const mostTexts = 1 << 14

// lastRoom is what the end of a recording is kept, beside what is put together then.
const lastRoom = 1 << 16

// left is how much of the limit is left beside what will be told at the end.
func (w *writer) left() int64 { return w.rec.run.Limit - w.size - int64(len(w.bytes)) - w.thin.room() }

// flushThin tells of what was put together so far.
func (w *writer) flushThin() {
	w.taken = time.Now()
	if len(w.bytes) <= mostUnsaved {
		w.tell(w.thin.take())
	}
}

func (w *writer) tell(all []*Event) {
	for _, e := range all {
		w.bytes = w.enc.append(w.bytes, e)
	}
}

// confess tells what the recording does not.
func (w *writer) confess() {
	w.merged += w.thin.merged
	w.thin.merged = 0
	merged, missed := w.merged, w.missed
	if merged == w.told && missed == w.toldOther || len(w.bytes) > mostUnsaved {
		return
	}
	w.told, w.toldOther, w.confessed = merged, missed, time.Now()
	w.bytes = w.enc.append(w.bytes, &Event{Kind: Thinned, At: time.Since(w.rec.run.Began), Units: merged, Count: missed})
}

// save writes what is encoded. What the disk does not take now is written to the same place later.
func (w *writer) save() {
	if len(w.bytes) == 0 {
		return
	}
	if _, err := w.file.WriteAt(w.bytes, w.size); err != nil {
		if !w.failed {
			w.failed = true
			w.warn("rankpool: the recording cannot be written now; it is tried again, and what does not fit into memory is put together", err)
		}
		return
	}
	w.failed = false
	w.size += int64(len(w.bytes))
	w.bytes = w.bytes[:0]
}

// open opens the file, or one beside it if another program writes that, and finds the end of its last whole record.
func (w *writer) open() error {
	w.taken, w.first = time.Now(), time.Now()
	path := w.rec.path
	file, err := openAlone(path)
	if errors.Is(err, errInUse) || errors.Is(err, errNoLocks) {
		why := "another program writes the recording"
		if errors.Is(err, errNoLocks) {
			why = "nothing keeps other programs from writing the recording"
		}
		path = fmt.Sprintf("%s.%s.%d", path, w.rec.run.Host, os.Getpid())
		w.warn("rankpool: "+why+"; this one is written to "+path, err)
		file, err = openOwn(path)
	}
	if err != nil {
		return err
	}
	whole, known := w.before.is(file)
	if !known {
		whole, err = usable(file)
	}
	w.before = nil
	if err == nil {
		err = file.Truncate(whole)
	}
	if err != nil {
		file.Close()
		return fmt.Errorf("%s: %w", path, err)
	}
	w.file, w.size = file, whole
	w.room = w.rec.run.Limit - w.size
	w.bytes = w.enc.append(w.bytes, &Event{Kind: RunBegins, Run: &w.rec.run})
	return nil
}

// scans counts for tests the files that were read.
var scans atomic.Int64

// usable returns where the last whole record of a file ends. A file that is something else must stay as it is.
func usable(file *os.File) (int64, error) {
	info, err := file.Stat()
	if err != nil {
		return 0, err
	}
	if !info.Mode().IsRegular() {
		return 0, errors.New("it is no regular file")
	}
	if info.Size() == 0 {
		return 0, nil
	}
	scans.Add(1)
	whole, cut, err := Read(io.NewSectionReader(file, 0, info.Size()), func(*Event) error { return nil })
	if whole == 0 && !cut && err != nil {
		return 0, fmt.Errorf("%w; record into another file", err)
	}
	if whole == 0 { // perhaps it was cut off in its first record
		head := make([]byte, min(info.Size(), 64))
		if _, err := file.ReadAt(head, 0); err != nil {
			return 0, err
		}
		if !isRecording(head) {
			return 0, ErrNoRecording
		}
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("%w; record into another file", err)
	}
	return whole, nil
}

// leftFile is a file that was closed.
type leftFile struct {
	info os.FileInfo
	path string
}

// leave notes a file that is about to be closed, if all of it is whole.
func leave(file *os.File, size int64) *leftFile {
	info, err := file.Stat()
	if err != nil || info.Size() != size {
		return nil
	}
	return &leftFile{info, file.Name()}
}

// is tells whether a file is still as it was left, and then how large it is: it need not be read again, which takes long for a large one.
func (l *leftFile) is(file *os.File) (size int64, yes bool) {
	if l == nil {
		return 0, false
	}
	info, err := file.Stat()
	if err != nil || file.Name() != l.path || !os.SameFile(info, l.info) || info.Size() != l.info.Size() || !info.ModTime().Equal(l.info.ModTime()) {
		return 0, false
	}
	return info.Size(), true
}

func (w *writer) close() {
	if w.file == nil {
		return
	}
	w.save() // else there may be no room in memory for the rest
	w.tell(w.thin.take())
	w.confess()
	w.save()
	if len(w.bytes) > 0 {
		w.warn("rankpool: the disk has not taken the end of the recording, which is lost", fmt.Errorf("%d bytes are not written", len(w.bytes)))
		_ = w.file.Truncate(w.size) // without a part of a record
	}
	w.before = leave(w.file, w.size)
	if err := w.file.Close(); err != nil {
		w.warn("rankpool: the recording may be incomplete", err)
	}
	w.file, w.bytes, w.failed = nil, w.bytes[:0], false
	w.told, w.toldOther = 0, 0 // a file that is opened again says it again
}
