package monitor

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
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
		return nil, "", nil, fmt.Errorf("it is not HOST:PORT, %sHOST:PORT or %sPATH: %w", publicForm, unixForm, err)
	}
	if !public {
		if host, err = loopback(host); err != nil {
			return nil, "", nil, fmt.Errorf("%w; if others are to reach it, and what they are sent may be read on the way, write %s%s", err, publicForm, address)
		}
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

// lookup asks for the addresses of a name.
var lookup = net.DefaultResolver.LookupIP

// lookupLimit is how long that may take.
const lookupLimit = 5 * time.Second

// loopback returns the address of the loopback interface that a host of an address is. The name localhost is what this host says that it is.
func loopback(host string) (string, error) {
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return host, nil
	}
	if host != "localhost" {
		return "", fmt.Errorf("%q is not an address of the loopback interface, such as 127.0.0.1", host)
	}
	ctx, cancel := context.WithTimeout(context.Background(), lookupLimit)
	defer cancel()
	ips, err := lookup(ctx, "ip", host)
	if err != nil || len(ips) == 0 {
		return "", fmt.Errorf("the address of %s is not known, write 127.0.0.1: %w", host, err)
	}
	chosen := ips[0]
	for _, ip := range ips {
		if !ip.IsLoopback() {
			return "", fmt.Errorf("%s is %s here, which is not an address of the loopback interface, such as 127.0.0.1", host, ip)
		}
		if ip.To4() != nil && chosen.To4() == nil {
			chosen = ip
		}
	}
	return chosen.String(), nil
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
