package monitor

import (
	"context"
	"net"
)

// Loopback is what an address of the loopback interface must pass, with a resolver that says this.
func Loopback(host string, ips ...net.IP) (string, error) {
	defer func(before func(context.Context, string, string) ([]net.IP, error)) { lookup = before }(lookup)
	lookup = func(context.Context, string, string) ([]net.IP, error) { return ips, nil }
	return loopback(host)
}

// MostPath is how many bytes the path of a Unix socket may have.
var MostPath = mostPath
