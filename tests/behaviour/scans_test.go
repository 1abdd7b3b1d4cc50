package behaviour_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/rankpool/rankpool/comm"
	"github.com/rankpool/rankpool/futures"
)

var (
	scans  = futures.RegisterContext("scans", checkScans)
	counts = futures.RegisterContext("counts", checkCounts)
	splits = futures.RegisterContext("splits", checkSplits)

	// mixed has ranks call different operations, or the same one differently.
	mixed = futures.RegisterContext("mixed", func(ctx context.Context, how string) (string, error) {
		c, err := futures.CommWorkers(ctx)
		if err != nil {
			return "", err
		}
		first := c.Rank() == 0
		switch how {
		case "one sends, the other waits":
			if first {
				_, err = comm.Bcast(ctx, c, 1, 0)
			} else {
				_, err = comm.Scan(ctx, c, 1, comm.Sum[int])
			}
		case "both wait":
			if first {
				_, err = comm.Gather(ctx, c, 1, 0)
			} else {
				_, err = comm.Bcast(ctx, c, 1, 0)
			}
		case "other roots":
			root := 1
			if first {
				root = 0
			}
			_, err = comm.Gather(ctx, c, 1, root)
		case "Scatterv":
			_, err = comm.Scatterv(ctx, c, []int{1, 2, 3}, make([]int, c.Size()), 0)
		case "Scatter":
			_, err = comm.Scatter(ctx, c, []int{}, 0)
		case "Alltoallv":
			n := make([]int, c.Size())
			if first {
				n[0] = -1
			}
			_, _, err = comm.Alltoallv(ctx, c, []int{}, n)
		case "ReduceScatter":
			n := c.Size()
			if first {
				n++
			}
			_, err = comm.ReduceScatter(ctx, c, make([]int, n), comm.Sum[int])
		}
		if err == nil { // whoever has noticed nothing
			err = c.Barrier(ctx)
		}
		return fmt.Sprint(err), err
	})
)

// brackets says in which order an operation was used.
func brackets(a, b string) string { return "(" + a + b + ")" }

// tree is what Reduce makes of values, one of each rank.
func tree[T any](vs []T, op comm.Op[T]) T {
	vs = slices.Clone(vs)
	for bit := 1; bit < len(vs); bit <<= 1 {
		for r := 0; r+bit < len(vs); r += 2 * bit {
			vs[r] = op(vs[r], vs[r+bit])
		}
	}
	return vs[0]
}

func checkScans(ctx context.Context, length int) (string, error) {
	c, err := futures.CommWorkers(ctx)
	if err != nil {
		return "", err
	}
	var v checks
	n, me := c.Size(), c.Rank()
	var names []string
	var values [][]float64
	for r := range n {
		names = append(names, string(rune('a'+r)))
		s := make([]float64, length)
		for i := range s { // whose sum depends on the order
			s[i] = math.Pow(-7, float64((5*r+i)%19)) / 3
		}
		values = append(values, s)
	}
	sum := comm.Elementwise(comm.Sum[float64])
	fresh := func(vs [][]float64) [][]float64 { // sum writes to what is on its right
		var all [][]float64
		for _, s := range vs {
			all = append(all, slices.Clone(s))
		}
		return all
	}
	mine := slices.Clone(values[me])

	order, err := comm.Scan(ctx, c, names[me], brackets)
	v.that("the order of Scan", order, tree(names[:me+1], brackets), err)
	got, err := comm.Scan(ctx, c, mine, sum)
	v.that("Scan", got, tree(fresh(values[:me+1]), sum), err)
	v.that("what Scan was given", mine, values[me], nil)
	wantOrder, want := "", []float64(nil)
	if me > 0 {
		wantOrder, want = tree(names[:me], brackets), tree(fresh(values[:me]), sum)
	}
	order, err = comm.Exscan(ctx, c, names[me], brackets)
	v.that("the order of Exscan", order, wantOrder, err)
	below, err := comm.Exscan(ctx, c, mine, sum)
	v.that("Exscan", below, want, err)
	v.that("what Exscan was given", mine, values[me], nil)

	// The same bits come of every way.
	all, err := comm.Allreduce(ctx, c, mine, sum)
	v.that("Allreduce", all, tree(fresh(values), sum), err)
	for root := range n {
		at, err := comm.Reduce(ctx, c, mine, sum, root)
		if me != root {
			want = nil
		} else {
			want = all
		}
		v.that("Reduce", at, want, err)
	}
	blocks := make([][]float64, n) // of different lengths
	at, block := 0, []float64(nil)
	for r := range n {
		k := (length - at) / (n - r)
		if r == 0 && n > 1 {
			k = 0
		}
		blocks[r] = mine[at : at+k]
		if r == me {
			block = all[at : at+k]
		}
		at += k
	}
	part, err := comm.ReduceScatter(ctx, c, blocks, sum)
	if len(block) == 0 {
		v.that("an empty part of ReduceScatter", len(part), 0, err)
	} else {
		v.that("ReduceScatter", part, block, err)
	}
	v.that("what ReduceScatter was given", mine, values[me], nil)
	one, err := comm.ReduceScatter(ctx, c, slices.Repeat([]string{names[me]}, n), brackets)
	v.that("the order of ReduceScatter", one, tree(names, brackets), err)

	_, err = comm.Scan[int](ctx, c, 1, nil)
	v.fails("Scan with nothing", err, "comm: Scan: the operation is nil")
	_, err = comm.Exscan[int](ctx, c, 1, nil)
	v.fails("Exscan with nothing", err, "comm: Exscan: the operation is nil")
	_, err = comm.ReduceScatter[int](ctx, c, make([]int, n), nil)
	v.fails("ReduceScatter with nothing", err, "comm: ReduceScatter: the operation is nil")
	return v.wrong, nil
}

