package resultlog

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Lease is how long the claim of a process that cannot be looked at, because it is on another host, holds after its last sign of life, and
// Beat is how often it gives one.
const (
	Lease = 60 * time.Second
	Beat  = 10 * time.Second
)

// A claim is a file beside the log, NAME.claim-N, that its writer makes and touches every Beat. The highest N counts. Whoever takes a
// claim over makes the next N, which only one can, and removes the other. No file is locked and no clocks are compared: ages come from the
// file system's own.

// holder is what a claim says.
type holder struct {
	Host    string
	Pid     int
	Program string
	Since   time.Time
	Place   place
	Token   string
	Beats   uint64
}

// place says which processes a process number is one of, and since when it is that one's.
type place struct {
	Boot      string // of the kernel; "" where it is not to be had
	Namespace string // of process numbers
	Started   string // of the process
}

// ClaimedError is what opening a log fails with that another process writes.
type ClaimedError struct {
	Path string
	Host string
	Pid  int
	What string // the program
	File string // the claim

	Ending bool // it was killed, and the kernel has not done with it
}

func (e *ClaimedError) Error() string {
	if e.Ending {
		return fmt.Sprintf("journal %s is in use by process %d on %s (%s), which was killed and has not ended after %v: it may wait for its disk; try again later", e.Path, e.Pid,
			e.Host, e.What, leaveLimit)
	}
	return fmt.Sprintf("journal %s is in use by process %d on %s (%s): a journal has one master at a time; end that job first, or use another file "+
		"(if you are sure that it has ended, remove %s)", e.Path, e.Pid, e.Host, e.What, e.File)
}

// claim is a claim of this process.
type claim struct {
	path  string // of the log
	lease time.Duration

	mu     sync.Mutex
	n      int
	mine   holder
	beatAt time.Time
	lost   error
}

const claimSize = 1 << 10

func (c *claim) file(n int) string { return c.path + ".claim-" + strconv.Itoa(n) }

// highest returns the number of the claim that counts, 0 for none.
func (c *claim) highest() (int, error) {
	entries, err := os.ReadDir(filepath.Dir(c.path))
	if err != nil {
		return 0, err
	}
	prefix, highest := filepath.Base(c.path)+".claim-", 0
	for _, e := range entries {
		if s, ok := strings.CutPrefix(e.Name(), prefix); ok {
			if n, err := strconv.Atoi(s); err == nil {
				highest = max(highest, n)
			}
		}
	}
	return highest, nil
}

func readHolder(name string) (holder, error) {
	var h holder
	b, err := os.ReadFile(name)
	if err != nil {
		return h, err
	}
	return h, json.Unmarshal(bytes.TrimSpace(b), &h)
}

// text is the claim in the file's fixed length, so that a sign of life is one write in place.
func (h holder) text() ([]byte, error) {
	b, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	if len(b) >= claimSize {
		return nil, errors.New("the name of the host or of the program is too long")
	}
	return append(append(b, bytes.Repeat([]byte(" "), claimSize-1-len(b))...), '\n'), nil
}

// takeClaim makes the claim of a log this process's. It waits for up to a lease to see whether the holder of a claim lives.
func takeClaim(path string, lease time.Duration, waiting func(h holder, ending bool)) (*claim, error) {
	host, _ := os.Hostname()
	program := filepath.Base(os.Args[0])
	c := &claim{path: path, lease: lease, mine: holder{Host: cut(host), Pid: os.Getpid(), Program: cut(program), Since: time.Now(), Token: rand.Text(), Place: ownPlace()}}
	for range 100 {
		n, err := c.highest()
		if err != nil {
			return nil, c.unclaimable(err)
		}
		var other holder
		if n > 0 {
			if other, err = c.stale(n, waiting); err != nil {
				if errors.Is(err, fs.ErrNotExist) {
					continue
				}
				return nil, err
			}
		}
		switch ok, err := c.make(n+1, n, other); {
		case err != nil:
			return nil, c.unclaimable(err)
		case ok:
			return c, nil
		}
		time.Sleep(time.Duration(10+time.Now().UnixNano()%50) * time.Millisecond)
	}
	return nil, fmt.Errorf("journal %s: its claim changes hands all the time", path)
}

// unclaimable says what it means that no claim can be made.
func (c *claim) unclaimable(err error) error {
	return fmt.Errorf("journal %s cannot be written: it needs a file beside it that names the process which writes it: %w", c.path, err)
}

func cut(s string) string { return s[:min(len(s), 200)] }

// make makes claim number n. It is false if another was faster.
func (c *claim) make(n, old int, other holder) (bool, error) {
	text, err := c.mine.text()
	if err != nil {
		return false, err
	}
	f, err := os.OpenFile(c.file(n), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Close()); err != nil {
		_ = os.Remove(c.file(n))
		return false, err
	}
	highest, err := c.highest()
	ok := err == nil && highest == n
	if ok && old > 0 { // it may have been given back, and taken by another, since it was looked at
		now, err := readHolder(c.file(old))
		ok = err == nil && now.Token == other.Token
	}
	if !ok {
		_ = os.Remove(c.file(n))
		return false, err
	}
	if old > 0 {
		_ = os.Remove(c.file(old))
	}
	c.n, c.beatAt = n, time.Now()
	return true, nil
}

