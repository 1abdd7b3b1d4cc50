package job

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// How long a signal that may tell of a lost rank waits for that loss, and a loss for its signal. On one host the signal
// comes first, by 50 ms; a rank that others of its host watch is given up after half a second. The wait delays a drain,
// and what a loss explains can be a signal that somebody meant, so both are short.
const (
	lossHold   = 2 * time.Second
	lossMemory = time.Second
)

// LossSignal is the signal by which a launcher tells the processes of a job that one of them was lost. When a program is
// to drain at it too, only the losses tell the two meanings apart.
type LossSignal struct {
	Signal os.Signal
	Losses func() (n int, next <-chan struct{}) // how many there were so far; next is closed at the next one
	Say    func(text string)

	alleged atomic.Int64 // 1 + the losses that were known when the signal was taken for a wish; 0 until it is
}

// Await blocks until a signal comes that asks for a drain, and returns it, or until ctx ends, and returns nil. Each loss
// explains one signal, whichever comes first. It is to be called once.
func (l *LossSignal) Await(ctx context.Context, told <-chan os.Signal) os.Signal {
	var held, lost []time.Time // signals without a loss, losses without a signal; one of the two is empty
	limit := time.NewTimer(time.Hour)
	defer limit.Stop()
	seen, next := l.Losses()
	for {
		var due <-chan time.Time
		if len(held) > 0 {
			limit.Reset(time.Until(held[0].Add(lossHold)))
			due = limit.C
		}
		var s os.Signal
		select {
		case <-ctx.Done():
			return nil
		case s = <-told:
		case <-next:
		case <-due:
		}
		now := time.Now()
		if s != nil && s != l.Signal {
			return s
		}
		if s != nil {
			held = append(held, now)
		}
		var n int
		for n, next = l.Losses(); seen < n; seen++ {
			lost = append(lost, now)
		}
		for len(lost) > 0 && now.Sub(lost[0]) > lossMemory {
			lost = lost[1:]
		}
		for len(held) > 0 && len(lost) > 0 {
			held, lost = held[1:], lost[1:]
			l.Say(fmt.Sprintf("a rank was lost, and the launcher reported that by the signal %q: this signal drains nothing", l.Signal))
		}
		if len(held) > 0 && now.Sub(held[0]) >= lossHold {
			l.alleged.Store(1 + int64(seen))
			return l.Signal
		}
	}
}

// Review tells, at the end, of a drain that a loss explains which was noticed too late.
func (l *LossSignal) Review() {
	known := l.alleged.Load()
	if n, _ := l.Losses(); known == 0 || int64(n) < known {
		return
	}
	l.Say(fmt.Sprintf("a rank was lost, which was noticed only after the signal %q had begun the drain: it may have been the launcher "+
		"that sent it. Have the batch system warn by one that no launcher sends, SIGWINCH (sbatch --signal=28@120), and name it in DrainOn",
		l.Signal))
}
