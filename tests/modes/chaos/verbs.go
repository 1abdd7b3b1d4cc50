//go:build unix

package main

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"math/rand/v2"
	"slices"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

// retrying is the verb whose tasks may run again.
const retrying = "Submit with retries"

// block is tasks with consecutive numbers that are submitted by one verb.
type block struct {
	verb  verb
	rand  *rand.Rand
	first int
	tasks []task
}

// verb is a way to have tasks done.
type verb struct {
	name string
	one  bool // a failure is that of its task alone: all but those that fail at once
	do   func(ctx context.Context, ex futures.Executor, p *pool.Pool, l *ledger, b block)
}

var verbs = []verb{
	{"Submit", true, submit},
	{"Map", true, func(ctx context.Context, ex futures.Executor, _ *pool.Pool, l *ledger, b block) {
		l.range1(b, true, futures.Map(ctx, ex, work, b.tasks))
	}},
	{"Map of a sequence", true, func(ctx context.Context, ex futures.Executor, _ *pool.Pool, l *ledger, b block) {
		l.range1(b, true, futures.Map(ctx, ex, work, slices.Values(b.tasks), futures.WithBufferSize(1+b.rand.IntN(64))))
	}},
	{"Map in chunks", true, func(ctx context.Context, ex futures.Executor, _ *pool.Pool, l *ledger, b block) {
		n := 1 + b.rand.IntN(20)
		l.range1(b, true, futures.Map(ctx, ex, work, b.tasks, futures.WithChunkSize(n)))
	}},
	{"SubmitEach", true, submitEach},
	{"Map unordered", true, func(ctx context.Context, ex futures.Executor, _ *pool.Pool, l *ledger, b block) {
		l.range1(b, false, futures.Map(ctx, ex, work, b.tasks, futures.Unordered()))
	}},
	{"Starmap", true, func(ctx context.Context, ex futures.Executor, _ *pool.Pool, l *ledger, b block) {
		l.range1(b, true, futures.Starmap(ctx, ex, workStar, b.pairs()))
	}},
	{retrying, true, submitRetrying},
	{"ApplyAsync", true, func(ctx context.Context, _ futures.Executor, p *pool.Pool, l *ledger, b block) {
		var all []*pool.ApplyResult[answer]
		for _, t := range b.tasks {
			r, err := pool.ApplyAsync(p, work, t)
			if err != nil {
				l.fault("ApplyAsync: %v", err)
				return
			}
			all = append(all, r)
		}
		for i, r := range all {
			a, err := r.Get(ctx)
			l.told(b.tasks[i], a, err)
		}
	}},
	{"pool.Map", false, func(ctx context.Context, _ futures.Executor, p *pool.Pool, l *ledger, b block) {
		all, err := pool.Map(ctx, p, work, b.tasks)
		l.whole(b, all, err)
	}},
	{"MapAsync", true, func(ctx context.Context, _ futures.Executor, p *pool.Pool, l *ledger, b block) {
		r, err := pool.MapAsync(ctx, p, work, b.tasks, pool.WithChunkSize(1+b.rand.IntN(9)), pool.KeepGoing())
		if err != nil {
			l.fault("MapAsync: %v", err)
			return
		}
		all, err := r.Get(ctx)
		l.wholeButFailures(b, all, err)
	}},
	{"Imap", true, func(ctx context.Context, _ futures.Executor, p *pool.Pool, l *ledger, b block) {
		l.range1(b, true, pool.Imap(ctx, p, work, b.tasks))
	}},
	{"IstarmapUnordered", true, func(ctx context.Context, _ futures.Executor, p *pool.Pool, l *ledger, b block) {
		l.range1(b, false, pool.IstarmapUnordered(ctx, p, workStar, b.pairs()))
	}},
}

func (b block) pairs() []futures.Pair[int, task] {
	all := make([]futures.Pair[int, task], len(b.tasks))
	for i, t := range b.tasks {
		all[i] = futures.Pair[int, task]{First: i, Second: t}
	}
	return all
}

// plan makes a task up. Of so many, one crashes, if that is not 0.
func (b block) plan(n, every int) task {
	t := task{N: n}
	switch k := b.rand.IntN(1000); {
	case k < 700: // tiny
	case k < 850:
		t.Do = compute
	case k < 880:
		t.Do = sleep
	case b.verb.one && k < 900:
		t.Do = []deed{fail, panics, goexit}[k%3]
	}
	if every > 0 && n%every == every/2 && b.verb.name != retrying { // which would do it again
		t.Do = []deed{exit, kill}[n%2]
	}
	size := 0
	switch k := b.rand.IntN(10_000); {
	case k < 7000:
		size = k % 100
	case k < 9900:
		size = k
	case k < 9990:
		size = 10 * k
	case b.verb.name != "SubmitEach": // which sends it to every worker
		size = 300<<10 + 400*k
	}
	t.Data = bytes.Repeat([]byte{byte(n)}, size)
	return t
}

