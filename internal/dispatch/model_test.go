package dispatch

import (
	"fmt"
	"hash/maphash"
	"strings"
	"testing"
	"unsafe"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/testkit"
)

// The model is one worker and its master, as far as the numbers of tasks go. The worker's decisions are those of protocol and its
// marks those of link.Journal, the real ones; around them stands what the goroutines of the worker do between two decisions,
// in the smallest steps in which others see them: the receiver, the runner, and two look-outs, each of which may come at any
// time and rest at any step. The master sends any number of units whenever it might, and takes in messages in the order in
// which they were sent, at any time. At every step the worker may be lost, with its journal or without.
//
// explore goes through every order of the steps. What must hold is in check and in the master's half.

const (
	modelUnits = 5 // at most
	modelGang  = 9 // the unit that belongs to a gang
	modelBatch = 3 // the most units of a frame
)

// places of the receiver, the runner and a look-out
const (
	away byte = iota

	recvWaits  // for a frame
	recvDecide // has one
	recvFlush  // is to hand it back: first the results that there are, which it looks for after it knows the last unit of the batch
	recvFlushUpTo
	recvFlushing
	recvReturn // then the number

	recvHaltFlush // has been told that contexts end, and gives back what has not begun
	recvHaltFlushUpTo
	recvHaltFlushing
	recvHalt

	runSetup
	runSetupAnswer
	runPick
	runOpen
	runBegin
	runEnd
	runFlush // the stream is full, or has segments
	runFlushMark
	runReopen
	runClose
	runLast
	runLastMark
	runLetGo

	lookFlush
	lookFlushUpTo
	lookFlushing
	lookHalt
	lookSend
)

// modelFrame is a frame of tasks. It carries the units themselves, which the real one has as their arguments.
type modelFrame struct {
	first, units, epoch byte
	idle                bool
	id                  [modelBatch]byte

	cancel, upto byte // no tasks but the end of the contexts of these numbers
	recall       bool // none of which is to begin any more
}

// modelWord is what a worker says: results of units (R), a hand-back (b), ready (r).
type modelWord struct {
	kind        byte
	first, last byte
}

type modelPiece struct {
	seq, id byte
	first   bool // it came to a worker that had nothing else
}

// model is a state of everything. It is a value: a step is a copy.
type model struct {
	size
	// The master.
	queue  [modelUnits]byte
	queued byte
	out    [modelUnits]modelPiece
	outs   byte
	ends   [4]byte // last numbers of frames that are not wholly answered
	frames byte
	seq    byte
	epoch  byte
	ready  bool
	long   bool

	withdrawn  uint16 // by unit: nobody wants it any more
	withdraws  byte   // that may come
	interrupts byte
	dropping   bool // a shutdown that cancels

	// What is under way.
	toWorker  [4]modelFrame
	toWorkers byte
	toMaster  [6]modelWord
	toMasters byte

	// The worker.
	proto protocol
	marks [2]uint64

	recalls   uint32 // by number: marks that the master writes where it shares the memory, and else the receiver
	cancelled uint32 // by number: the context of the unit has ended

	recv struct {
		at    byte
		frame modelFrame
		from  byte
		mark  byte
		last  byte
	}
	run struct {
		at      byte
		frame   modelFrame
		unit    byte // that runs, or has run last
		stream  byte // the first unit whose results are in the stream
		flushed byte // the last that another has sent of it
		halted  bool
		stop    bool
	}
	flushing byte // who holds the lock on sending: 1 the receiver, 2 the runner, 3 and 4 the look-outs
	look     [2]struct {
		at, first, mark, from, last byte
	}

	// What became of the units.
	ran      [modelGang + 1]byte
	passed   [modelGang + 1]byte // over, because they were recalled
	told     [modelGang + 1]byte
	failed   byte // told that they were lost
	mayFail  byte // how many may be, by the losses so far
	violated string
}

