package monitor

import (
	"context"
	"net/http"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rankpool/rankpool/internal/status"
)

// metrics serves figures of a status in Prometheus's form.
func metrics(l *look) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{l})
	h := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guard(w)
		h.ServeHTTP(w, r)
	})
}

// collector makes the figures of a status anew each time that they are asked for.
type collector struct{ l *look }

// metric describes one of the figures of an executor.
func metric(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("rankpool_"+name, help, append([]string{"executor", "backend"}, labels...), nil)
}

var (
	executorsMetric = prometheus.NewDesc("rankpool_executors", "Executors that have started and have not ended.", nil, nil)
	brokenNow       = metric("executor_broken", "Whether an executor is broken, 1, or not, 0.")
	tasksNow        = metric("tasks", "Tasks that wait in the queue, are at workers, wait for others, or wait for their inputs.", "state")
	tasksTotal      = metric("tasks_total", "Tasks that have ended, by how.", "outcome")
	submittedTotal  = metric("tasks_submitted_total", "Tasks that were submitted.")
	retriedTotal    = metric("tasks_retried_total", "Tasks that were queued again.")
	recalledTotal   = metric("tasks_recalled_total", "Calls and elements whose results came from journals.")
	workersNow      = metric("workers", "Workers by what they are at.", "state")
	lostTotal       = metric("workers_lost_total", "Workers that were lost.")
	restartsTotal   = metric("workers_restarted_total", "Workers that were started in the place of others.")
	busyTotal       = metric("workers_busy_seconds_total", "Time of the workers in tasks that are finished.")
	runningNow      = metric("function_workers", "Workers that run a function.", "function")
	longestNow      = metric("function_longest_seconds", "For how long the longest task of a function has run that runs now.", "function")
	elementsNow     = metric("map_elements", "Elements of the maps of a function that are under way, by what has become of them.", "function", "state")
	leftNow         = metric("map_left_seconds", "How long the maps of a function that are under way will take on average, of the one with the longest time.", "function")
)

// Describe implements prometheus.Collector.
func (collector) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{executorsMetric, brokenNow, tasksNow, tasksTotal, submittedTotal, retriedTotal, recalledTotal, workersNow, lostTotal, restartsTotal,
		busyTotal, runningNow, longestNow, elementsNow, leftNow} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (c collector) Collect(to chan<- prometheus.Metric) {
	s, err := c.l.status(context.Background(), 0)
	if err != nil {
		to <- prometheus.NewInvalidMetric(executorsMetric, err)
		return
	}
	f := figures{to: to}
	open := 0
	for i := range s.Executors {
		if s.Executors[i].Ended.IsZero() {
			open++
		}
	}
	f.add(executorsMetric, prometheus.GaugeValue, float64(open))
	for i := range s.Executors {
		f.executor(&s.Executors[i])
	}
}

// figures sends figures of one executor after another.
type figures struct {
	to chan<- prometheus.Metric
	of []string // the first labels
}

func (f *figures) add(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
	all := append([]string{}, f.of...)
	for _, l := range labels {
		all = append(all, strings.ToValidUTF8(l, "?"))
	}
	m, err := prometheus.NewConstMetric(d, kind, v, all...)
	if err != nil {
		m = prometheus.NewInvalidMetric(d, err)
	}
	f.to <- m
}

func (f *figures) executor(e *status.Executor) {
	f.of = []string{strconv.Itoa(e.Number), e.Backend}
	now := func(d *prometheus.Desc, n int, labels ...string) {
		f.add(d, prometheus.GaugeValue, float64(n), labels...)
	}
	total := func(d *prometheus.Desc, n uint64, labels ...string) {
		f.add(d, prometheus.CounterValue, float64(n), labels...)
	}
	t, w := &e.Tasks, &e.Workers
	broken := 0
	if e.State == "broken" {
		broken = 1
	}
	now(brokenNow, broken)
	now(tasksNow, t.Queued, "queued")
	now(tasksNow, t.Running, "running")
	now(tasksNow, t.Waiting, "waiting")
	now(tasksNow, t.Blocked, "blocked")
	total(tasksTotal, t.Done, "done")
	total(tasksTotal, t.Failed, "failed")
	total(tasksTotal, t.Cancelled, "cancelled")
	total(submittedTotal, t.Submitted)
	total(retriedTotal, t.Retried)
	total(recalledTotal, t.Recalled)
	now(workersNow, w.Starting, "starting")
	now(workersNow, w.Idle, "idle")
	now(workersNow, w.Busy, "busy")
	now(workersNow, w.Waiting, "waiting")
	now(workersNow, w.Leaving, "leaving")
	now(workersNow, w.Missing, "missing")
	total(lostTotal, w.Lost)
	total(restartsTotal, w.Restarts)
	f.add(busyTotal, prometheus.CounterValue, w.Seconds)
	for _, fn := range e.Functions {
		now(runningNow, fn.Running, fn.Name)
		f.add(longestNow, prometheus.GaugeValue, fn.Longest, fn.Name)
	}
	f.maps(e.Maps)
}

// maps puts those of one function together: there may be many, and each is there for a while only.
func (f *figures) maps(all []status.Map) {
	type sum struct {
		done, failed, left int
		seconds            float64
	}
	sums := map[string]*sum{}
	for _, m := range all {
		s := sums[m.Function]
		if s == nil {
			s = &sum{seconds: -1}
			sums[m.Function] = s
		}
		s.done += m.Done
		s.failed += m.Failed
		if m.Total >= 0 {
			s.left += m.Total - m.Done - m.Failed
		}
		s.seconds = max(s.seconds, m.Left)
	}
	for name, s := range sums {
		for state, n := range map[string]int{"done": s.done, "failed": s.failed, "left": s.left} {
			f.add(elementsNow, prometheus.GaugeValue, float64(n), name, state)
		}
		if s.seconds >= 0 {
			f.add(leftNow, prometheus.GaugeValue, s.seconds, name)
		}
	}
}