// awaited says why a claim is waited for.
func (h holder) awaited(ending bool, lease time.Duration) string {
	if ending {
		return fmt.Sprintf("process %d on %s, which writes it, was killed: waiting for up to %v for its end", h.Pid, h.Host, leaveLimit)
	}
	return fmt.Sprintf("process %d on %s was writing it a moment ago: waiting for up to %v for a sign of its life", h.Pid, h.Host, lease)
}

// stale returns the holder of claim n if it lives no longer, and an error if it does.
func (c *claim) stale(n int, waiting func(h holder, ending bool)) (holder, error) {
	h, err := readHolder(c.file(n))
	if errors.Is(err, fs.ErrNotExist) {
		return h, err
	}
	unreadable := err != nil // it is just being written, or was never
	taken := &ClaimedError{Path: c.path, Host: h.Host, Pid: h.Pid, What: h.Program, File: c.file(n)}
	if !unreadable {
		seen := h.Place.look(h.Pid, c.mine.Place)
		if seen == lives { // between two of its states it may look so
			time.Sleep(10 * time.Millisecond)
			seen = h.Place.look(h.Pid, c.mine.Place)
		}
		begin := time.Now()
		for told := false; seen == isEnding && time.Since(begin) < leaveLimit; seen = h.Place.look(h.Pid, c.mine.Place) {
			if !told && waiting != nil && time.Since(begin) > time.Second {
				told = true
				waiting(h, true)
			}
			time.Sleep(10 * time.Millisecond)
		}
		switch seen {
		case lives, isEnding:
			taken.Ending = seen == isEnding
			return h, taken
		case isGone:
			return h, nil
		}
	}
	age, known := c.age(n)
	if known && age > c.lease {
		return h, nil
	}
	if waiting != nil {
		waiting(h, false)
	}
	step := max(c.lease/60, time.Millisecond)
	for end := time.Now().Add(c.lease); time.Now().Before(end); time.Sleep(step) {
		now, err := readHolder(c.file(n))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return h, err
		case err != nil:
		case unreadable:
			return c.stale(n, nil)
		case now.Token != h.Token || now.Beats != h.Beats:
			return h, taken
		}
		if age, known := c.age(n); known && age > c.lease {
			break
		}
	}
	return h, nil
}

// age is how long ago a claim was written, by the clock of the file system: a file that is made now says what that is.
func (c *claim) age(n int) (time.Duration, bool) {
	f, err := os.CreateTemp(filepath.Dir(c.path), filepath.Base(c.path)+".now-")
	if err != nil {
		return 0, false
	}
	defer func() { _ = f.Close(); _ = os.Remove(f.Name()) }()
	if _, err := f.Write([]byte{0}); err != nil {
		return 0, false
	}
	now, err := f.Stat()
	if err != nil {
		return 0, false
	}
	then, err := os.Stat(c.file(n))
	if err != nil {
		return 0, false
	}
	return now.ModTime().Sub(then.ModTime()), true
}

// beat gives a sign of life, and finds out whether the claim is still this process's.
func (c *claim) beat() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.lost != nil {
		return c.lost
	}
	n, err := c.highest()
	if err != nil {
		return err
	}
	if n > c.n {
		other, _ := readHolder(c.file(n))
		c.lost = fmt.Errorf("journal %s was taken over by process %d on %s (%s), because this process gave no sign of life for %v: nothing is recorded any more",
			c.path, other.Pid, other.Host, other.Program, c.lease)
		return c.lost
	}
	c.mine.Beats++
	text, err := c.mine.text()
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.file(c.n), os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(text, 0)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	c.beatAt = time.Now()
	return nil
}

// holds finds out, before something is written, whether the claim is still this process's, if it has not looked for a while: it may have been stopped.
func (c *claim) holds() error {
	c.mu.Lock()
	lost, age := c.lost, time.Since(c.beatAt)
	age = max(age, time.Now().Round(0).Sub(c.beatAt.Round(0))) // a machine that slept has a clock that did not
	c.mu.Unlock()
	if lost != nil || age < c.lease/2 {
		return lost
	}
	return c.beat()
}

// giveBack ends the claim.
func (c *claim) giveBack() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h, err := readHolder(c.file(c.n)); err == nil && h.Token == c.mine.Token {
		_ = os.Remove(c.file(c.n))
	}
	c.lost = ErrClosed
}

// leaveLimit is how long the end of a process that was killed is waited for: what it was writing may still be on its way to the disk, and the kernel
// takes a while for much memory.
const leaveLimit = Lease

// verdict is what is known of the holder of a claim.
type verdict int

const (
	nobodyKnows verdict = iota
	lives
	isEnding // it was killed, and the kernel has not done with it
	isGone
)

// gone tells whether the claim is lost for good.
func (c *claim) gone() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.lost != nil
}
