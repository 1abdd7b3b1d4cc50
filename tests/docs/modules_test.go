package docs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// docs/support.md has a reason for each module that go.mod requires, and says which of them every program needs.
func TestEveryRequirementHasAReason(t *testing.T) {
	text, err := os.ReadFile("../../docs/support.md")
	if err != nil {
		t.Fatal(err)
	}
	with := map[string][]string{} // the modules, by who needs them
	var said []string
	for _, row := range regexp.MustCompile("(?m)^\\| `([a-z0-9./_-]+/[a-z0-9./_-]+)` \\| ([^|]+) \\| [^|]+ \\|$").FindAllStringSubmatch(string(text), -1) {
		said, with[row[2]] = append(said, row[1]), append(with[row[2]], row[1])
	}
	out, err := exec.Command("go", "mod", "edit", "-json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal(out, &mod); err != nil {
		t.Fatal(err)
	}
	var required []string
	for _, r := range mod.Require {
		if !r.Indirect {
			required = append(required, r.Path)
		}
	}
	same(t, "docs/support.md has these modules", said, required)
	every := with["every program"]
	for tags, want := range map[string][]string{"": every, "mpi": append(slices.Clip(every), with["every program built with the tag `mpi`"]...)} {
		list := exec.Command("go", "list", "-deps", "-tags", tags, "-f", "{{with .Module}}{{.Path}}{{end}}", "github.com/rankpool/rankpool/futures", "github.com/rankpool/rankpool/pool")
		list.Env, list.Stderr = append(os.Environ(), "GOOS=linux", "GOARCH=amd64", "CGO_ENABLED=0"), os.Stderr
		out, err := list.Output()
		if err != nil {
			t.Fatal(err)
		}
		needed := slices.DeleteFunc(strings.Fields(string(out)), func(m string) bool { return !slices.Contains(required, m) })
		same(t, "tags "+tags+": every program needs", want, needed)
	}
}

// same compares two lists of names, whose order and repetitions do not matter.
func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	for _, l := range []*[]string{&got, &want} {
		*l = slices.Compact(slices.Sorted(slices.Values(*l)))
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%q\nwant\n%q", what, got, want)
	}
}
