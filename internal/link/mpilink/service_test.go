package mpilink_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/link"
	"github.com/rankpool/rankpool/internal/link/mpilink"
)

// J03, J05
func TestAPlaceIsANameAFileOrAnAddress(t *testing.T) {
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]string{
		"": "rankpool", "a-name.1": "a-name.1", "file:/x/y": "file:/x/y", "file:y": "file:" + filepath.Join(here, "y"),
		"tcp:": "tcp::31415", "tcp:host": "tcp:host:31415", "tcp::7": "tcp::7", "tcp:host:7": "tcp:host:7", "tcp:[::1]:7": "tcp:[::1]:7",
		"tcp:[::1]": "tcp:[::1]:31415",
	} {
		p, err := mpilink.ParsePlace(s)
		if err != nil || p.String() != want {
			t.Errorf("%q: %v, %v", s, p, err)
		}
		if again, err := mpilink.ParsePlace(p.String()); err != nil || again != p {
			t.Errorf("%q: %v is not read as itself: %v, %v", s, p, again, err)
		}
	}
	for _, s := range []string{"a b", "a/b", "flie:x", "file:", "tcp:a:b:c", strings.Repeat("x", 201), "a\nb"} {
		if p, err := mpilink.ParsePlace(s); err == nil {
			t.Errorf("%q is %v", s, p)
		}
	}
}

// nobody is a scheduler that no group tells anything.
type nobody struct{ link.Handler }

// Whatever listens where a server is said to be must not hold a master up for longer than the start may take.
func TestAMasterIsNotHeldUpByWhatIsNoServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for n := 0; ; n++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			if n%2 == 0 { // the others are left without an answer
				_, _ = c.Write([]byte("220 mail.example.org ESMTP\r\n"))
				_ = c.Close()
			}
			defer c.Close()
		}
	}()
	place, err := mpilink.ParsePlace("tcp:" + l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	g := mpilink.NewConnected(mpilink.Connection{Place: place, Init: func() error { return errors.New("MPI was started") }})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	begin := time.Now()
	_, err = g.Open(ctx, nobody{})
	if err == nil || !strings.Contains(err.Error(), "rankpool serve --service tcp:") || time.Since(begin) > 5*time.Second {
		t.Errorf("after %v: %v", time.Since(begin), err)
	}
	if err := g.Close(t.Context()); err != nil {
		t.Error(err)
	}
}
