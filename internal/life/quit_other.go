//go:build !unix

package life

import "context"

// awaitQuit does nothing where there is no SIGQUIT.
func awaitQuit(_ context.Context, listens chan<- struct{}) { close(listens) }
