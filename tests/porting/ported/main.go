// How long does a gambler last? A study with a pool.
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
)

type table struct{ Goal, Limit int }

var rules table

type badSeed struct{ Seed int }

func (e *badSeed) Error() string {
	return fmt.Sprintf("seed %d is below 0", e.Seed)
}

var _ = futures.RegisterError[*badSeed]("badSeed")

// setRules is called once in every process with workers.
var setRules = futures.Register("setRules",
	func(r table) (bool, error) {
		rules = r
		return true, nil
	})

type game struct{ Money, Rounds int }

// play bets 1 a round until broke, rich or tired.
var play = futures.Register("play", playGame)

func playGame(seed int) (game, error) {
	if seed < 0 {
		return game{}, &badSeed{seed}
	}
	g := game{Money: rules.Goal / 2}
	for 0 < g.Money && g.Money < rules.Goal &&
		g.Rounds < rules.Limit {
		seed = (1103515245*seed + 12345) & (1<<31 - 1)
		if seed>>16&1 == 1 {
			g.Money++
		} else {
			g.Money--
		}
		g.Rounds++
	}
	return g, nil
}

type span struct{ First, Last, Step int }

// total returns all rounds of several games.
var total = futures.Register("total", totalOf)

func totalOf(s span) (int, error) {
	if s.Step == 0 {
		s.Step = 1 // the default
	}
	sum := 0
	for seed := s.First; seed < s.Last; seed += s.Step {
		g, err := playGame(seed)
		if err != nil {
			return 0, err
		}
		sum += g.Rounds
	}
	return sum, nil
}

func main() { futures.Main(run) }

func run(ctx context.Context) error {
	return pool.With(ctx, games, pool.WithProcesses(4),
		pool.WithInitializer(setRules, table{Goal: 40, Limit: 900}))
}

func games(ctx context.Context, p *pool.Pool) error {
	// One by one, in the order in which they end.
	seeds := make([]int, 2000)
	for i := range seeds {
		seeds[i] = i
	}
	ends := map[string]int{}
	for g, err := range pool.ImapUnordered(ctx, p, play, seeds,
		pool.WithChunkSize(50)) {
		switch {
		case err != nil:
			return err
		case g.Money == 0:
			ends["broke"]++
		case g.Money == 40:
			ends["rich"]++
		default:
			ends["tired"]++
		}
	}
	for _, end := range []string{"broke", "rich", "tired"} {
		fmt.Printf("%s: %d\n", end, ends[end])
	}

	// In the background, with callbacks.
	var done []game
	var failed []error
	for _, seed := range []int{7, -1, 8} {
		r, err := pool.ApplyAsync(p, play, seed)
		if err != nil {
			return err
		}
		r.Callback(func(g game) { done = append(done, g) })
		r.ErrorCallback(func(err error) {
			failed = append(failed, err)
		})
	}

	// Several arguments, and one by its name.
	spans := []span{{First: 0, Last: 100}, {First: 100, Last: 200},
		{First: 200, Last: 300}}
	sums, err := pool.Starmap(ctx, p, total, spans)
	if err != nil {
		return err
	}
	for i, n := range sums {
		fmt.Printf("games %d to %d: %d rounds\n",
			spans[i].First, spans[i].Last, n)
	}
	r, err := pool.ApplyAsync(p, total, span{Last: 300, Step: 3})
	if err != nil {
		return err
	}
	n, err := r.GetWithin(60 * time.Second)
	if err != nil {
		return err
	}
	fmt.Printf("each third: %d rounds\n", n)

	// An error of a task is returned here.
	var bad *badSeed
	_, err = pool.Map(ctx, p, play, []int{1, 2, -3, 4})
	if errors.As(err, &bad) {
		fmt.Printf("map: %v\n", bad)
	} else if err != nil {
		return err
	}

	p.Close()
	if err := p.Join(ctx); err != nil { // the callbacks have run
		return err
	}
	slices.SortFunc(done, func(a, b game) int {
		return cmp.Or(cmp.Compare(a.Money, b.Money),
			cmp.Compare(a.Rounds, b.Rounds))
	})
	for _, g := range done {
		fmt.Printf("callback: %d left after %d rounds\n",
			g.Money, g.Rounds)
	}
	for _, err := range failed {
		if errors.As(err, &bad) {
			fmt.Printf("error callback: %v\n", bad)
		}
	}
	return nil
}
