package proc

// GuardianEnded returns a channel that is closed when this process knows that its guardian, which it has, lives no more.
func GuardianEnded() <-chan struct{} {
	guardian.mu.Lock()
	defer guardian.mu.Unlock()
	return guardian.child.done
}