// modelFault changes what the worker decides. The real one has none.
type modelFault struct {
	name string

	// early has the epoch compared when a frame comes, and not when it is decided.
	early bool

	admit func(p *protocol, f arrival, j *link.Journal) (verdict, uint64)
	halt  func(p *protocol, first uint64, j *link.Journal) uint64

	// interruptsRecall has the end of a context recall units too. passed says what becomes of a unit that is recalled.
	interruptsRecall bool
	passed           passedOver
}

type passedOver byte

const (
	isAnswered passedOver = iota // as the real ones are
	isForgotten
	comesBack
)

var noFault = modelFault{
	admit: (*protocol).admit,
	halt:  (*protocol).halt,
}

// explorer goes through the states.
type explorer struct {
	fault   modelFault
	seed    maphash.Seed
	seen    map[uint64]struct{}
	path    []string
	ends    int
	words   []uint64
	journal *link.Journal
}

func newExplorer(f modelFault) *explorer {
	if f.admit == nil {
		f.admit = noFault.admit
	}
	if f.halt == nil {
		f.halt = noFault.halt
	}
	e := &explorer{fault: f, seed: maphash.MakeSeed(), seen: map[uint64]struct{}{}, words: make([]uint64, 16)}
	e.journal = link.NewJournal(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(e.words))), len(e.words)*8))
	return e
}

// with calls f with the journal of a state.
func (e *explorer) with(m *model, f func(j *link.Journal)) {
	copy(e.words, m.marks[:])
	f(e.journal)
	copy(m.marks[:], e.words)
}

// size says how much there is to go through.
type size struct {
	units  byte
	gang   bool // the last unit is one of a gang
	looks  byte // look-outs
	full   bool // results may have to be sent before the end of the batch
	other  bool // there is another worker, which does any unit at once
	losses byte // of the worker

	withdrawals byte // units that nobody wants any more
	far         bool // a message alone says so
	blocks      bool // unit 0 runs until its context ends, which the master has it do
	drops       bool // a shutdown may cancel what waits
}

func (z size) start() model {
	m := model{size: z, queued: z.units, withdraws: z.withdrawals}
	for i := range z.units {
		m.queue[i] = i
	}
	if z.gang {
		m.queue[z.units-1] = modelGang
	}
	m.boot()
	return m
}

// boot has a new worker begin.
func (m *model) boot() {
	m.toWorkers, m.toMasters = 0, 0
	m.toWorker, m.toMaster = [4]modelFrame{}, [6]modelWord{}
	m.seq, m.epoch, m.ready, m.long, m.frames, m.ends = 0, 0, false, false, 0, [4]byte{}
	m.proto, m.marks = protocol{receiving: true}, [2]uint64{}
	m.recalls, m.cancelled, m.interrupts = 0, 0, 0
	if m.blocks {
		m.interrupts = 1
	}
	m.recv, m.run, m.look, m.flushing = model{}.recv, model{}.run, model{}.look, 0
	m.proto.setUp()
	m.run.at = runSetup
}

func (m *model) wrong(format string, args ...any) {
	if m.violated == "" {
		m.violated = fmt.Sprintf(format, args...)
	}
}

// say sends a word to the master.
func (m *model) say(w modelWord) {
	m.toMaster[m.toMasters] = w
	m.toMasters++
}

// explore goes through what can follow m. It returns the first violation.
func (e *explorer) explore(m model, step string) (violation string) {
	h := maphash.Comparable(e.seed, m)
	if _, ok := e.seen[h]; ok {
		return ""
	}
	e.seen[h] = struct{}{}
	e.path = append(e.path, step)
	defer func() { e.path = e.path[:len(e.path)-1] }()
	if v := m.check(); v != "" {
		return v + "\n  " + strings.Join(e.path, "\n  ")
	}
	moved := false
	for _, s := range steps {
		next := m
		if !s.do(e, &next) {
			continue
		}
		moved = moved || !s.optional || s.due != nil && s.due(&m)
		if v := e.explore(next, s.name); v != "" {
			return v
		}
	}
	if !moved {
		e.ends++
		for id, n := range m.told {
			if n != 1 && (id < int(m.units)-1 || id == int(m.units)-1 && !m.gang || id == modelGang && m.gang) {
				return fmt.Sprintf("at the end unit %d was answered %d times\n  %s", id, n, strings.Join(e.path, "\n  "))
			}
		}
	}
	return ""
}

