package monitor

import (
	"context"
	"errors"
	"sync"

	"github.com/rankpool/rankpool/internal/life"
)

// Server shows what this program does at an address. Its methods may be called from several goroutines at once.
type Server struct {
	where  string
	end    func(context.Context)
	forget func()
	once   sync.Once
}

// Serve shows what this program does at an address of the same form as in the variable: HOST:PORT on the loopback interface,
// public:HOST:PORT, or unix:PATH. It is for programs that decide in code; a server of the variable runs beside it. It blocks until the
// address is served, or until ctx ends. [Server.Close], or the end of the program, ends the server. In a worker it returns an error: the
// master shows what all workers do.
func Serve(ctx context.Context, address string) (*Server, error) {
	if life.InWorker() {
		return nil, errors.New("monitor: this process is a worker, and its master shows what it does: call Serve in Main's function")
	}
	type outcome struct {
		where string
		end   func(context.Context)
		err   error
	}
	made := make(chan outcome, 1)
	go func() { // a socket may lie in a folder that hangs
		var o outcome
		o.where, o.end, o.err = serve(address)
		made <- o
	}()
	select {
	case o := <-made:
		if o.err != nil {
			return nil, errors.Join(errors.New("monitor: nothing is shown at "+address), o.err)
		}
		s := &Server{where: o.where, end: o.end}
		s.forget = life.AtEnd(s.close)
		return s, nil
	case <-ctx.Done():
		go func() {
			if o := <-made; o.err == nil {
				o.end(context.Background())
			}
		}()
		return nil, context.Cause(ctx)
	}
}

// Address returns where the server is: an address for a browser, with the token, or unix:PATH. `rankpool top` takes either.
func (s *Server) Address() string { return s.where }

// Close ends the server. Requests that are being answered are cut off. It may be called again.
func (s *Server) Close() error {
	s.forget()
	s.close(context.Background())
	return nil
}

func (s *Server) close(ctx context.Context) { s.once.Do(func() { s.end(ctx) }) }
