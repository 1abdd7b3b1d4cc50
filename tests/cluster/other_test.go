//go:build !linux

package cluster_test

import "testing"

func TestSeveralHosts(t *testing.T) {
	t.Skip("several hosts on one machine need the namespaces of Linux")
}
