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

// NameServer is what Open MPI programs that were started apart need to connect, even when one has told the other the name of its
// port: an ompi-server, or since version 5 a DVM, the daemons of prte, in which both programs are started. The zero value is none.
type NameServer struct {
	URI       string   // as the server reports it: "5505024.0;tcp://192.0.2.2:34519", "prte-node1-4711@0.0;tcp4://192.0.2.2:34519"
	Addresses []string // in it, as package net has them
	DVM       string   // the name that its daemons share on all hosts, empty for an ompi-server
}

// Meeting is how programs that are started apart are to be started, so that they can connect. URIFILE stands for a file that all
// hosts share.
type Meeting struct {
	Server string // the command of the name server, which is started once
	Option string // of every mpiexec
}

// MeetingBy is the way of Open MPI; prrte tells version 5 or later.
func MeetingBy(prrte bool) Meeting {
	if prrte {
		return Meeting{"(umask 077; prte --report-uri URIFILE) &", "--dvm uri:file:URIFILE"}
	}
	return Meeting{"(umask 077; ompi-server --no-daemonize -r URIFILE) &", "--ompi-server file:URIFILE"}
}

// FindMeeting is MeetingBy for the launcher of this process. Without one it is that of version 4, and later says which it is since.
func FindMeeting(lookup func(string) (string, bool)) (m Meeting, later string) {
	if FindLauncher(lookup).Found() {
		return MeetingBy(LaunchedByPRRTE(lookup)), ""
	}
	since := MeetingBy(true)
	return MeetingBy(false), fmt.Sprintf(" (since Open MPI 5: `%s`, and `mpiexec %s` for server and master)", since.Server, since.Option)
}

// Is tells whether two programs that have found n and o can connect.
func (n NameServer) Is(o NameServer) bool {
	if n.DVM != "" || o.DVM != "" {
		return n.DVM == o.DVM // each host has a daemon of its own, with its own address
	}
	return n.URI == o.URI
}

// dvm returns the DVM in which this process was started, the zero value when it was started by an mpiexec of its own.
func (e environ) dvm() (NameServer, error) {
	for _, name := range []string{"PMIX_SERVER_URI41", "PMIX_SERVER_URI4", "PMIX_SERVER_URI3", "PMIX_SERVER_URI21", "PMIX_SERVER_URI2"} {
		// mpiexec alone is prterun, whose daemons serve one job.
		if uri := e.text(name); uri != "" && !strings.HasPrefix(uri, "prterun-") {
			return ParseNameServer(uri)
		}
	}
	return NameServer{}, nil
}

// FindNameServer returns the name server that this program was started with, the zero value when it was started without. It
// reads a file where the launcher was given one.
func FindNameServer(lookup func(string) (string, bool)) (NameServer, error) {
	if LaunchedByPRRTE(lookup) {
		return environ(lookup).dvm()
	}
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
	if strings.Contains(fields[0], "@") { // NAME@0.RANK
		n.DVM = fields[0][:max(0, strings.LastIndexByte(fields[0], '.'))]
	}
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
	what, m := "name server", MeetingBy(n.DVM != "")
	if n.DVM != "" {
		what = "daemon of prte"
	}
	return fmt.Errorf("mpi: the %s at %s does not answer: start it again (`%s`), and then everything that is to connect (`mpiexec %s`): %w",
		what, strings.Join(n.Addresses, ", "), m.Server, m.Option, last)
}
