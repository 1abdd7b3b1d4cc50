//go:build unix

package monitor_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/rankpool/rankpool/internal/testkit"
	"github.com/rankpool/rankpool/monitor"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Whoever sets what names mean may have localhost be an address that others reach.
func TestTheNameLocalhostIsServedIfAllItsAddressesAreOfTheLoopbackInterface(t *testing.T) {
	four, six, other := net.IPv4(127, 0, 0, 1), net.IPv6loopback, net.IPv4(192, 0, 2, 7)
	for _, tt := range []struct {
		host string
		ips  []net.IP
		want string
	}{
		{"localhost", []net.IP{six, four}, "127.0.0.1"}, {"localhost", []net.IP{six}, "::1"}, {"127.0.0.9", nil, "127.0.0.9"},
		{"localhost", []net.IP{four, other}, ""}, {"localhost", nil, ""}, {"node1", []net.IP{four}, ""}, {"192.0.2.7", nil, ""}, {"", nil, ""},
	} {
		if at, err := monitor.Loopback(tt.host, tt.ips...); at != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s %v: %q, %v", tt.host, tt.ips, at, err)
		}
	}
}

// serve serves at an address until the test ends.
func serve(t *testing.T, address string) (*monitor.Server, error) {
	t.Helper()
	s, err := monitor.Serve(testkit.Within(t), address)
	if err == nil {
		t.Cleanup(func() { _ = s.Close() })
	}
	return s, err
}

func TestServeShowsTheProgramUntilItIsClosed(t *testing.T) {
	s, err := serve(t, "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func(address string) (int, error) {
		r, err := http.NewRequestWithContext(testkit.Within(t), http.MethodGet, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := c.Do(r)
		if err != nil {
			return 0, err
		}
		return a.StatusCode, a.Body.Close()
	}
	bare, _, _ := strings.Cut(s.Address(), "?")
	for address, want := range map[string]int{s.Address(): http.StatusOK, bare: http.StatusUnauthorized} {
		if code, err := get(address); code != want || err != nil {
			t.Errorf("%s: %d, %v", address, code, err)
		}
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	if code, err := get(s.Address()); err == nil {
		t.Errorf("it is closed, and answers %d", code)
	}
	if _, err := serve(t, "0.0.0.0:0"); err == nil || !strings.Contains(err.Error(), "write public:0.0.0.0:0") {
		t.Error(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if s, err := monitor.Serve(over, "127.0.0.1:0"); err == nil { // either may be first
		_ = s.Close()
	}
}

// The socket of a program that was killed stays, and so does the file with its host.
func TestASocketThatAProgramOfAnotherHostHasLeftStays(t *testing.T) {
	t.Chdir(t.TempDir())
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct{ host, want string }{
		"killed here": {host, ""}, "elsewhere": {"another" + host, "another"}, "unknown": {"", "of something else, or of a program on another host"},
	} {
		path := strings.ReplaceAll(name, " ", "-")
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		l.Close()
		if tt.host != "" {
			if err := os.WriteFile(path+".host", []byte(tt.host+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := serve(t, "unix:"+path)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil {
			if _, err := serve(t, "unix:"+path); err == nil || !strings.Contains(err.Error(), "in use by another program") {
				t.Errorf("%s, then: %v", name, err)
			}
			_ = s.Close()
		}
		if _, err := os.Lstat(path); (err == nil) != (tt.want != "") {
			t.Errorf("%s: the socket is there: %v", name, err)
		}
	}
	left, err := filepath.Glob("*")
	if err != nil || len(left) != 3 { // two sockets, and one name of a host
		t.Errorf("%q, %v", left, err)
	}
}

// What is bound is a name in a folder beside the socket, which is longer.
func TestTheErrorOfAPathThatIsTooLongSaysHowLongItMayBe(t *testing.T) {
	base, err := os.MkdirTemp("/tmp", "rp") //nolint:usetesting // the folder of a test may have a path that is too long
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(base)
	fits := monitor.MostPath - len("/.rp0123456789/s") // of a folder
	for extra, want := range map[int]string{0: "", 1: "too long by 1 bytes", 30: "too long by 30 bytes"} {
		folder := filepath.Join(base, strings.Repeat("x", fits+extra-len(base)-1))
		if err := os.Mkdir(folder, 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := serve(t, "unix:"+folder+"/socket")
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d: %v", extra, err)
		}
	}
}