// checkCounts has rank r send some elements to each, whose number depends on both.
func checkCounts(ctx context.Context, length int) (string, error) {
	c, err := futures.CommWorkers(ctx)
	if err != nil {
		return "", err
	}
	var v checks
	n, me := c.Size(), c.Rank()
	part := func(from, to int) []int {
		s := make([]int, (from+2*to)%4*length) // some are empty
		for i := range s {
			s[i] = 1000*from + 100*to + i
		}
		return s
	}
	concat := func(part func(r int) []int) (all, counts []int) {
		for r := range n {
			all, counts = append(all, part(r)...), append(counts, len(part(r)))
		}
		return all, counts
	}
	same := func(what string, got, want []int, err error) { // no matter what an empty one is
		v.that(what, append([]int{}, got...), append([]int{}, want...), err)
	}
	for root := range n {
		all, counts, err := comm.Gatherv(ctx, c, part(me, 0), root)
		wantAll, wantCounts := concat(func(r int) []int { return part(r, 0) })
		if me != root {
			wantAll, wantCounts = nil, nil
		}
		same("Gatherv", all, wantAll, err)
		same("the counts of Gatherv", counts, wantCounts, nil)
		var parts, sizes []int
		if me == root {
			parts, sizes = concat(func(r int) []int { return part(root, r) })
		}
		own, err := comm.Scatterv(ctx, c, parts, sizes, root)
		same("Scatterv", own, part(root, me), err)
	}
	all, counts, err := comm.Allgatherv(ctx, c, part(me, 0))
	wantAll, wantCounts := concat(func(r int) []int { return part(r, 0) })
	same("Allgatherv", all, wantAll, err)
	same("the counts of Allgatherv", counts, wantCounts, nil)
	out, sizes := concat(func(r int) []int { return part(me, r) })
	got, from, err := comm.Alltoallv(ctx, c, out, sizes)
	wantAll, wantCounts = concat(func(r int) []int { return part(r, me) })
	same("Alltoallv", got, wantAll, err)
	same("the counts of Alltoallv", from, wantCounts, nil)
	return v.wrong, nil
}

