package life

import (
	"context"
	"runtime/debug"
)

// protected calls the program's function; a panic in it, or a call of runtime.Goexit, is an error.
func (p Program) protected(ctx context.Context) error {
	result := make(chan error, 1)
	go func() {
		normal := false
		defer func() {
			if normal {
				return
			}
			if v := recover(); v != nil {
				result <- p.Recovered(v, debug.Stack())
				return
			}
			result <- p.Recovered(nil, debug.Stack())
		}()
		err := p.Run(ctx)
		normal = true
		result <- err
	}()
	return <-result
}
