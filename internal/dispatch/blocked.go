package dispatch

// A job may be known before its arguments are: these are what other jobs result in. Until then it is blocked: it is in no queue, but a
// shutdown waits for it as for what is queued, and what drops the queue drops it too.

// Expect notes a job of one unit whose arguments come later: Supply queues it, or Forgo says that it will not run. It does not block. A
// refusal is one of Submit.
func (m *Master) Expect(j *Job) error {
	m.mu.Lock()
	defer m.unlock()
	if err := m.refusal(); err != nil {
		return err
	}
	m.bootLocked()
	m.stats.Submitted++
	if m.blocked == nil {
		m.blocked = map[*Job]struct{}{}
	}
	m.blocked[j] = struct{}{}
	return nil
}

// Supply gives a job that was expected its arguments, as Data and Segments of a Job are, and queues it. If it is not expected any more
// nothing happens.
func (m *Master) Supply(j *Job, data []byte, segments [][]byte) {
	m.mu.Lock()
	defer m.unlock()
	if !m.unblock(j) {
		return
	}
	j.Data = data
	if len(segments) > 0 {
		j.Buffers, j.Own().Segments = true, segments
	}
	m.trace.queued(j)
	m.queue.push(j)
	if j.is(urgent) {
		m.queue.promote(j)
	}
	m.handOut()
}

// Forgone says what becomes of a job that was expected and will not run.
type Forgone int

// What can become of it.
const (
	Unsupplied Forgone = iota // what its arguments were to come from has failed: so has the job
	Withheld                  // that was cancelled: so is the job
	Known                     // its result is known without running it: it counts nowhere
)

// Forgo says that a job which was expected will not run. It has tell called, which tells whoever waits for the job, before a shutdown is
// over; if the job is not expected any more it is not called.
func (m *Master) Forgo(j *Job, why Forgone, tell func()) {
	m.mu.Lock()
	if !m.unblock(j) {
		m.unlock()
		return
	}
	j.marks |= dropped // its sink is told below: a cancellation meanwhile does not count it again
	switch why {
	case Unsupplied:
		m.stats.Failed++
	case Withheld:
		m.stats.Cancelled++
		m.trace.cancelled(j, 1)
	case Known:
		m.stats.Submitted--
	}
	j.Release()
	m.delivering++
	m.settleState()
	m.unlock()
	defer func() {
		m.mu.Lock()
		m.deliveryEnded()
		m.unlock()
	}()
	tell()
}

// unblock takes a job out that is blocked, and tells whether it was.
func (m *Master) unblock(j *Job) bool {
	if _, is := m.blocked[j]; !is {
		return false
	}
	if delete(m.blocked, j); len(m.blocked) == 0 {
		m.blocked = nil // a map keeps the room that it had to have once
	}
	return true
}

// dropBlocked tells the sinks of all blocked jobs that these will not run.
func (m *Master) dropBlocked(out *news, why error) {
	for j := range m.blocked {
		m.dropOne(out, j, why)
	}
	m.blocked = nil
}

// dropOne tells the sink of a job of one unit, which is in no queue, that it will not run.
func (m *Master) dropOne(out *news, j *Job, why error) {
	j.marks |= dropped
	m.stats.Cancelled++
	m.trace.cancelled(j, 1)
	out.list = append(out.list, delivery{job: j, n: 1, rest: &rest{drop: why}})
}
