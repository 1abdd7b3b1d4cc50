package settings

import (
	"fmt"
	"sync"
)

// process is what this process is set to, where it serves masters.
var process struct {
	sync.Mutex
	users int
	now   Settings
	undo  func() error // nil at first
}

// Enter sets this process as a master has said, until all have left that say the same; it stays so until one says something else.
// What is set already is left alone. While another master's settings are in use, different ones are refused.
func (s Settings) Enter() (leave func(), err error) {
	p := &process
	p.Lock()
	defer p.Unlock()
	if p.users > 0 {
		err = s.Beside(p.now)
	} else if p.undo == nil || differ(p.now, s) != "" {
		err = enter(s)
	}
	if err != nil {
		return nil, err
	}
	p.users++
	return sync.OnceFunc(func() {
		p.Lock()
		p.users--
		p.Unlock()
	}), nil
}

// enter sets this process. The caller holds the lock.
func enter(s Settings) error {
	p := &process
	if p.undo != nil {
		if err := p.undo(); err != nil {
			return fmt.Errorf("what an executor before this one has set cannot be taken back: %w", err)
		}
		p.undo, p.now = nil, Settings{}
	}
	undo, err := s.apply()
	if err == nil {
		p.now, p.undo = s, undo
	}
	return err
}

// Beside says why processes that are set as other says cannot be set as s says at the same time, if that is so.
func (s Settings) Beside(other Settings) error {
	if what := differ(other, s); what != "" {
		return &InUseError{What: what}
	}
	return nil
}

// InUseError says that the same processes work for an executor whose program had other settings.
type InUseError struct{ What string } // what is different

// Error says what to do.
func (e *InUseError) Error() string {
	return "the program has changed its own process (" + e.What + ") since another executor was started that is still open and has the same " +
		"ranks for workers, which have one setting at a time: close that executor first, or make the change before it starts"
}
