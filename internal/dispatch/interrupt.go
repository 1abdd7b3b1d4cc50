package dispatch

import (
	"encoding/binary"
	"time"

	"github.com/rankpool/rankpool/internal/awake"
)

// endContexts has the contexts of the units of p end that are not answered. If their job was withdrawn, none begins any more. One that
// runs on after the job's grace, or after the one given if that is shorter, is given up with its worker.
func (m *Master) endContexts(w *worker, p *piece, grace time.Duration) {
	first, n := p.seq+uint64(p.done), uint64(p.n-p.done)
	recalled := uint64(0)
	if p.job.is(withdrawn) && !p.job.more().Gang { // an interrupted unit begins: its caller may know already that it was running
		recalled = 1
		m.recall(w, first, n)
	}
	m.send(w, binary.AppendUvarint(binary.AppendUvarint(number(kindCancel, first), n), recalled))
	if own := p.job.more().Grace; own > 0 && (grace == 0 || own < grace) {
		grace = own
	}
	if grace > 0 && !p.gone {
		m.allow(w, span{first, n}, grace, grace)
	}
}

// allow gives up the unit that runs on a worker when d is over, if it is one of these. What travels together is looked at again
// where a worker cannot be ended: only once the rest has been handed back is it known which one runs.
func (m *Master) allow(w *worker, units span, grace, d time.Duration) {
	life := w.readied
	awake.AfterFunc(d, func() {
		n := newsPool.Get().(*news)
		m.mu.Lock()
		p := w.next()
		switch {
		case p == nil || w.state != busy || w.readied != life || p.gone || !units.has(p.seq+uint64(p.done)):
		case !m.kind.Kills && p.n-p.done > 1:
			m.allow(w, units, grace, longTask)
		default:
			m.giveUp(w, p, &OverdueError{Grace: grace}, n)
			m.settleState()
		}
		m.unlockAndDeliver(n)
	})
}
