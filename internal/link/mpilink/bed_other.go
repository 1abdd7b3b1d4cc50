//go:build !linux

package mpilink

import "time"

func (b *bed) doze(d time.Duration) { b.slumber(d) }

func (b *bed) rouse() {}
