//go:build unix

package doctor

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/findmpi"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestALauncherThatPrintsALineAgainDoesNotHoldTheDoctorUp(t *testing.T) {
	launcher := filepath.Join(t.TempDir(), "mpiexec")
	script := `#!/bin/sh
case "$*" in
*accept) for i in 1 2 3 4; do echo 'RANKPOOL-FACT {"Kind":"port","Port":"here"}'; done ;;
esac
echo 'RANKPOOL-FACT {"Kind":"connect"}'
`
	if err := os.WriteFile(launcher, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), testkit.Limit)
	defer cancel()
	over := make(chan error, 1)
	go func() {
		text, err := connectJobs(ctx, findmpi.Launcher{Path: launcher}, testkit.Limit, nil)
		if err == nil && !strings.HasPrefix(text, "works") {
			t.Errorf("it says %q", text)
		}
		over <- err
	}()
	select {
	case err := <-over:
		if err != nil {
			t.Error(err)
		}
	case <-ctx.Done():
		t.Fatal("it still waits for the launcher, which has ended")
	}
}
