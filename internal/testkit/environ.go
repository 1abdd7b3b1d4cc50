package testkit

import "strings"

// Lookup is os.LookupEnv of a process whose environment is env, each as NAME=VALUE.
func Lookup(env ...string) func(name string) (string, bool) {
	return func(name string) (string, bool) {
		for _, e := range env {
			if k, v, _ := strings.Cut(e, "="); k == name {
				return v, true
			}
		}
		return "", false
	}
}
