package job_test

import (
	"testing"
	"testing/fstest"

	"github.com/rankpool/rankpool/internal/job"
)

func TestWhatTheLauncherDoesNotHandOnIsReadFromItsOwnEnvironment(t *testing.T) {
	proc := func(launcher string) fstest.MapFS {
		return fstest.MapFS{
			"1/stat": {Data: []byte("1 (init) S 0 0")}, "1/comm": {Data: []byte("init\n")}, "1/environ": {Data: []byte("A=init\x00")},
			"2/stat": {Data: []byte("2 (l) S 1 0")}, "2/comm": {Data: []byte(launcher + "\n")}, "2/environ": {Data: []byte("A=launcher\x00EMPTY=\x00")},
			"5/stat": {Data: []byte("5 (sh) S 2 0")}, "5/comm": {Data: []byte("sh\n")}, "5/environ": {Data: []byte("A=shell\x00")},
			"10/stat": {Data: []byte("10 (p) S 5 0")}, "10/comm": {Data: []byte("p\n")}, "10/environ": {Data: []byte("A=rank\x00B=rank\x00")},
		}
	}
	for _, c := range []struct {
		launcher, name, want string
		ok                   bool
	}{{"prterun", "A", "launcher", true}, {"prterun", "EMPTY", "", true}, {"prterun", "B", "", false}, {"bash", "A", "", false}} {
		if got, ok := job.LauncherEnv(proc(c.launcher), 10)(c.name); got != c.want || ok != c.ok {
			t.Errorf("%s below %s: %q, %v", c.name, c.launcher, got, ok)
		}
	}
}
