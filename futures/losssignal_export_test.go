package futures

import (
	"context"
	"os"
)

// The bounds of what a loss explains.
const (
	LossHold   = lossHold
	LossMemory = lossMemory
)

// LossSignal is lossSignal for tests.
type LossSignal struct{ l lossSignal }

// NewLossSignal returns one with the losses of a test.
func NewLossSignal(s os.Signal, losses func() (int, <-chan struct{}), say func(string)) *LossSignal {
	return &LossSignal{lossSignal{signal: s, losses: losses, say: say}}
}

// Await is await.
func (l *LossSignal) Await(ctx context.Context, told <-chan os.Signal) os.Signal {
	return l.l.await(ctx, told)
}

// Review is review.
func (l *LossSignal) Review() { l.l.review() }
