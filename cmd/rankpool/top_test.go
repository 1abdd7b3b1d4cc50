//go:build unix

package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/status"
)

// shown is a program's status as it is served.
func shown(t *testing.T, w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/status" || r.URL.Query().Get("workers") == "" {
		t.Errorf("it asks for %s", r.URL)
	}
	p := status.Program{Program: "sweep", Host: "login1", Pid: 4711, Executors: []status.Executor{{Number: 1, Backend: "mpi", State: "serving",
		Workers: status.Workers{Total: 1, Busy: 1}, Maps: []status.Map{{Number: 1, Function: "simulate\x1b[2J", Total: 10, Done: 4, Left: -1}},
		Listed: []status.Worker{{Number: 0, State: "busy", Rank: 1, Pid: 12, Host: "node7", Runs: &status.Run{Function: "simulate", Map: 1, Index: 4, Elements: 1, Seconds: 4.2}}}}}}
	if err := json.NewEncoder(w).Encode(p); err != nil {
		t.Error(err)
	}
}

func TestTopPrintsOnceWhatAProgramDoesWhereThereIsNoTerminal(t *testing.T) {
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer right" || r.URL.Query().Has("token") {
			http.Error(w, "the token is \x1b wrong", http.StatusUnauthorized)
			return
		}
		shown(t, w, r)
	}))
	defer web.Close()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	local := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { shown(t, w, r) })} //nolint:gosec // of a test
	go func() { _ = local.Serve(l) }()
	defer local.Close()
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for _, where := range []string{web.URL + "/?token=right", "unix:" + path, path} {
		code, out, complaint := started(-1, "top", where)
		for _, want := range []string{"sweep on login1, process 4711", "executor 1: mpi, serving", "map 1, simulate?[2J: 4/10 (40%)", "node7 12 rank 1  4.2s  simulate, map 1, element 4"} {
			if code != 0 || !strings.Contains(out, want) || strings.Contains(out, "\x1b") {
				t.Errorf("%s: status %d, no %q in %q, %s", where, code, want, out, complaint)
			}
		}
	}
	for where, want := range map[string]string{
		web.URL + "/?token=left": "401 Unauthorized: the token is ? wrong", path + "x": "is neither an address", "http://127.0.0.1:1/": "connection refused",
	} {
		if code, out, complaint := started(-1, "top", where); code != 1 || out != "" || !strings.Contains(complaint, want) {
			t.Errorf("%s: status %d, %q, want %q in %q", where, code, out, want, complaint)
		}
	}
}

// The program is busy once, and the token is another one then.
func TestTopGoesOnWhenThereIsNoStatusForOnce(t *testing.T) {
	answers := []int{0, http.StatusServiceUnavailable, 0, http.StatusUnauthorized}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		code := answers[0]
		answers = answers[1:]
		if code != 0 {
			http.Error(w, "not now", code)
			return
		}
		shown(t, w, r)
	}))
	p, err := newPeer(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer p.client.CloseIdleConnections()
	var last string
	for i, want := range []string{"sweep on", "no answer, and this is the one before: 503 Service Unavailable: not now\n\nsweep on", "sweep on"} {
		if text, err := p.look(t.Context(), status.Limits{Workers: 1}, &last); err != nil || !strings.HasPrefix(text, want) {
			t.Errorf("%d: %q, %v", i, text, err)
		}
	}
	if text, err := p.look(t.Context(), status.Limits{}, &last); err == nil {
		t.Errorf("it goes on without the right token: %q", text)
	}
	web.Close()
	if text, err := p.look(t.Context(), status.Limits{}, &last); err != nil || text != "" {
		t.Errorf("the program has ended: %q, %v", text, err)
	}
}

// A command line can be read by other users.
func TestTopTakesTheAddressFromStandardInputOrAVariable(t *testing.T) {
	for name, tt := range map[string]struct{ arg, in, variable, want string }{
		"the argument":                 {"a", "b\n", "c", "a"},
		"standard input":               {"-", "b\nx\n", "c", "b"},
		"the whole line":               {"-", "rankpool: monitor: http://x/?token=y", "", "http://x/?token=y"},
		"the variable":                 {"", "b\n", "c", "c"},
		"nothing":                      {"", "b\n", "", ""},
		"nothing is on standard input": {"-", "\n", "c", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("RANKPOOL_TOP", tt.variable)
			c := topCommand{Where: tt.arg}
			where, err := c.address(strings.NewReader(tt.in))
			if where != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("%q, %v", where, err)
			}
		})
	}
}

func TestAFrameTakesThePlaceOfTheOneBeforeAndIsNoHigherThanTheWindow(t *testing.T) {
	if got, want := frame("a\nb\nc\n", 3), "\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
