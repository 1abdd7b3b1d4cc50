//go:build unix

package command_test

import (
	"archive/zip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// proxy makes a module proxy that has this repository as the version v0.0.1, and returns its folder.
func proxy(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	versions := filepath.Join(dir, module, "@v")
	if err := os.MkdirAll(versions, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"list": "v0.0.1\n", "v0.0.1.info": `{"Version":"v0.0.1","Time":"2026-01-01T00:00:00Z"}`, "v0.0.1.mod": read(t, filepath.Join(root, "go.mod")),
	} {
		if err := os.WriteFile(filepath.Join(versions, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Create(filepath.Join(versions, "v0.0.1.zip"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	archive := zip.NewWriter(f)
	add := func(name string) error {
		w, err := archive.Create(module + "@v0.0.1/" + name)
		if err == nil {
			_, err = w.Write([]byte(read(t, filepath.Join(root, name))))
		}
		return err
	}
	for _, name := range []string{"go.mod", "go.sum", "LICENSE"} {
		if err := add(name); err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range []string{"asyncresult", "bench/ours", "bench/peers", "cmd", "comm", "futures", "internal", "journal", "monitor", "pool", "threadpool"} {
		err := filepath.WalkDir(filepath.Join(root, part), func(path string, d os.DirEntry, err error) error {
			if err != nil || !d.Type().IsRegular() || strings.HasSuffix(path, "_test.go") {
				return err
			}
			name, err := filepath.Rel(root, path)
			if err != nil {
				return err
			}
			return add(filepath.ToSlash(name))
		})
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAnInstalledCommandUsesTheLibraryOfItsOwnVersion(t *testing.T) {
	cache, err := exec.Command("go", "env", "GOMODCACHE").Output()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	env := []string{
		// What the library uses has been downloaded for this test: no network is needed.
		"GOPROXY=file://" + proxy(t) + ",file://" + strings.TrimSpace(string(cache)) + "/cache/download", "GOSUMDB=off",
		"GOMODCACHE=" + t.TempDir(), "GOBIN=" + bin, "GOFLAGS=-modcacherw", "GOTOOLCHAIN=local",
	}
	install := exec.Command("go", "install", module+"/cmd/rankpool@v0.0.1")
	install.Dir, install.Env = bin, append(os.Environ(), env...)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	c := call{program: filepath.Join(bin, "rankpool"), dir: bin, env: env}
	c.args = []string{"--version"}
	c.run(t).expect(t, 0, "rankpool v0.0.1, built without MPI")
	c.args = []string{"run", source(t, read(t, greet)), "-x"}
	c.run(t).expect(t, 0, `sum 30 by 2 processes; program.go ["-x"]`)
	c.args = []string{"run", "-c", `fmt.Println(ex.Backend())`}
	c.run(t).expect(t, 0, "processes")
}
