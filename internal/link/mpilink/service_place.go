package mpilink

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/rankpool/rankpool/internal/mpi"
)

// Place is where a master finds a service: under a published name, in a file, or at an address.
type Place struct {
	kind  placeKind
	where string // the name, the absolute path, host:port
}

type placeKind int

const (
	byName placeKind = iota
	byFile
	byAddress
)

// What is taken where a place leaves something out.
const (
	DefaultName = "rankpool"
	defaultHost = "127.0.0.1"
	defaultPort = "31415"
	maxName     = 200
)

// ParsePlace reads NAME, file:PATH or tcp:HOST:PORT. What is empty has a default.
func ParsePlace(s string) (Place, error) {
	if path, ok := strings.CutPrefix(s, "file:"); ok {
		if path == "" {
			return Place{}, errors.New("file: lacks a path")
		}
		abs, err := filepath.Abs(path)
		return Place{byFile, abs}, err
	}
	if address, ok := strings.CutPrefix(s, "tcp:"); ok {
		host, port, err := net.SplitHostPort(address)
		if err != nil { // no port
			host, port = strings.Trim(address, "[]"), ""
			if strings.Contains(host, ":") && net.ParseIP(host) == nil {
				return Place{}, fmt.Errorf("tcp:%s: %w", address, err)
			}
		}
		if port == "" {
			port = defaultPort
		}
		return Place{byAddress, net.JoinHostPort(host, port)}, nil
	}
	if s == "" {
		s = DefaultName
	}
	odd := func(r rune) bool { return r == ':' || r == '/' || !unicode.IsPrint(r) || unicode.IsSpace(r) }
	if len(s) > maxName || strings.ContainsFunc(s, odd) {
		return Place{}, fmt.Errorf("%q is not the name of a service: that is at most %d characters without spaces, \":\" and \"/\"; a "+
			"file is file:PATH, an address tcp:HOST:PORT", s, maxName)
	}
	return Place{byName, s}, nil
}

// String is what ParsePlace takes.
func (p Place) String() string {
	return [...]string{"", "file:", "tcp:"}[p.kind] + p.where
}

// Recipe says how to start a server there.
func (p Place) Recipe() string {
	m, later := mpi.FindMeeting(os.LookupEnv)
	return fmt.Sprintf("start the name server, once (`%s`), then the server (`mpiexec %s -n N rankpool serve --service %v PROGRAM`)%s",
		m.Server, m.Option, p, later)
}

// advert is what a server tells those who look for it.
type advert struct {
	ID        string   `json:"id,omitempty"`     // of this server, so that it is not taken for another one
	Secret    string   `json:"secret,omitempty"` // in a file, which nobody else can read
	Addresses []string `json:"addresses"`
	Host      string   `json:"host,omitempty"`
	Pid       int      `json:"pid,omitempty"`
}

func readAdvert(text string) (advert, error) {
	var a advert
	if err := json.Unmarshal([]byte(text), &a); err != nil || len(a.Addresses) == 0 || a.ID == "" {
		return a, errors.New("what is there was not written by rankpool serve")
	}
	return a, nil
}

// address is where a server listens whose place is an address, and where its masters call.
func (p Place) address() (string, error) {
	host, port, err := net.SplitHostPort(p.where)
	if host == "" {
		host = defaultHost
	}
	return net.JoinHostPort(host, port), err
}

// secret is what a server there and its masters share. What the server has left there may have it.
func (p Place) secret(a advert, server bool) (secret, error) {
	if p.kind == byFile {
		return secret(a.Secret), nil
	}
	return sharedSecret(server)
}

// errNoServer says that nobody has left word at a place.
var errNoServer = errors.New("no server has said where it is")

