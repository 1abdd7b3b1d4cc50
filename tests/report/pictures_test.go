//go:build unix

package report_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/status"
	"github.com/rankpool/rankpool/monitor"
)

var pictures = flag.String("pictures", "", "make the pictures of docs/observing.md in this folder")

// mostPicture is how many bytes a picture of the documentation has at most.
const mostPicture = 150 << 10

// pair is two workers, and one element that takes ten times as long as others.
var pair = simulation{workers: 2, perHost: 2, units: 60, rounds: 1, takes: func(_ string, x int) time.Duration {
	if x == 41 {
		return 900 * time.Millisecond
	}
	return 60*time.Millisecond + time.Duration(60*chance(x)*float64(time.Millisecond))
}, fails: func(x int) error {
	if x == 17 {
		return errors.New("no convergence after 500 iterations")
	}
	return nil
}}

// sweeping is a program in the midst of a map.
func sweeping(at time.Time) *status.Program {
	begun := at.Add(-2 * time.Hour)
	e := status.Executor{Number: 1, Backend: "mpi", State: "serving", Begun: begun, Tasks: status.Tasks{Queued: 211893, Running: 7, Done: 34000, Failed: 12, Submitted: 245912},
		Maps: []status.Map{{Number: 1, Name: "sweep", Function: "simulate", Begun: begun, Total: 245912, Done: 34000, Failed: 12}}, Losses: []status.Loss{}}
	e.Maps[0].Estimate(at)
	e.Losses = append(e.Losses, status.Loss{At: at.Add(-20 * time.Minute), Worker: 5, Host: "node8", Pid: 15873, Cause: "its process has ended without a goodbye, killed or crashed"})
	e.Workers.Lost = 1
	g := status.Gather{Most: 20}
	for i := range 9 {
		w := status.Worker{Number: i, State: "busy", Host: fmt.Sprint("node", 7+i/4), Pid: 15868 + i, Rank: i + 1, Attempt: 1, Tasks: uint64(3700 + 31*i), Seconds: 7000}
		switch i {
		case 5:
			w.State = "lost"
		case 8:
			w.State = "idle"
		default:
			for0 := time.Duration(i*311%1700) * time.Millisecond
			if i == 3 {
				for0 = 41*time.Minute + 8*time.Second
			}
			w.Runs = &status.Run{Function: "simulate", Map: 1, Index: 34012 + i, Elements: 1, Since: at.Add(-for0), Seconds: for0.Seconds()}
			if i == 3 {
				w.Runs.Index = 33107
			}
		}
		g.Add(w)
	}
	g.Into(&e)
	return &status.Program{At: at, Program: "sweep", Host: "login1", Pid: 4711, Begun: begun, Executors: []status.Executor{e}}
}

// TestThePicturesOfTheDocumentation makes them: see make pictures.
func TestThePicturesOfTheDocumentation(t *testing.T) {
	if *pictures == "" {
		t.Skip("make pictures makes them")
	}
	b := browse(t)
	b.scheme("light")
	now := sweeping(time.Date(2026, 11, 27, 6, 3, 0, 0, time.UTC))
	t.Logf("rankpool top shows:\n%s", now.Text(status.Limits{Workers: 20}))
	page := monitor.Handler()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/status" {
			page.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(now)
	}))
	defer s.Close()
	b.call(b.session, "Page.navigate", map[string]any{"url": s.URL})
	b.until(`document.body !== null && document.body.innerText.includes("element 33,107")`, `document.body.innerText`)
	b.picture("monitor-page", 1100, 840)
	b.open(written(t, pair.run(t, "")))
	b.until(`rankpoolReport.known() === rankpoolReport.units`, `rankpoolReport.known()`)
	b.picture("report-two-workers", 1100, 840)
	b.open(written(t, thousands(*elements).run(t, "")))
	b.until(`rankpoolReport.unpacked() >= 7`, `rankpoolReport.unpacked()`)
	b.picture("report-4096-workers", 1100, 840)
	b.quiet()
}

// picture makes one for the documentation.
func (b *browser) picture(name string, width, height int) {
	b.t.Helper()
	b.call(b.session, "Emulation.setScrollbarsHidden", map[string]any{"hidden": true})
	b.call(b.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false})
	b.eval(`new Promise(f => requestAnimationFrame(() => requestAnimationFrame(f)))`)
	text, _ := b.call(b.session, "Page.captureScreenshot", map[string]any{"format": "png"})["data"].(string)
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b.t.Fatal(err)
	}
	full, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		b.t.Fatal(err)
	}
	var out bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, fewColours(full)); err != nil {
		b.t.Fatal(err)
	}
	if out.Len() > mostPicture {
		b.t.Errorf("%s has %d bytes", name, out.Len())
	}
	if err := os.WriteFile(filepath.Join(*pictures, name+".png"), out.Bytes(), 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// fewColours is a picture with those 256 of its colours that are most frequent, to five bits; others become the nearest of these.
func fewColours(full image.Image) *image.Paletted {
	box := full.Bounds()
	const bits = 0xf8
	at := func(x, y int) color.RGBA {
		r, g, b, _ := full.At(x, y).RGBA()
		return color.RGBA{byte(r>>8)&bits | byte(r>>13), byte(g>>8)&bits | byte(g>>13), byte(b>>8)&bits | byte(b>>13), 255}
	}
	count := map[color.RGBA]int{}
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	var all []color.RGBA
	for c := range count {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b color.RGBA) int {
		if d := count[b] - count[a]; d != 0 {
			return d
		}
		return (int(a.R)<<16 | int(a.G)<<8 | int(a.B)) - (int(b.R)<<16 | int(b.G)<<8 | int(b.B))
	})
	var palette color.Palette
	for _, c := range all[:min(len(all), 256)] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	for c := range count {
		index[c] = uint8(palette.Index(c))
	}
	out := image.NewPaletted(box, palette)
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			out.SetColorIndex(x, y, index[at(x, y)])
		}
	}
	return out
}
