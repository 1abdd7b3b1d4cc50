package proc

import (
	"errors"
	"os"
	"time"
)

// WaitForLineage sets how long what a worker has left may take to end, after it was asked and after it was killed, until the
// function that is returned is called.
func WaitForLineage(asked, killed time.Duration) (restore func()) {
	a, k := orderly, atOnce
	orderly, atOnce = asked, killed
	return func() { orderly, atOnce = a, k }
}

// GuardianEnded returns a channel that is closed when this process knows that its guardian, which it has, lives no more.
func GuardianEnded() <-chan struct{} {
	guardian.mu.Lock()
	defer guardian.mu.Unlock()
	return guardian.child.done
}

// RefuseMappings has this process, a worker, be refused what it inherits.
func RefuseMappings() {
	mapInherited = func(*os.File) ([][]byte, error) { return nil, errors.New("refused") }
}
