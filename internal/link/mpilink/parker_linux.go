package mpilink

import (
	"time"

	"github.com/rankpool/rankpool/internal/futex"
)

// waitKernel blocks until wakeKernel, until the state is not parked, or until d is over. It may return early.
func (p *parker) waitKernel(d time.Duration) { futex.Wait(&p.state, parked, d) }

func (p *parker) wakeKernel() { futex.Wake(&p.state) }