// check says what is wrong with a state.
func (m *model) check() string {
	if m.violated != "" {
		return m.violated
	}
	for id, n := range m.ran {
		if n+m.passed[id] > 1 {
			return fmt.Sprintf("unit %d ran twice, or was passed over too", id)
		}
		if m.told[id] > 1 {
			return fmt.Sprintf("unit %d was answered twice", id)
		}
	}
	if m.epoch > 4*modelUnits {
		return "units are handed back without end"
	}
	if m.failed > m.mayFail {
		return fmt.Sprintf("%d units failed, the losses explain %d", m.failed, m.mayFail)
	}
	if (m.recv.at != away) != m.proto.receiving {
		return "the protocol is wrong about who receives"
	}
	if (m.run.at != away) != m.proto.running {
		return "the protocol is wrong about who runs"
	}
	return ""
}

// steps are all that can happen. do returns false when it cannot now.
var steps = func() []modelStep {
	all := []modelStep{
		{name: "receiver", do: receiverStep},
		{name: "runner", do: runnerStep},
		{name: "runner sends the stream at once", do: runnerFull},
		{name: "master has the contexts of what it has sent end", do: func(e *explorer, m *model) bool { return m.interrupt(e.fault.interruptsRecall) }},
		{name: "master cancels what waits", optional: true, do: func(_ *explorer, m *model) bool { return m.drop() }},
		{name: "master takes in a message", do: func(_ *explorer, m *model) bool { return m.take() }},
		{name: "worker is lost", optional: true, do: func(e *explorer, m *model) bool { return e.lose(m, int(m.toMasters), true) }},
	}
	all = append(all, modelStep{name: "the other worker does the next unit", optional: true, do: func(_ *explorer, m *model) bool { return m.elsewhere() }})
	for id := range byte(modelUnits) {
		all = append(all, modelStep{name: fmt.Sprintf("unit %d is withdrawn", id), optional: true,
			do: func(_ *explorer, m *model) bool { return m.withdraw(id) }})
	}
	for n := range modelBatch {
		all = append(all, modelStep{name: fmt.Sprintf("master sends %d", n+1),
			do: func(_ *explorer, m *model) bool { return m.send(byte(n + 1)) }})
	}
	for l := range len(model{}.look) {
		all = append(all,
			modelStep{name: fmt.Sprintf("look-out %d comes", l), optional: true,
				due: func(m *model) bool { return m.blocks && !m.proto.receiving }, // what runs long is looked at
				do:  func(_ *explorer, m *model) bool { return m.lookComes(l) }},
			modelStep{name: fmt.Sprintf("look-out %d", l), do: func(e *explorer, m *model) bool { return lookStep(e, m, l) }})
	}
	for n := range len(model{}.toMaster) {
		all = append(all, modelStep{name: fmt.Sprintf("worker is lost without a journal, after %d of its messages", n), optional: true,
			do: func(e *explorer, m *model) bool { return n <= int(m.toMasters) && e.lose(m, n, false) }})
	}
	return all
}()

type modelStep struct {
	name     string
	optional bool              // that it can happen does not say that the end has not come
	due      func(*model) bool // but in these states
	do       func(*explorer, *model) bool
}

