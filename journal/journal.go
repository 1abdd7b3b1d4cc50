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
// Start the program again as before. Recorded results are delivered in their places as if the calls had run, and the other calls run. See
// [github.com/rankpool/rankpool/futures.WithJournal] for what makes a call the same. docs/long-jobs.md shows a job from its first line to
// its third night. The command rankpool journal shows the contents of a file.
//
// # The file
//
// A journal is one file, which only grows. While a master uses it, there is a claim beside it, NAME.claim-N. With more than 8 million calls
// there is also a part of its index, in files NAME.index-XXXXXXXX-N that belong to the running program. The file system needs neither locks nor memory
// maps. A master that is killed loses only the results of the last moment, which it had not yet written. When the machine
// fails, the results of about a second may be lost.
//
// A full or failing disk stops the recording, not the job. The program's log (futures.SetLogger) has one warning, and recording resumes
// when there is room. A result that is damaged in the file is reported, and its call runs again.
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

// Lease is how long a master's claim stays valid after its last sign of life, if the master ran on another host and cannot be checked. A
// master gives a sign of life every ten seconds.
const Lease = resultlog.Lease

// Journal is an open journal. Its methods may be called from several goroutines, and any number of calls may record into it at once.
type Journal resultlog.Log

// Option is an option of [Open].
type Option interface{ open(*resultlog.Options) }

type option func(*resultlog.Options)

func (o option) open(c *resultlog.Options) { o(c) }

// SkipFailures makes calls that are recorded as failed fail again without running, with a
// [github.com/rankpool/rankpool/futures.RecordedError]. Without it they run again.
func SkipFailures() Option {
	return option(func(c *resultlog.Options) { c.SkipFailures = true })
}

// InUseError is the error of [Open] when another master has the journal.
type InUseError struct {
	Host string
	Pid  int

	text string
}

func (e *InUseError) Error() string { return e.text }

// Open opens a journal, or creates one. Call it in the function that is passed to Main. Code before Main runs in every worker process too,
// and a worker in which Open is called there ends with a message: the journal is its master's.
//
// A journal has one master at a time: while another has it, the error is an [*InUseError] with that master's host and process. A master
// that has ended, on the same machine, or that has given no sign of life for [Lease], does not count. When a job comes back on another host
// earlier than that, Open waits for the rest of the time. Otherwise Open takes as long as reading the file without its large results: some
// seconds for ten million results.
//
// A file that cannot be written, or is no journal, is an error and is left as it is. So is a folder in which no file can be made: the claim is one.
func Open(path string, opts ...Option) (*Journal, error) {
	c := resultlog.Options{Warn: func(msg string) { life.Complaints().Warn("rankpool: " + msg) }}
	for _, o := range opts {
		if o != nil {
			o.open(&c)
		}
	}
	life.RefuseInLocalWorker("journal.Open")
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

// Close writes the recorded results to the disk and releases the journal for another master. Calls that end later are not recorded. Close
// waits for the file system, for at most a minute. The error says how many results are not in the file. A second call does nothing and
// returns nil, and so does Close of a nil journal.
//
// A journal that is still open when Main's function has returned, or when a signal ends the program, is closed together with the executors.
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
