// Package journal keeps the results of calls in a file, so that a program that was killed goes on where it was:
//
//	j, err := journal.Open("sweep.journal")
//	if err != nil {
//		return err
//	}
//	defer j.Close()
//	for energy, err := range futures.Map(ctx, ex, simulate, points, futures.WithJournal(j)) {
//		…
//	}
//
// The program is started again as it was. What is recorded comes as if it had run, in its place, and the rest runs: see
// [github.com/rankpool/rankpool/futures.WithJournal] for what makes a call the same. docs/long-jobs.md shows a job from its first line to its
// third night, and the command rankpool journal shows what is in a file.
//
// # The file
//
// A journal is one file, which only grows, and a claim beside it while a master uses it, NAME.claim-N. It needs neither locks nor memory maps of the file system. A master that is
// killed at any instant loses what it had not yet written, which is a moment's; when the machine fails, the results of about a second may be lost.
//
// A full or failing disk stops the recording, not the job: it is told once, on the program's log (futures.SetLogger), and recording resumes when there is room. A result that is damaged in
// the file is told and runs again.
package journal

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/resultlog"
)

// Lease is how long the claim of a master that nobody can look at, because it was on another host, holds after its last sign of life. It gives one every ten
// seconds.
const Lease = resultlog.Lease

// Journal is an open journal. Its methods may be called together, and any number of calls may record into it at the same time.
type Journal resultlog.Log

// Option is a choice for [Open].
type Option interface{ open(*resultlog.Options) }

type option func(*resultlog.Options)

func (o option) open(c *resultlog.Options) { o(c) }

// SkipFailures has calls that are recorded as failed fail again without running, with a [github.com/rankpool/rankpool/futures.RecordedError]. Without it they run again.
func SkipFailures() Option {
	return option(func(c *resultlog.Options) { c.SkipFailures = true })
}

// InUseError is what [Open] fails with when another master has the journal.
type InUseError struct {
	Host string
	Pid  int

	text string
}

func (e *InUseError) Error() string { return e.text }

// Open opens a journal, or makes one. It belongs into the function that Main is given: workers have no use for it.
//
// A journal has one master at a time: the error is an [*InUseError] with host and process of the other. One that has ended, on the same machine, or that has given no sign of life for [Lease], is
// none any more. When the job comes back on another host earlier than that, Open waits for the rest of the time. Otherwise Open takes as long as the file is read, without its large results:
// some seconds for ten million results.
//
// A file that cannot be written, or is something else, is an error, and is left as it is. So is a folder in which no file can be made: the claim is one.
func Open(path string, opts ...Option) (*Journal, error) {
	c := resultlog.Options{Warn: func(msg string) { life.Complaints().Warn("rankpool: " + msg) }}
	for _, o := range opts {
		if o != nil {
			o.open(&c)
		}
	}
	l, err := resultlog.Open(path, c)
	if other := (*resultlog.ClaimedError)(nil); errors.As(err, &other) {
		return nil, &InUseError{Host: other.Host, Pid: other.Pid, text: err.Error()}
	}
	if err != nil {
		return nil, err
	}
	l.WhenClosed(life.AtEnd(func(ctx context.Context) {
		if err := l.Close(ctx); err != nil {
			fmt.Fprintln(os.Stderr, "rankpool:", err)
		}
	}))
	return (*Journal)(l), nil
}

// closeLimit is how long Close waits for a file system that does not answer.
const closeLimit = time.Minute

// Close writes what is recorded to the disk and lets another master have the journal. Calls that end after it are not recorded. It waits for the file system, for a
// minute at most. The error says how many results are not in the file. A second call does nothing and returns nil, and so does one for a nil journal.
//
// A journal that is open when Main's function has returned, or its program is ended by a signal, is closed when the executors are.
func (j *Journal) Close() error {
	if j == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeLimit)
	defer cancel()
	return (*resultlog.Log)(j).Close(ctx)
}

// Path returns the absolute name of the file.
func (j *Journal) Path() string { return (*resultlog.Log)(j).Path() }
