//go:build !linux

package mpilink

import "time"

func (b *bed) doze(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-b.wake:
	case <-t.C:
	}
}

func (b *bed) rouse() {}
