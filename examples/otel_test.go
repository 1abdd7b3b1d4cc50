package examples_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/testkit"
)

// unreachable is what the go command says when a module cannot be downloaded.
var unreachable = regexp.MustCompile(`dial tcp|no such host|no route to host|network is unreachable|proxyconnect|x509: |i/o timeout|TLS handshake|connection re(fused|set)|GOPROXY=off|GOPROXY list is not|unexpected EOF|: (403|407|429|5\d\d) `)

// The example is a module of its own, which go vet ./... and go test ./... leave out. A copy of it is taken, whose go.mod the go command may bring up to date
// when that of the library is another.
func TestTheExampleOfOpenTelemetryIsVettedAndItsTestsPass(t *testing.T) {
	library, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("otel")); err != nil {
		t.Fatal(err)
	}
	command := func(args ...string) (string, error) {
		ctx, cancel := context.WithTimeout(t.Context(), testkit.Suite)
		defer cancel()
		cmd := exec.CommandContext(ctx, "go", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod -buildvcs=false", "GONOSUMDB=*", "CGO_ENABLED=0", "RANKPOOL_LOG=off")
		cmd.WaitDelay = time.Second
		out, err := cmd.CombinedOutput()
		return string(out), errors.Join(err, ctx.Err())
	}
	run := func(args ...string) string {
		t.Helper()
		out, err := command(args...)
		if err != nil {
			t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return out
	}
	run("mod", "edit", "-replace=github.com/rankpool/rankpool="+library)
	if out, err := command("list", "-deps", "-test", "./..."); errors.Is(err, context.DeadlineExceeded) || err != nil && unreachable.MatchString(out) {
		t.Skip("the modules of OpenTelemetry cannot be downloaded here: " + strings.TrimSpace(out))
	} else if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	run("vet", "./...")
	run("test", "-vet=off", "./...")
	if out := run("run", "."); strings.Count(out, `"Name":"inverse"`) != 4 || !strings.Contains(out, `"Description":"element 2: `) {
		t.Errorf("the spans are others:\n%s", out)
	}
}
