package report_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protowire"

	"github.com/rankpool/rankpool/internal/report"
)

// postponed is the recording of one run with its beginning later by so much.
func postponed(t *testing.T, b []byte, by time.Duration) []byte {
	t.Helper()
	b = bytes.Clone(b)
	at := 0
	for range 2 { // the record, and in it the run
		_, _, n := protowire.ConsumeTag(b[at:])
		_, m := protowire.ConsumeVarint(b[at+n:])
		at += n + m
	}
	for {
		field, typ, n := protowire.ConsumeTag(b[at:])
		if field == 3 {
			v, size := protowire.ConsumeVarint(b[at+n:])
			later := protowire.AppendVarint(nil, protowire.EncodeZigZag(protowire.DecodeZigZag(v)+int64(by)))
			if len(later) != size {
				t.Fatal("the time has another length")
			}
			copy(b[at+n:], later)
			return b
		}
		at += n + protowire.ConsumeFieldValue(field, typ, b[at+n:])
	}
}

// A job that was queued again goes on with its recording: what is reported is that of the runs together, and nothing of the time between them.
func TestWhatIsReportedOfSeveralRunsIsTheirSum(t *testing.T) {
	first, err := os.ReadFile(slowHost.run(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	second, err := os.ReadFile(straggler.run(t, ""))
	if err != nil {
		t.Fatal(err)
	}
	const pause = 20 * time.Hour
	for name, gap := range map[string]time.Duration{"queued again hours later": pause, "the clock was set back": -pause} {
		var parts []*report.Recording
		whole := filepath.Join(t.TempDir(), "whole")
		killed := first[:len(first)*9/10]
		for _, b := range [][]byte{killed, second} {
			r, err := report.Read(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, r)
		}
		if err := os.WriteFile(whole, append(bytes.Clone(killed[:parts[0].Size]), postponed(t, second, gap)...), 0o600); err != nil {
			t.Fatal(err)
		}
		r, out := text(t, whole)
		a, b := parts[0], parts[1]
		ta, tb, tm := a.Times(), b.Times(), r.Times()
		if len(r.Runs) != 2 || tm.Total != ta.Total+tb.Total || tm.Busy != ta.Busy+tb.Busy || tm.Nothing != ta.Nothing+tb.Nothing || tm.Cut != ta.Cut || ta.Cut == 0 || tb.Cut != 0 {
			t.Errorf("%s: %+v is not the sum of %+v and %+v", name, tm, ta, tb)
		}
		if len(r.Lost) != len(a.Lost)+len(b.Lost) || len(r.Failures) != len(a.Failures)+len(b.Failures) || len(a.Lost) != 1 {
			t.Errorf("%s: %d losses and %d failures", name, len(r.Lost), len(r.Failures))
		}
		f, fa, fb := r.Functions[0], a.Functions[0], b.Functions[0]
		if len(r.Functions) != 1 || f.Count != fa.Count+fb.Count || f.Failed != fa.Failed+fb.Failed || f.Lost != fa.Lost+fb.Lost || f.Busy != fa.Busy+fb.Busy {
			t.Errorf("%s: %+v is not the sum of %+v and %+v", name, f, fa, fb)
		}
		if want := a.End + b.End; r.End != want {
			t.Errorf("%s: the runs end after %v, want %v", name, time.Duration(r.End), time.Duration(want))
		}
		// Every second counts once, and the workers were never more than in the larger of the runs.
		wall := time.Duration(a.End - a.Pools[0].Begin + b.Pools[0].End - b.Pools[0].Begin)
		says(t, out, fmt.Sprintf("workers 12   busy %.1f%%   elements %d   %.1f elements/s", 100*float64(tm.Busy)/float64(tm.Total), f.Count, float64(f.Count)/wall.Seconds()),
			"run 2, map 1, element 187", "(node1) was lost", "unknown, because the recording broke off")
		if told := strings.Contains(out, "before it count nowhere"); told != (gap > 0) {
			t.Errorf("%s: the time between the runs is told of: %v\n%s", name, told, out)
		}
		for _, h := range r.Hosts() {
			if h.Workers != 4 {
				t.Errorf("%s: %d workers at a time on %s", name, h.Workers, h.Name)
			}
		}
		c := pageOf(t, r)
		elements, busy := 0.0, 0.0
		each := float64(r.End-r.Pools[0].Begin) / float64(len(c.Series.Rate)) / 1e9
		for i := range c.Series.Rate {
			elements += c.Series.Rate[i] * each
			busy += c.Series.Busy[i] * each
		}
		if elements < float64(f.Count)*0.99 || elements > float64(f.Count)*1.01 || busy < float64(tm.Busy)/1e9*0.99 || busy > float64(tm.Busy)/1e9*1.01 {
			t.Errorf("%s: over time there are %.1f elements and %.1f busy seconds, want %d and %v", name, elements, busy, f.Count, time.Duration(tm.Busy))
		}
	}
}