// checkSplits makes communicators of communicators, and has messages with the same tags in all of them.
func checkSplits(ctx context.Context, _ int) (string, error) {
	c, err := futures.CommWorkers(ctx)
	if err != nil {
		return "", err
	}
	var v checks
	n, me := c.Size(), c.Rank()
	back, err := c.Split(ctx, 0, -me)
	v.that("Split", back.Rank(), n-1-me, err)
	v.that("its size", back.Size(), n, nil)
	parity, err := c.Split(ctx, me%2, 0)
	v.that("Split by color", parity.Rank(), me/2, err)
	v.that("its size", parity.Size(), (n+1-me%2)/2, nil)
	twin, err := c.Dup(ctx)
	v.that("Dup", twin.Rank(), me, err)
	deeper, err := parity.Dup(ctx)
	v.that("Dup of a part", deeper.Rank(), parity.Rank(), err)
	var most *comm.Comm
	if me != n-1 {
		most, err = back.Split(ctx, 0, 0)
	} else {
		most, err = back.Split(ctx, comm.Undefined, 0)
	}
	v.that("Split without one", most == nil, me == n-1, err)
	if me == n-1 {
		v.fails("the communicator of nobody", most.Barrier(ctx), "there is no communicator")
	} else {
		v.that("what is left", most.Size(), n-1, most.Barrier(ctx))
	}

	// Each rank sends to the next one in all of them, with the same tag, and reads them in another order with wildcards.
	all := []*comm.Comm{c, back, parity, twin, deeper}
	for i, c := range all {
		v.that("Send", nil, nil, comm.Send(ctx, c, fmt.Sprint(i, " of ", c.Rank()), (c.Rank()+1)%c.Size(), 5))
	}
	for i, c := range slices.Backward(all) {
		last := (c.Rank() + c.Size() - 1) % c.Size()
		got, from, err := comm.RecvStatus[string](ctx, c, comm.AnySource, comm.AnyTag)
		v.that("Recv", got, fmt.Sprint(i, " of ", last), err)
		v.that("the status", from, comm.Status{Source: last, Tag: 5}, nil)
		_, ok, err := comm.Iprobe(c, comm.AnySource, comm.AnyTag)
		v.that("the rest", ok, false, err)
	}
	order, err := comm.Reduce(ctx, back, string(rune('a'+me)), func(a, b string) string { return a + b }, n-1)
	want := ""
	for r := range n {
		want = string(rune('a'+r)) + want
	}
	if me > 0 {
		want = ""
	}
	v.that("the order of ranks", order, want, err)

	// Operations of different communicators may be under way at once.
	sums := make(chan int, len(all))
	for _, c := range all {
		go func() {
			sum := 0
			for range 20 {
				one, err := comm.Allreduce(ctx, c, 1, comm.Sum[int])
				if err != nil {
					one = -1
				}
				part, err := c.Split(ctx, c.Rank()%2, 0)
				if err != nil {
					one = -1
				}
				two, err := comm.Allreduce(ctx, part, 1, comm.Sum[int])
				if err != nil {
					one = -1
				}
				if sum += one; two != (c.Size()+1-c.Rank()%2)/2 {
					sum = -1000
				}
			}
			sums <- sum
		}()
	}
	got, wantSum := 0, 0
	for _, c := range all {
		got += <-sums
		wantSum += 20 * c.Size()
	}
	v.that("sums that are made at once", got, wantSum, nil)

	_, err = c.Split(ctx, -2, 0)
	v.fails("a negative color", err, "color -2")
	v.fails("a rank out of range", comm.Send(ctx, parity, 1, parity.Size(), 0), fmt.Sprintf("there are %d ranks", parity.Size()))
	_, err = comm.Recv[int](atItsEnd(), parity, parity.Rank(), 0)
	v.fails("the end of a wait", err, "canceled")
	return v.wrong, nil
}

func TestScansAndReduceScatterKeepTheOrderOfReduce(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 4, 7} {
		onTalking(t, workers, func(t *testing.T, b backend, ex futures.Executor) {
			if workers == 7 && b.apart {
				return // enough of them
			}
			for _, length := range []int{5, 50_000} {
				right(t, ex, scans, length)
			}
		})
	}
}

func TestGatherAndScatterWithCounts(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 4} {
		onTalking(t, workers, func(t *testing.T, _ backend, ex futures.Executor) {
			for _, length := range []int{1, 20_000} {
				right(t, ex, counts, length)
			}
		})
	}
}

func TestMessagesOfDifferentCommunicatorsNeverMeet(t *testing.T) {
	for _, workers := range []int{1, 2, 3, 4} {
		onTalking(t, workers, func(t *testing.T, _ backend, ex futures.Executor) {
			for range 2 {
				right(t, ex, splits, 0)
			}
		})
	}
}

func TestRanksThatCallDifferentOperationsAreToldWhich(t *testing.T) {
	onTalking(t, 2, func(t *testing.T, _ backend, ex futures.Executor) {
		for how, words := range map[string][]string{
			"one sends, the other waits": {"Bcast", "Scan"},
			"both wait":                  {"Gather", "Bcast"},
			"other roots":                {"Gather", "uses root"},
			"Scatterv":                   {"Scatterv", "the counts leave out 3 of the 3 elements"},
			"Scatter":                    {"Scatter", "0 elements for 2 ranks"},
			"Alltoallv":                  {"Alltoallv", "the count for rank 0 is -1"},
			"ReduceScatter":              {"ReduceScatter", "3 elements for 2 ranks"},
		} {
			f, err := futures.SubmitEach(ex, mixed, how)
			if err != nil {
				t.Fatal(err)
			}
			_, err = f.Result(within(t))
			for _, w := range words {
				if err == nil || !contains(err, w) {
					t.Errorf("%s: %v", how, err)
				}
			}
			submitEach(t, ex, barrier, 0) // the next one is not affected
		}
	})
}
