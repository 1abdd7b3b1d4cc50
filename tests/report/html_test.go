//go:build unix

package report_test

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/report"
)

var (
	shots    = flag.String("shots", "", "keep screenshots of the pages in this folder")
	elements = flag.Int("elements", 1<<17, "of each of the two maps of the run with thousands of workers")
)

// written returns the path of the page of a recording.
func written(t *testing.T, recording string) string {
	t.Helper()
	r, err := report.Load(recording)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := r.HTML(&b); err != nil {
		t.Fatal(err)
	}
	if b.Len() > 10<<20 {
		t.Errorf("the page has %d bytes, more than 10 MiB", b.Len())
	}
	t.Logf("the page has %d bytes", b.Len())
	for _, outside := range []string{"src=", "http://", "https://", "@import"} {
		if n := strings.Count(b.String(), outside); n > strings.Count(b.String(), "http://www.w3.org/2000/svg") {
			t.Errorf("the page asks for something from elsewhere: %s", outside)
		}
	}
	path := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The mouse is moved to where the unit is seen, and the page has to tell of this one, also after zooming.
func TestThePageTellsOfTheUnitUnderTheMouseAlsoWhenItWasZoomed(t *testing.T) {
	b := browse(t)
	b.open(written(t, prepared(t, "straggler", straggler)))
	b.until(`rankpoolReport.known() === rankpoolReport.units`, `rankpoolReport.known()`)
	b.shot("straggler-light")
	for _, zoomed := range []bool{false, true} {
		if zoomed {
			b.eval(`(() => { const p = rankpoolReport, i = p.find(1, 187); p.show(2e6, 3e6, 0, 8); p.draw(); return i })()`)
		}
		for _, element := range []string{"187", "190"} {
			at := b.eval(`(() => { const p = rankpoolReport, c = document.getElementById("timeline"); c.scrollIntoView({block: "center"}); const r = c.getBoundingClientRect(), q = p.place(p.find(1, ` +
				element + `)); return [Math.min(Math.max(r.left + q.x, r.left + 160), r.right - 3), r.top + q.y] })()`).([]any)
			b.mouse("mouseMoved", at[0].(float64), at[1].(float64), nil)
			b.until(`document.getElementById("tip").textContent.includes("map 1, element `+element+`\n")`, `document.getElementById("tip").textContent`)
		}
	}
	// A turn of the wheel narrows the time around the mouse.
	before := b.eval(`rankpoolReport.view.to - rankpoolReport.view.from`).(float64)
	at := b.eval(`(() => { const r = document.getElementById("timeline").getBoundingClientRect(); return [r.left + 500, r.top + 100] })()`).([]any)
	b.mouse("mouseWheel", at[0].(float64), at[1].(float64), map[string]any{"deltaX": 0, "deltaY": -240})
	b.until(`rankpoolReport.view.to - rankpoolReport.view.from < `+number(before*0.9), `rankpoolReport.view.to - rankpoolReport.view.from`)
	b.quiet()
}

func TestThePageOfALossShowsItInBothColourSchemes(t *testing.T) {
	b := browse(t)
	for _, scheme := range []string{"light", "dark"} {
		b.scheme(scheme)
		b.open(written(t, prepared(t, "slowhost", slowHost)))
		b.until(`document.getElementById("failures").textContent.includes("no convergence after 500 iterations")`, `document.body.innerText`)
		if got := b.eval(`getComputedStyle(document.body).backgroundColor`); got == "rgb(255, 255, 255)" != (scheme == "light") {
			t.Errorf("%s: the background is %v", scheme, got)
		}
		b.shot("slowhost-" + scheme)
	}
	b.quiet()
}

// thousands is a run of two maps on 4,096 workers, and one host is slow.
func thousands(elements int) simulation {
	return simulation{workers: 4096, perHost: 64, units: elements, rounds: 2, takes: func(host string, x int) time.Duration {
		d := 20*time.Millisecond + time.Duration(80*chance(x)*float64(time.Millisecond))
		if host == "node17" {
			d *= 3
		}
		return d
	}, fails: func(x int) error {
		if x%50021 == 77 {
			return errors.New("no convergence")
		}
		return nil
	}}
}

// The whole is seen at once, and a part of it after zooming.
func TestThePageOfThousandsOfWorkersIsSmallAndFast(t *testing.T) {
	if testing.Short() {
		t.Skip("it simulates 4,096 workers and draws them in a browser, which takes too long for -short")
	}
	path := written(t, thousands(*elements).run(t, ""))
	b := browse(t)
	b.open(path)
	b.until(`document.getElementById("findings").textContent.includes("on node17 an element takes")`, `document.getElementById("findings").textContent`)
	// What is seen first has the coarse cells alone, and no unit.
	b.until(`rankpoolReport.unpacked() >= 7`, `rankpoolReport.unpacked()`)
	b.eval(`rankpoolReport.draw()`)
	if known, tiles, all := b.eval(`rankpoolReport.known()`), b.eval(`rankpoolReport.unpacked()`).(float64), b.eval(`rankpoolReport.tiles`).(float64); known != 0.0 || tiles > all/4 {
		t.Errorf("%v units and %v of %v tiles were unpacked at once", known, tiles, all)
	}
	b.shot("thousands-light")
	took := b.eval(`(() => { const p = rankpoolReport, t = performance.now(); for (let i = 0; i < 5; i++) p.draw(); return (performance.now() - t) / 5 })()`)
	t.Logf("the whole is drawn in %.0f ms", took)
	b.eval(`(() => { const p = rankpoolReport; p.show(p.view.to * 0.4, p.view.to * 0.41, 1020, 1060); p.draw(); return 0 })()`)
	b.until(`(() => { const p = rankpoolReport; return p.known() > 0 && p.known() < p.units / 4 && p.units > 1000 && p.rows === 4096 })()`, `[rankpoolReport.known(), rankpoolReport.units]`)
	b.shot("thousands-zoomed")
	// Each worker has cells of its own.
	b.eval(`(() => { const p = rankpoolReport; p.show(0, p.view.to * 100, 1020, 1120); p.draw(); return 0 })()`)
	b.until(`rankpoolReport.layer()[0] === 4096`, `rankpoolReport.layer()`)
	b.until(`rankpoolReport.busyAt(1050, rankpoolReport.view.to * 0.4) > 0.5`, `rankpoolReport.busyAt(1050, rankpoolReport.view.to * 0.4)`)
	b.shot("thousands-rows")
	b.quiet()
}

func TestThePageShowsFinerCellsWhereItIsZoomed(t *testing.T) {
	path := written(t, crowd.run(t, ""))
	b := browse(t)
	b.open(path)
	b.until(`rankpoolReport.layer()[1] === 1024`, `rankpoolReport.layer()`)
	b.eval(`(() => { const p = rankpoolReport; p.show(p.view.to * 0.4, p.view.to * 0.41, 0, 100); p.draw(); return 0 })()`)
	b.until(`rankpoolReport.layer()[1] === 16384`, `rankpoolReport.layer()`)
	b.shot("finer")
	b.quiet()
}
