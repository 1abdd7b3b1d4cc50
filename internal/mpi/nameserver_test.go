package mpi_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/mpi"
)

func TestTheAddressesOfANameServerAreRead(t *testing.T) {
	for uri, want := range map[string][]string{
		"5505024.0;tcp://192.0.2.2:34519\n":                         {"192.0.2.2:34519"},
		"1.0;tcp://192.0.2.2,198.51.100.7:1;tcp6://[fd00::2]:60655": {"192.0.2.2:1", "198.51.100.7:1", "[fd00::2]:60655"},
		"1.0;usock;tcp://192.0.2.2:7;nonsense":                      {"192.0.2.2:7"},
	} {
		n, err := mpi.ParseNameServer(uri)
		if diff := cmp.Diff(want, n.Addresses); err != nil || diff != "" || n.URI != strings.TrimSpace(uri) {
			t.Errorf("%q: %v, %q\n%s", uri, err, n.URI, diff)
		}
	}
	for _, uri := range []string{"", "x", "1.0;", "1.0;tcp://nowhere", "pid:7"} {
		if _, err := mpi.ParseNameServer(uri); err == nil || !strings.Contains(err.Error(), "ompi-server -r FILE") {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

func TestTheNameServerIsTheOneThatTheLauncherWasGiven(t *testing.T) {
	file := filepath.Join(t.TempDir(), "uri")
	if err := os.WriteFile(file, []byte("1.0;tcp://192.0.2.2:7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	find := func(value string) (mpi.NameServer, error) {
		return mpi.FindNameServer(func(name string) (string, bool) { return value, name == "OMPI_MCA_pmix_server_uri" })
	}
	for value, want := range map[string]string{"": "", "file:" + file: "1.0;tcp://192.0.2.2:7", "2.0;tcp://192.0.2.3:8": "2.0;tcp://192.0.2.3:8"} {
		if n, err := find(value); err != nil || n.URI != want {
			t.Errorf("%q: %q, %v", value, n.URI, err)
		}
	}
	for _, value := range []string{"file:" + file + ".not", "pid:12"} {
		if _, err := find(value); err == nil || !strings.Contains(err.Error(), "--ompi-server") {
			t.Errorf("%q: %v", value, err)
		}
	}
}

func TestJobsOfOneDVMConnectOnWhateverHostsTheyAre(t *testing.T) {
	find := func(uri string) mpi.NameServer {
		t.Helper()
		env := map[string]string{"OMPI_COMM_WORLD_SIZE": "2", "PRTE_LAUNCHED": "1", "PMIX_SERVER_URI4": uri, "PMIX_SERVER_URI2": uri}
		n, err := mpi.FindNameServer(func(name string) (string, bool) { value, set := env[name]; return value, set })
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	here, there := find("prte-node1-4711@0.0;tcp4://127.0.0.1:35145"), find("prte-node1-4711@0.2;tcp4://192.0.2.3:34001")
	other, own := find("prte-node1-4712@0.0;tcp4://127.0.0.1:35146"), find("prterun-node1-4713@0.0;tcp4://192.0.2.2:51461")
	if here.DVM != "prte-node1-4711@0" || !here.Is(there) || !there.Is(here) {
		t.Errorf("%+v and %+v are not the same", here, there)
	}
	if d := cmp.Diff([]string{"192.0.2.3:34001"}, there.Addresses); d != "" {
		t.Error(d)
	}
	server := mpi.NameServer{URI: "1.0;tcp://192.0.2.2:7"}
	for _, n := range []mpi.NameServer{other, own, server, {}} {
		if here.Is(n) || n.Is(here) {
			t.Errorf("%+v and %+v are the same", here, n)
		}
	}
	if own.URI != "" {
		t.Errorf("the daemon of mpiexec alone is taken for a name server: %+v", own)
	}
}

func TestANameServerThatIsGoneDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := mpi.NameServer{URI: "x", Addresses: []string{"127.0.0.1:1", l.Addr().String()}}
	if err := n.Answers(t.Context()); err != nil {
		t.Errorf("one of its addresses answers: %v", err)
	}
	_ = l.Close()
	if err := n.Answers(context.Background()); err == nil || !strings.Contains(err.Error(), "start it again") {
		t.Errorf("nobody is there: %v", err)
	}
	n.DVM = "prte-node1-4711@0"
	if err := n.Answers(context.Background()); err == nil || !strings.Contains(err.Error(), "(`(umask 077; prte --report-uri URIFILE) &`)") {
		t.Errorf("no daemon is there: %v", err)
	}
}
