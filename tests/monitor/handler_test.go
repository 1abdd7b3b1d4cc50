//go:build unix

package monitor_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/internal/status"
	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/monitor"
)

// get asks a handler, and returns what it has answered.
func get(t *testing.T, h http.Handler, path string) *http.Response {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(testkit.Within(t), http.MethodGet, path, nil))
	return w.Result()
}

// body returns what stands in an answer that is to be good.
func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s, %v: %s", r.Status, err, b)
	}
	return string(b)
}

func statusFrom(t *testing.T, h http.Handler, path string) (p status.Program) {
	t.Helper()
	if err := json.Unmarshal([]byte(body(t, get(t, h, path))), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheHandlerTellsAsJSONWhatRuns(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		h := http.StripPrefix("/jobs", monitor.Handler())
		ex := start(t, backend, 3)
		g := newGate(t)
		if _, err := futures.Submit(ex, obey, order{Gate: string(g), Number: 7}); err != nil {
			t.Fatal(err)
		}
		g.begun(t, 7)
		p := statusFrom(t, h, "/jobs/status")
		if len(p.Executors) != 1 || p.Pid == 0 || p.Host == "" {
			t.Fatalf("%+v", p)
		}
		e := p.Executors[0]
		if len(e.Listed) != 3 || e.Listed[0].Runs == nil || e.Listed[0].Runs.Function != "obey" || e.Listed[1].Runs != nil || e.Workers.Busy != 1 {
			t.Errorf("%+v", e)
		}
		if p := statusFrom(t, h, "/jobs/status?workers=1"); len(p.Executors[0].Listed) != 1 || p.Executors[0].Workers.Total != 3 {
			t.Errorf("%+v", p)
		}
		for _, bad := range []string{"-1", "x", "99999999999"} {
			if r := get(t, h, "/jobs/status?workers="+bad); r.StatusCode != http.StatusBadRequest {
				t.Errorf("workers=%s: %s", bad, r.Status)
			}
		}
	})
}

// metricsFrom asks for figures and parses them as Prometheus does.
func metricsFrom(t *testing.T, h http.Handler) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	all, err := parser.TextToMetricFamilies(strings.NewReader(body(t, get(t, h, "/metrics"))))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// value returns a figure of the only executor with a label of that value, or with "" of any.
func value(t *testing.T, all map[string]*dto.MetricFamily, name, label string) float64 {
	t.Helper()
	family := all["rankpool_"+name]
	if family == nil {
		t.Fatalf("there is no %s", name)
	}
	for _, m := range family.GetMetric() {
		ok := label == ""
		for _, l := range m.GetLabel() {
			ok = ok || l.GetValue() == label
		}
		if ok {
			return m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	t.Fatalf("%s has none of %s: %v", name, label, family)
	return 0
}

func TestTheFiguresAreInPrometheussForm(t *testing.T) {
	each(t, func(t *testing.T, backend string) {
		h := monitor.Handler()
		if n := value(t, metricsFrom(t, h), "executors", ""); n != 0 {
			t.Errorf("%v executors", n)
		}
		ex := start(t, backend, 2)
		g := newGate(t)
		orders := []order{{Pass: true}, {Fail: true}, {Gate: string(g), Number: 2}, {Gate: string(g), Number: 3}, {Gate: string(g), Number: 4}}
		failures := read(testkit.Within(t), ex, orders, alone)
		soon(t, "two elements are over, and two run", func(e status.Executor) bool {
			return len(e.Maps) == 1 && e.Maps[0].Done == 1 && e.Maps[0].Failed == 1 && e.Tasks.Done+e.Tasks.Failed == 2 && e.Workers.Busy == 2
		})
		all := metricsFrom(t, h)
		for _, c := range []struct {
			name, label string
			want        float64
		}{
			{"executors", "", 1}, {"tasks", "queued", 1}, {"tasks", "running", 2}, {"tasks", "waiting", 0}, {"tasks", "blocked", 0}, {"tasks_total", "done", 1}, {"tasks_total", "failed", 1},
			{"tasks_submitted_total", backend, 5}, {"workers", "busy", 2}, {"workers", "idle", 0}, {"workers_lost_total", backend, 0}, {"function_workers", "obey", 2},
			{"map_elements", "left", 3}, {"map_elements", "done", 1}, {"map_elements", "failed", 1},
		} {
			if got := value(t, all, c.name, c.label); got != c.want {
				t.Errorf("%s of %s is %v, want %v", c.name, c.label, got, c.want)
			}
		}
		if value(t, all, "function_longest_seconds", "obey") < 0 || value(t, all, "map_left_seconds", "obey") < 0 {
			t.Error("a time is below zero")
		}
		g.open(t, "")
		if n := <-failures; n != 1 {
			t.Errorf("%d failures", n)
		}
	})
}

func TestThePageLoadsNothingElse(t *testing.T) {
	h := monitor.Handler()
	r := get(t, h, "/")
	text := body(t, r)
	policy := r.Header.Get("Content-Security-Policy")
	_, nonce, _ := strings.Cut(policy, "script-src 'nonce-")
	nonce, _, _ = strings.Cut(nonce, "'")
	if len(nonce) < 20 || strings.Count(text, fmt.Sprintf("nonce=%q", nonce)) != 2 || strings.Contains(text, "{{") || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("%q in\n%s", policy, text)
	}
	if strings.Contains(text, "//") || strings.Contains(text, "innerHTML") || r.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%v in\n%s", r.Header, text)
	}
	if again := body(t, get(t, h, "/")); strings.Contains(again, nonce) {
		t.Error("the nonce is used twice")
	}
	for _, path := range []string{"/nothing", "/status/x"} {
		if r := get(t, h, path); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s", path, r.Status)
		}
	}
}