// find returns what a server has left at the place. For a name MPI must have been initialised; that call may hang.
func (p Place) find() (advert, error) {
	switch p.kind {
	case byAddress:
		address, err := p.address()
		return advert{Addresses: []string{address}}, err
	case byFile:
		text, err := readOwn(p.where)
		if errors.Is(err, fs.ErrNotExist) {
			return advert{}, fmt.Errorf("there is no file %s: %w", p.where, errNoServer)
		}
		if err != nil {
			return advert{}, err
		}
		a, err := readAdvert(string(text))
		if err == nil && len(a.Secret) < secretLength {
			err = errors.New("there is no secret in it")
		}
		if err != nil {
			err = fmt.Errorf("%s: %w", p.where, err)
		}
		return a, err
	}
	text, err := mpi.Lookup(p.where)
	if e := (*mpi.Error)(nil); errors.As(err, &e) {
		return advert{}, fmt.Errorf("the name server knows no %q: %w", p.where, errNoServer)
	}
	if err != nil {
		return advert{}, err
	}
	a, err := readAdvert(text)
	if err != nil {
		err = fmt.Errorf("the published name %q: %w", p.where, err)
	}
	return a, err
}

// leave leaves word at the place; withdraw takes it back.
func (p Place) leave(a advert) (withdraw func(), err error) {
	text, err := json.Marshal(a)
	if err != nil {
		return nil, err
	}
	switch p.kind {
	case byName:
		if err := mpi.Publish(p.where, string(text)); err != nil {
			return nil, err
		}
		return func() { _ = mpi.Unpublish(p.where, string(text)) }, nil // a word that stays is found out to be stale
	case byFile:
		// Written whole or not at all. Only this user may be the master: what is in the file is all it takes.
		temp, err := os.CreateTemp(filepath.Dir(p.where), "."+filepath.Base(p.where)+"-")
		if err != nil {
			return nil, err
		}
		_, err = temp.Write(append(text, '\n'))
		if err = errors.Join(err, temp.Close()); err == nil {
			err = os.Rename(temp.Name(), p.where)
		}
		if err != nil {
			return nil, errors.Join(err, os.Remove(temp.Name()))
		}
		return func() {
			if now, err := p.find(); err == nil && now.ID == a.ID {
				_ = os.Remove(p.where)
			}
		}, nil
	}
	return func() {}, nil
}

// listen opens the place where masters call, and says where that is. A server listens to its own host unless bind, or the place,
// says otherwise.
func (p Place) listen(bind string) (net.Listener, []string, error) {
	at := net.JoinHostPort(defaultHost, "0")
	if p.kind == byAddress {
		var err error
		if at, err = p.address(); err != nil {
			return nil, nil, err
		}
	} else if bind != "" {
		at = net.JoinHostPort(strings.Trim(bind, "[]"), "0")
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), "tcp", at)
	if err != nil {
		return nil, nil, err
	}
	host, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return nil, nil, errors.Join(err, l.Close())
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
		return l, []string{l.Addr().String()}, nil
	}
	var all []string
	for _, host := range hostAddresses() {
		all = append(all, net.JoinHostPort(host, port))
	}
	return l, all, nil
}

// elsewhere tells whether a server listens to another host than this one alone.
func (a advert) elsewhere() bool {
	here, err := os.Hostname()
	if err != nil || a.Host == "" || a.Host == here {
		return false
	}
	return !slices.ContainsFunc(a.Addresses, func(address string) bool {
		host, _, _ := net.SplitHostPort(address)
		ip := net.ParseIP(host)
		return ip == nil || !ip.IsLoopback()
	})
}

// maxAddresses is how many addresses of a host a server tells: what is published has little room.
const maxAddresses = 6

// hostAddresses are the names by which other hosts, and this one, may reach this host.
func hostAddresses() []string {
	var all []string
	if host, err := os.Hostname(); err == nil {
		all = append(all, host)
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		addresses = nil
	}
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && len(all) < maxAddresses {
			all = append(all, n.IP.String())
		}
	}
	return append(all, "127.0.0.1")
}
