package remote_test

import (
	"testing"

	"github.com/rankpool/rankpool/internal/remote"
	"github.com/rankpool/rankpool/internal/testkit"
)

func TestMain(m *testing.M) { testkit.Main(m) }

// across returns err as the other side sees it.
func across(t *testing.T, err error) error {
	t.Helper()
	b := remote.Append([]byte("before"), err)
	if string(b[:6]) != "before" {
		t.Fatalf("Append changed what was there: %q", b[:6])
	}
	got, rest, problem := remote.Decode(append(b[6:], "after"...))
	if problem != nil {
		t.Fatalf("Decode: %v", problem)
	}
	if string(rest) != "after" {
		t.Fatalf("Decode left %q, want %q", rest, "after")
	}
	return got
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
