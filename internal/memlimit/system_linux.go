package memlimit

import (
	"math"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

func system() uint64 {
	var info unix.Sysinfo_t
	if unix.Sysinfo(&info) != nil {
		return unknown
	}
	//nolint:unconvert // the fields are 32 bits wide on some platforms
	unit, ram, swap := uint64(info.Unit), uint64(info.Totalram), uint64(info.Totalswap)
	limit := ram * unit
	if of := groups(os.ReadFile); of < limit {
		limit = of
	}
	return limit + swap*unit
}

// groups returns the least limit of the control groups of this process, in either version, or the largest number where
// there is none. Files that cannot be read limit nothing.
func groups(read func(name string) ([]byte, error)) uint64 {
	limit := uint64(math.MaxUint64)
	member, _ := read("/proc/self/cgroup")
	mounts, _ := read("/proc/self/mountinfo")
	for mount := range strings.Lines(string(mounts)) {
		// "36 25 0:32 /root /mount/point options fields - type source options"
		head, tail, _ := strings.Cut(mount, " - ")
		f, t := strings.Fields(head), strings.Fields(tail)
		if len(f) < 5 || len(t) < 3 {
			continue
		}
		controller, file := "", "memory.max"
		switch {
		case t[0] == "cgroup2":
		case t[0] == "cgroup" && has(t[2], "memory"):
			controller, file = "memory", "memory.limit_in_bytes"
		default:
			continue
		}
		root, point := f[3], f[4]
		group, ok := groupOf(string(member), controller)
		if !ok {
			continue
		}
		// What is mounted may be a part of the hierarchy, and this process's group may lie outside of that: in a container
		// the mount itself is the group.
		inside, ok := strings.CutPrefix(group+"/", strings.TrimSuffix(root, "/")+"/")
		if !ok {
			inside = ""
		}
		for dir := path.Clean("/" + inside); ; dir = path.Dir(dir) {
			text, err := read(path.Join(point, dir, file))
			if n, bad := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64); err == nil && bad == nil { // not "max"
				limit = min(limit, n)
			}
			if dir == "/" {
				break
			}
		}
	}
	return limit
}

// groupOf finds the line of a controller, which is the empty one in version 2.
func groupOf(member, controller string) (group string, ok bool) {
	for line := range strings.Lines(member) {
		// "4:memory:/group"
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) == 3 && (f[1] == controller || controller != "" && has(f[1], controller)) {
			return f[2], true
		}
	}
	return "", false
}

// has tells whether a list with commas has a word.
func has(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}
