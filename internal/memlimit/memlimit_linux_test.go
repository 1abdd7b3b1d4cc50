package memlimit

import (
	"math"
	"os"
	"testing"
)

func TestTheLimitIsThatOfTheInnermostGroupThatHasOne(t *testing.T) {
	const (
		v2   = "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"
		v1   = "22 1 0:20 / /proc rw - proc proc rw\n33 28 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n34 28 0:30 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu,cpuacct\n"
		part = "33 28 0:29 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n"
	)
	for name, c := range map[string]struct {
		member, mounts string
		files          map[string]string
		want           uint64
	}{
		"none":                         {want: math.MaxUint64},
		"version 2":                    {"0::/a/b\n", v2, map[string]string{"/sys/fs/cgroup/a/b/memory.max": "1000\n", "/sys/fs/cgroup/a/memory.max": "max\n"}, 1000},
		"the group above":              {"0::/a/b\n", v2, map[string]string{"/sys/fs/cgroup/a/b/memory.max": "max\n", "/sys/fs/cgroup/a/memory.max": "900\n"}, 900},
		"a container":                  {"0::/\n", v2, map[string]string{"/sys/fs/cgroup/memory.max": "800\n"}, 800},
		"version 1":                    {"5:cpu,cpuacct:/c\n4:memory:/a\n0::/\n", v1 + v2, map[string]string{"/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "700\n", "/sys/fs/cgroup/cpu/c/memory.limit_in_bytes": "1"}, 700},
		"a container of version 1":     {"4:memory:/docker/abc\n", part, map[string]string{"/sys/fs/cgroup/memory/memory.limit_in_bytes": "600\n"}, 600},
		"a group outside of the mount": {"4:memory:/elsewhere\n", part, map[string]string{"/sys/fs/cgroup/memory/memory.limit_in_bytes": "500\n"}, 500},
		"nothing that is a number":     {"0::/a\n", v2, map[string]string{"/sys/fs/cgroup/a/memory.max": "plenty"}, math.MaxUint64},
	} {
		got := groups(func(file string) ([]byte, error) {
			switch file {
			case "/proc/self/cgroup":
				return []byte(c.member), nil
			case "/proc/self/mountinfo":
				return []byte(c.mounts), nil
			}
			if text, ok := c.files[file]; ok {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		})
		if got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestThisProcessMayHaveSomeMemoryAndNotAllOfIt(t *testing.T) {
	if n := Bytes(); n < 64<<20 || n > math.MaxInt/2 {
		t.Errorf("%d bytes", n)
	}
	t.Logf("%d MiB, and the groups say %d", Bytes()>>20, groups(os.ReadFile))
}