func submit(ctx context.Context, ex futures.Executor, _ *pool.Pool, l *ledger, b block) {
	type waiting struct {
		t         task
		cancelled bool
	}
	of := map[*futures.Future[answer]]waiting{}
	var all []*futures.Future[answer]
	for _, t := range b.tasks {
		f, err := futures.Submit(ex, work, t)
		if err != nil {
			l.fault("Submit: %v", err)
			return
		}
		f.AddDoneCallback(func(*futures.Future[answer]) { l.calls[t.N].Add(1) })
		of[f] = waiting{t, b.rand.IntN(20) == 0 && f.Cancel()}
		all = append(all, f)
	}
	l.called.Add(int64(len(all)))
	for f, err := range futures.AsCompleted(ctx, all) {
		if err != nil {
			l.fault("AsCompleted: %v", err)
			return
		}
		w := of[f]
		a, err := f.Result(ctx)
		if w.cancelled != errors.Is(err, futures.ErrCancelled) {
			l.fault("task %d: Cancel was %v, and then: %v", w.t.N, w.cancelled, err)
		}
		l.told(w.t, a, err)
	}
}

// submitRetrying submits tasks that may run again, and must all be done, but for those that kill.
func submitRetrying(ctx context.Context, ex futures.Executor, _ *pool.Pool, l *ledger, b block) {
	var all []*futures.Future[answer]
	for _, t := range b.tasks {
		l.again[t.N] = true
		f, err := futures.Submit(ex, work, t, futures.WithRetries(retries))
		if err != nil {
			l.fault("Submit: %v", err)
			return
		}
		all = append(all, f)
	}
	for i, f := range all {
		a, err := f.Result(ctx)
		l.told(b.tasks[i], a, err)
	}
}

// submitEach has a few of the tasks done on every worker, and the others by Submit.
func submitEach(ctx context.Context, ex futures.Executor, p *pool.Pool, l *ledger, b block) {
	few := min(len(b.tasks), 3)
	for _, t := range b.tasks[:few] {
		l.each[t.N] = true
		f, err := futures.SubmitEach(ex, workEach, t)
		if err != nil {
			l.fault("SubmitEach: %v", err)
			return
		}
		ns, err := f.Result(ctx)
		if err == nil && slices.ContainsFunc(ns, func(n int) bool { return n != t.N }) {
			l.fault("task %d: the workers answer %v", t.N, ns)
		}
		l.told(t, answer{t.N, t.Data}, err)
	}
	b.tasks = b.tasks[few:]
	submit(ctx, ex, p, l, b)
}

// range1 reads a map to its end, which yields something for every task: in the order of the input, or in any.
func (l *ledger) range1(b block, inOrder bool, results iter.Seq2[answer, error]) {
	i := 0
	for a, err := range results {
		k := a.N - b.first
		if err != nil {
			element := new(futures.ElementError)
			if !errors.As(err, &element) {
				l.fault("%s: the map ended: %v", b.verb.name, err)
				return
			}
			k = element.Index
		}
		switch {
		case k < 0 || k >= len(b.tasks):
			l.fault("%s: element %d, and there are %d", b.verb.name, k, len(b.tasks))
		case inOrder && k != i:
			l.fault("%s: element %d where %d was due", b.verb.name, k, i)
		default:
			l.told(b.tasks[k], a, err)
		}
		i++
	}
	if i != len(b.tasks) {
		l.fault("%s: %d results and errors of %d", b.verb.name, i, len(b.tasks))
	}
}

// whole enters what a verb returned that returns all results or the first failure.
func (l *ledger) whole(b block, all []answer, err error) {
	element := new(futures.ElementError)
	switch {
	case errors.As(err, &element):
		l.told(b.tasks[element.Index], answer{}, err)
		l.drop(b)
	case err != nil:
		l.fault("%s: the map ended: %v", b.verb.name, err)
	default:
		l.wholeButFailures(b, all, nil)
	}
}

// wholeButFailures enters what a verb returned that goes on after failures.
func (l *ledger) wholeButFailures(b block, all []answer, err error) {
	var failed futures.ElementErrors
	if err != nil && !errors.As(err, &failed) || len(all) != len(b.tasks) {
		l.fault("%s: %d results of %d, and %v", b.verb.name, len(all), len(b.tasks), err)
		return
	}
	errs := make([]error, len(all))
	for _, err := range failed {
		errs[err.Index] = err
	}
	for i, a := range all {
		l.told(b.tasks[i], a, errs[i])
	}
}