// sizes are what the model goes through: each has something that another has not, and together they take seconds.
var sizes = []size{
	{units: 5, looks: 1, gang: true},
	{units: 4, looks: 1, gang: true, full: true},
	{units: 3, looks: 1, gang: true, full: true, losses: 1},
	{units: 3, looks: 1, losses: 2},
	{units: 3, looks: 2, full: true},
	{units: 4, looks: 1, gang: true, other: true},
	{units: 2, looks: 1, full: true, withdrawals: 1},
	{units: 2, looks: 1, withdrawals: 2},
	{units: 3, looks: 1, far: true, withdrawals: 1},
	{units: 2, looks: 1, blocks: true, withdrawals: 1},
	{units: 3, looks: 1, gang: true, drops: true, withdrawals: 1},
	{units: 2, looks: 1, blocks: true, withdrawals: 1, losses: 1},
}

func TestInEveryOrderOfStepsEachUnitRunsOnceAndIsAnsweredOnce(t *testing.T) {
	unraced(t)
	for _, z := range sizes {
		if testing.Short() && (z.losses > 0 || z.looks > 1) {
			continue
		}
		e := newExplorer(noFault)
		if v := e.explore(z.start(), "start"); v != "" {
			t.Fatal(v)
		}
		t.Logf("%+v: %d states, of which %d are ends", z, len(e.seen), e.ends)
		if e.ends == 0 {
			t.Error("nothing comes to an end")
		}
	}
}

// unraced skips a test of one goroutine where the race detector is, which would only make it slow.
func unraced(t *testing.T) {
	t.Helper()
	if testkit.Race {
		t.Skip("one goroutine explores the model: make unraced does it without the race detector")
	}
}

// Each of these was the code's once, or is a step away from it.
func TestTheModelFindsAWorkerThatDecidesWrongly(t *testing.T) {
	unraced(t)
	if testing.Short() {
		t.Skip("it examines the model, which changes seldom, and takes as long as all other tests of this package")
	}
	faults := []modelFault{
		{name: "the epoch is compared when a frame comes, before the wait", early: true},
		{name: "a frame is handed back beside the rest of the batch that runs",
			admit: func(p *protocol, f arrival, j *link.Journal) (verdict, uint64) {
				if p.running && !p.closing && !f.idle && f.epoch == p.epoch {
					p.known = f.first + f.units - 1
					p.epoch++
					return toReturn, f.first
				}
				return p.admit(f, j)
			}},
		{name: "the epoch is not compared",
			admit: func(p *protocol, f arrival, j *link.Journal) (verdict, uint64) {
				f.epoch = p.epoch
				return p.admit(f, j)
			}},
		{name: "what comes to a worker that is idle for its master is handed back",
			admit: func(p *protocol, f arrival, j *link.Journal) (verdict, uint64) {
				f.idle = false
				return p.admit(f, j)
			}},
		{name: "the unit that runs is handed back too",
			halt: func(p *protocol, first uint64, j *link.Journal) uint64 {
				from := p.halt(first, j)
				return max(from, 1) - 1
			}},
		{name: "the hand-back is not counted",
			halt: func(p *protocol, first uint64, j *link.Journal) uint64 {
				from := p.halt(first, j)
				if from > 0 {
					p.epoch--
				}
				return from
			}},
		{name: "a unit that is recalled is neither run nor answered", passed: isForgotten},
		{name: "the end of a context recalls the unit", interruptsRecall: true},
		{name: "the end of a context recalls the unit, which comes back and runs with a context that does not end",
			interruptsRecall: true, passed: comesBack},
	}
	for _, f := range faults {
		found := ""
		for _, z := range sizes {
			about := f.passed != isAnswered || f.interruptsRecall // what others do not go through
			if testkit.Race && (z.losses > 0 || z.looks > 1) || about && z.withdrawals == 0 {
				continue
			}
			if found = newExplorer(f).explore(z.start(), "start"); found != "" {
				break
			}
		}
		if found == "" {
			t.Errorf("not found: %s", f.name)
			continue
		}
		what, _, _ := strings.Cut(found, "\n")
		t.Logf("%s: %s", f.name, what)
	}
}
