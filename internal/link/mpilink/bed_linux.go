package mpilink

import (
	"time"

	"github.com/rankpool/rankpool/internal/futex"
)

// doze blocks until rouse, until the state is not taken, or until d is over. That it may end too early does no harm.
func (b *bed) doze(d time.Duration) { futex.Wait(&b.state, taken, d) }

func (b *bed) rouse() { futex.Wake(&b.state) }
