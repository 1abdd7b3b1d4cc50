package monitor

import (
	"context"
	"crypto/rand"
	_ "embed"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/life"
	"github.com/rankpool/rankpool/internal/status"
)

//go:embed page.html
var page string

const (
	usualWorkers = 1000             // of each executor are told of, unless a request says how many
	mostWorkers  = 1 << 20          // that it may ask for
	lookLimit    = 10 * time.Second // for a status
)

// Handler returns a handler that shows the executors of this program. Below its path it has
//
//   - / : a page for a browser, which requests the status every second
//   - /status : the same as JSON; ?workers=N limits how many workers of each executor are listed (default 1000), those with the longest
//     task first
//   - /metrics : metrics for Prometheus, of executors and functions, not of each worker
//
// It asks for no token: the server that it is part of decides who may see it. Below a path other than / use [net/http.StripPrefix]. In a
// worker it shows the executors that tasks have made there. It may be called several times; the handlers may be used at the same time.
func Handler() http.Handler {
	l := &look{turn: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", servePage)
	mux.HandleFunc("GET /status", l.serveStatus)
	mux.Handle("GET /metrics", metrics(l))
	return mux
}

// look takes one status at a time, so that clients cost the program no more than one does.
type look struct{ turn chan struct{} }

var errLate = errors.New("the program does not answer: kill -QUIT shows what its goroutines do")

// status takes a status. It blocks until that is there, for some seconds at most, or until ctx ends.
func (l *look) status(ctx context.Context, workers int) (status.Program, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, lookLimit, errLate)
	defer cancel()
	select {
	case l.turn <- struct{}{}:
	case <-ctx.Done():
		return status.Program{}, context.Cause(ctx)
	}
	taken := make(chan status.Program, 1)
	go func() {
		defer func() { <-l.turn }()
		taken <- life.Status(workers)
	}()
	select {
	case s := <-taken:
		return s, nil
	case <-ctx.Done():
		return status.Program{}, context.Cause(ctx)
	}
}

// guard has a browser keep what it is sent to itself.
func guard(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
}

func servePage(w http.ResponseWriter, _ *http.Request) {
	guard(w)
	nonce := rand.Text()
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "+
		"style-src 'nonce-"+nonce+"'; script-src 'nonce-"+nonce+"'")
	_, _ = w.Write([]byte(strings.ReplaceAll(page, "{{nonce}}", nonce)))
}

func (l *look) serveStatus(w http.ResponseWriter, r *http.Request) {
	guard(w)
	workers := usualWorkers
	if v := r.URL.Query().Get("workers"); v != "" {
		n, err := strconv.Atoi(v)
		if err != nil || n < 0 || n > mostWorkers {
			http.Error(w, "workers is not a number from 0 to "+strconv.Itoa(mostWorkers), http.StatusBadRequest)
			return
		}
		workers = n
	}
	s, err := l.status(r.Context(), workers)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(s)
}
