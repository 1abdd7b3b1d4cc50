package monitor

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rankpool/rankpool/internal/life"
)

func init() { life.OfferMonitor(serve) }

// The forms of an address that are not HOST:PORT.
const (
	unixForm   = "unix:"
	publicForm = "public:"
)

// serve shows what the program does at an address, until end is called.
func serve(address string) (where string, end func(context.Context), err error) {
	l, where, handler, err := listen(address)
	if err != nil {
		return "", nil, err
	}
	s := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 16,
		ErrorLog: log.New(io.Discard, "", 0)} // what clients do wrong is no news of the program
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = s.Serve(l)
	}()
	return where, func(ctx context.Context) {
		closed := make(chan struct{})
		go func() { // a socket may lie in a folder that hangs
			defer close(closed)
			_ = s.Close() // those that read are not waited for
			<-over
		}()
		select {
		case <-closed:
		case <-ctx.Done():
		}
	}, nil
}

// listen opens the address, and says how to get there.
func listen(address string) (l net.Listener, where string, h http.Handler, err error) {
	if path, ok := strings.CutPrefix(address, unixForm); ok {
		if l, err = listenUnix(path); err != nil {
			return nil, "", nil, err
		}
		return l, unixForm + path, Handler(), nil // rankpool top takes it as it is
	}
	address, public := strings.CutPrefix(address, publicForm)
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, "", nil, fmt.Errorf("it is none of HOST:PORT, %sHOST:PORT and %sPATH: %w", publicForm, unixForm, err)
	}
	if ip := net.ParseIP(host); !public && host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return nil, "", nil, fmt.Errorf("%q is not an address of the loopback interface, such as 127.0.0.1; if others are to reach it, and what they are sent may be "+
			"read on the way, write %s%s", host, publicForm, address)
	}
	if l, err = net.Listen("tcp", net.JoinHostPort(host, port)); err != nil {
		return nil, "", nil, err
	}
	token := rand.Text()
	at := l.Addr().(*net.TCPAddr)
	name := at.IP.String()
	if at.IP.IsUnspecified() {
		if name, err = os.Hostname(); err != nil {
			name = "localhost"
		}
	}
	u := url.URL{Scheme: "http", Host: net.JoinHostPort(name, fmt.Sprint(at.Port)), Path: "/", RawQuery: url.Values{"token": {token}}.Encode()}
	return l, u.String(), withToken(token, Handler()), nil
}

// withToken answers who has the token.
func withToken(token string, h http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		given := r.URL.Query().Get("token")
		if bearer, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
			given = bearer
		}
		if is := sha256.Sum256([]byte(given)); subtle.ConstantTimeCompare(is[:], want[:]) != 1 {
			guard(w)
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the token is missing or wrong: use the address that the program has printed", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// socket is a Unix socket whose file goes with it.
type socket struct {
	net.Listener
	path string
	made os.FileInfo
}

// Close implements [net.Listener]. A file that is another's by now stays.
func (s *socket) Close() error {
	err := s.Listener.Close()
	if is, statErr := os.Lstat(s.path); statErr == nil && os.SameFile(is, s.made) {
		err = errors.Join(err, os.Remove(s.path))
	}
	return err
}

// listenUnix makes a socket that only this user can connect to. It is made in a folder of its own, so that nobody can before that is so.
func listenUnix(path string) (_ net.Listener, err error) {
	if path == "" {
		return nil, fmt.Errorf("%s needs a path", unixForm)
	}
	if is, err := os.Lstat(path); err == nil {
		if is.Mode()&os.ModeSocket == 0 {
			return nil, fmt.Errorf("%s is there, and no socket", path)
		}
		if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
			c.Close()
			return nil, fmt.Errorf("%s is in use by another program", path)
		}
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".rp")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	first := filepath.Join(dir, "s")
	l, err := net.Listen("unix", first)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	s := &socket{Listener: l, path: path}
	if err = os.Chmod(first, 0o600); err == nil {
		if s.made, err = os.Lstat(first); err == nil {
			err = os.Rename(first, path)
		}
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return s, nil
}
