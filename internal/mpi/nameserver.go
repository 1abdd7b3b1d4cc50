package mpi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

// nameServerVariable is how Open MPI's mpiexec hands its option --ompi-server on to the ranks. A program that is started without
// an mpiexec reads it when it initialises MPI.
const nameServerVariable = "OMPI_MCA_pmix_server_uri"

// NameServer is an ompi-server, without which Open MPI programs that were started apart cannot connect, not even when one has told
// the other the name of its port. The zero value is none.
type NameServer struct {
	URI       string   // as the server reports it: "5505024.0;tcp://192.0.2.2:34519"
	Addresses []string // in it, as package net has them
}

// FindNameServer returns the name server that this program was started with, the zero value when it was started without. It
// reads a file where the launcher was given one.
func FindNameServer(lookup func(string) (string, bool)) (NameServer, error) {
	value := environ(lookup).text(nameServerVariable)
	switch path, isFile := strings.CutPrefix(value, "file:"); {
	case value == "":
		return NameServer{}, nil
	case strings.HasPrefix(strings.ToLower(value), "pid:"):
		return NameServer{}, errors.New("mpi: mpiexec --ompi-server pid:N does not say where the name server is: give it the file " +
			"that ompi-server -r FILE writes, as --ompi-server file:FILE")
	case isFile:
		text, err := os.ReadFile(path)
		if err != nil {
			return NameServer{}, fmt.Errorf("mpi: mpiexec --ompi-server %s: this host cannot read it: %w; use a path that all hosts "+
				"share, or the contents of the file in its place", value, err)
		}
		value = string(text)
	}
	return ParseNameServer(value)
}

// ParseNameServer takes what ompi-server reports.
func ParseNameServer(uri string) (NameServer, error) {
	uri, _, _ = strings.Cut(strings.TrimSpace(uri), "\n")
	n := NameServer{URI: uri}
	fields := strings.Split(uri, ";")
	for _, field := range fields[1:] {
		_, place, ok := strings.Cut(field, "://")
		at := strings.LastIndexByte(place, ':')
		if !ok || at < 0 {
			continue
		}
		for host := range strings.SplitSeq(place[:at], ",") {
			n.Addresses = append(n.Addresses, net.JoinHostPort(strings.Trim(host, "[]"), place[at+1:]))
		}
	}
	if len(n.Addresses) == 0 {
		return n, fmt.Errorf("mpi: %q is not the address of an ompi-server: that looks like 5505024.0;tcp://192.0.2.2:34519, and "+
			"ompi-server -r FILE writes it", uri)
	}
	return n, nil
}

// Use has MPI use the name server, in a program that was started without an mpiexec and has not called Init.
func (n NameServer) Use() error { return os.Setenv(nameServerVariable, n.URI) }

// knockLimit is for how long a name server is tried.
const knockLimit = 3 * time.Second

// Answers tells whether the name server is there: calls that need one which has ended never return. It blocks for 3 s at most,
// and until ctx ends.
func (n NameServer) Answers(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, knockLimit)
	defer cancel()
	outcome := make(chan error, len(n.Addresses))
	for _, address := range n.Addresses {
		go func() {
			c, err := new(net.Dialer).DialContext(ctx, "tcp", address)
			if err == nil {
				err = c.Close()
			}
			outcome <- err
		}()
	}
	var last error
	for range n.Addresses {
		err := <-outcome
		if err == nil {
			return nil
		}
		last = err
	}
	return fmt.Errorf("mpi: the name server at %s does not answer: start it again (`umask 077; ompi-server --no-daemonize -r FILE`), and then "+
		"everything that is to use it (`mpiexec --ompi-server file:FILE`): %w", strings.Join(n.Addresses, ", "), last)
}
