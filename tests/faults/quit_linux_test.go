package faults_test

import (
	"context"
	"runtime"
	"syscall"
	"testing"
)

func init() {
	roles["told last by SIGQUIT"] = func(context.Context) error {
		runtime.LockOSThread()
		return syscall.Tgkill(syscall.Getpid(), syscall.Gettid(), syscall.SIGQUIT) // it has come when this returns
	}
}

func TestSIGQUITEndsAProgramWhoseFunctionReturnsWithIt(t *testing.T) {
	p := role(t, false, "told last by SIGQUIT")
	if got := p.status(); got != 2 {
		t.Errorf("status %d, want 2", got)
	}
	_, stderr := p.leavesNothing()
	says(t, stderr, "rankpool: status:", "SIGQUIT: quit", "goroutine ")
}
