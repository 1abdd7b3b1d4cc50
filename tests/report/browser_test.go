//go:build unix

package report_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/testkit"
)

// browser is a headless Chromium, which is told what to do over two pipes.
type browser struct {
	t       *testing.T
	in      *os.File
	out     *bufio.Reader
	next    int
	session string
	wrong   []string // what the page has complained about
}

// browse starts a browser, or skips the test where there is none.
func browse(t *testing.T) *browser {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "google-chrome-stable"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium here, in which the page is tried: apt-get install chromium")
	}
	toIt, fromUs, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	toUs, fromIt, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	profile, err := os.MkdirTemp("", "chromium-profile-") //nolint:usetesting // processes of the browser may still write into it when its first one has ended
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for end := time.Now().Add(testkit.Limit); os.RemoveAll(profile) != nil && time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		}
	})
	cmd := exec.Command(path, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--remote-debugging-pipe", "--no-proxy-server",
		"--window-size=1400,1000", "--user-data-dir="+profile, "about:blank")
	cmd.ExtraFiles = []*os.File{toIt, fromIt}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toIt.Close()
	fromIt.Close()
	b := &browser{t: t, in: fromUs, out: bufio.NewReaderSize(toUs, 1<<20)}
	limit := time.AfterFunc(3*testkit.Limit, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	t.Cleanup(func() {
		limit.Stop()
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		fromUs.Close()
		toUs.Close()
	})
	target := b.call("", "Target.createTarget", map[string]any{"url": "about:blank"})
	b.session, _ = b.call("", "Target.attachToTarget", map[string]any{"targetId": target["targetId"], "flatten": true})["sessionId"].(string)
	for _, domain := range []string{"Page", "Runtime", "Log"} {
		b.call(b.session, domain+".enable", nil)
	}
	b.call(b.session, "Emulation.setDeviceMetricsOverride", map[string]any{"width": 1400, "height": 1000, "deviceScaleFactor": 1, "mobile": false})
	return b
}

// call has something done, and notes meanwhile what goes wrong in the page.
func (b *browser) call(session, method string, params map[string]any) map[string]any {
	b.t.Helper()
	b.next++
	m := map[string]any{"id": b.next, "method": method}
	if params != nil {
		m["params"] = params
	}
	if session != "" {
		m["sessionId"] = session
	}
	text, err := json.Marshal(m)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.in.Write(append(text, 0)); err != nil {
		b.t.Fatal(err)
	}
	for {
		line, err := b.out.ReadBytes(0)
		if err != nil {
			b.t.Fatalf("%s: the browser is gone: %v", method, err)
		}
		var a struct {
			ID     int
			Method string
			Params json.RawMessage
			Result map[string]any
			Error  *struct{ Message string }
		}
		if err := json.Unmarshal(line[:len(line)-1], &a); err != nil {
			b.t.Fatal(err)
		}
		if a.Method == "Runtime.exceptionThrown" || a.Method == "Log.entryAdded" {
			b.wrong = append(b.wrong, string(a.Params))
		}
		if a.ID == b.next {
			if a.Error != nil {
				b.t.Fatalf("%s: %s", method, a.Error.Message)
			}
			return a.Result
		}
	}
}

// eval returns the value of an expression in the page.
func (b *browser) eval(expression string) any {
	b.t.Helper()
	r := b.call(b.session, "Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true, "awaitPromise": true})
	if e, failed := r["exceptionDetails"]; failed {
		b.t.Fatalf("%s: %v", expression, e)
	}
	v, _ := r["result"].(map[string]any)
	return v["value"]
}

// until waits for an expression to be true.
func (b *browser) until(expression, instead string) {
	b.t.Helper()
	for end := time.Now().Add(testkit.Limit); time.Now().Before(end); {
		if b.eval(expression) == true {
			return
		}
		b.eval(`new Promise(requestAnimationFrame)`)
	}
	b.t.Fatalf("%s is not true; instead: %v; complaints: %v", expression, b.eval(instead), b.wrong)
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.call(b.session, "Page.navigate", map[string]any{"url": "file://" + path})
	b.until(`document.readyState === "complete" && location.protocol === "file:"`, `document.readyState`)
	b.until(`window.rankpoolReport !== undefined`, `document.title`)
}

func (b *browser) mouse(kind string, x, y float64, more map[string]any) {
	b.t.Helper()
	params := map[string]any{"type": kind, "x": x, "y": y}
	for k, v := range more {
		params[k] = v
	}
	b.call(b.session, "Input.dispatchMouseEvent", params)
}

func (b *browser) scheme(name string) {
	b.call(b.session, "Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": name}}})
}

// shot keeps a screenshot, if that is asked for.
func (b *browser) shot(name string) {
	b.t.Helper()
	if *shots == "" {
		return
	}
	text, _ := b.call(b.session, "Page.captureScreenshot", map[string]any{"format": "png", "captureBeyondViewport": strings.HasPrefix(name, "slowhost")})["data"].(string)
	png, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*shots, name+".png"), png, 0o600); err != nil {
		b.t.Fatal(err)
	}
}

// quiet checks that nothing has gone wrong in the page.
func (b *browser) quiet() {
	b.t.Helper()
	if len(b.wrong) > 0 {
		b.t.Errorf("the page complains: %s", strings.Join(b.wrong, "\n"))
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
