package proc

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// share returns an environment in which the limits of the Go runtime fit a process that shares its machine with others:
// GOMAXPROCS is the cores divided by the slots unless it is set, and a GOMEMLIMIT is divided by the slots and the master.
func share(env []string, cores, slots int) []string {
	if _, set := lookup(env, "GOMAXPROCS"); !set {
		env = append(env, "GOMAXPROCS="+strconv.Itoa(max(1, cores/slots)))
	}
	if value, set := lookup(env, "GOMEMLIMIT"); set {
		if limit, ok := parseLimit(value); ok {
			env = append(env, "GOMEMLIMIT="+strconv.FormatInt(max(1, limit/int64(slots+1)), 10))
		}
	}
	return settle(env)
}

// settle keeps the last of equal names: a Go program takes the first.
func settle(env []string) []string {
	seen := make(map[string]bool, len(env))
	kept := make([]string, 0, len(env))
	for _, entry := range slices.Backward(env) {
		name, _, _ := strings.Cut(entry, "=")
		if !seen[name] {
			seen[name] = true
			kept = append(kept, entry)
		}
	}
	slices.Reverse(kept)
	return kept
}

// lookup finds the last value of a variable; an empty one counts as not set, as it does for the runtime.
func lookup(env []string, name string) (value string, set bool) {
	for i := len(env) - 1; i >= 0; i-- {
		if key, value, ok := strings.Cut(env[i], "="); ok && key == name {
			return value, value != ""
		}
	}
	return "", false
}

// parseLimit reads a GOMEMLIMIT. It returns false for "off" and for what the runtime itself would refuse.
func parseLimit(s string) (int64, bool) {
	shift := 0
	for i, suffix := range []string{"KiB", "MiB", "GiB", "TiB", "B"} {
		if rest, ok := strings.CutSuffix(s, suffix); ok {
			if s = rest; suffix != "B" {
				shift = 10 * (i + 1)
			}
			break
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64>>shift || strings.HasPrefix(s, "+") {
		return 0, false
	}
	return n << shift, true
}
