//go:build !linux

package mpilink

import "time"

func (p *parker) waitKernel(d time.Duration) { p.waitTimer(d) }

func (p *parker) wakeKernel() {}
