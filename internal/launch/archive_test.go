package launch

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// entry is one of an archive.
type entry struct {
	name, text string
	mode       fs.FileMode
}

func writeArchive(t *testing.T, entries ...entry) (path string) {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, Method: zip.Deflate}
		h.SetMode(e.mode | 0o666)
		f, err := w.CreateHeader(h)
		if err == nil && !strings.HasSuffix(e.name, "/") {
			_, err = f.Write([]byte(e.text))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	path = filepath.Join(t.TempDir(), "archive.zip")
	if err := errors.Join(w.Close(), os.WriteFile(path, b.Bytes(), 0o600)); err != nil {
		t.Fatal(err)
	}
	return path
}

// unpacked unpacks into a folder that has nothing but that folder beside it, and fails the test if that changes.
func unpacked(t *testing.T, archive string, limit room) (program, top string, err error) {
	t.Helper()
	above := t.TempDir()
	top = filepath.Join(above, "top")
	if err := os.Mkdir(top, 0o700); err != nil {
		t.Fatal(err)
	}
	into, err := os.OpenRoot(top)
	if err != nil {
		t.Fatal(err)
	}
	defer into.Close()
	program, err = unpack(t.Context(), archive, into, limit)
	if beside, readErr := os.ReadDir(above); readErr != nil || len(beside) != 1 {
		t.Errorf("beside the folder there are %v, %v", beside, readErr)
	}
	return program, top, err
}

func TestAnArchiveThatLeavesItsFolderIsRefused(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "outside")
	main := entry{name: "main.go", text: "package main"}
	for name, entries := range map[string][]entry{
		"a name that goes up":         {main, {name: "../other.go"}},
		"one that goes up further in": {main, {name: "a/../../other.go"}},
		"an absolute name":            {main, {name: outside}},
		"a backslash":                 {main, {name: `..\other.go`}},
		"an empty name":               {main, {name: "/"}},
		"a link":                      {main, {name: "link", text: "..", mode: fs.ModeSymlink}},
		"a link that is gone through": {main, {name: "link", text: filepath.Dir(outside), mode: fs.ModeSymlink}, {name: "link/outside"}},
		"a pipe":                      {main, {name: "pipe", mode: fs.ModeNamedPipe}},
		"a device":                    {main, {name: "device", mode: fs.ModeDevice}},
		"a name that is there twice":  {main, main},
		"a file that is a folder too": {main, {name: "main.go/other.go"}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := unpacked(t, writeArchive(t, entries...), usualRoom); err == nil {
				t.Error("it is unpacked")
			}
			if _, err := os.Lstat(outside); err == nil {
				t.Error("a file outside was written")
			}
		})
	}
}

func TestAnArchiveThatWouldFillTheDiskIsGivenUpAtItsLimit(t *testing.T) {
	large := writeArchive(t, entry{name: "main.go", text: "package main"}, entry{name: "zeros", text: strings.Repeat("\x00", 1<<20)},
		entry{name: "more", text: "x"})
	if _, top, err := unpacked(t, large, room{files: 3, bytes: 1000}); err == nil || !strings.Contains(err.Error(), "more than 1000 bytes") {
		t.Errorf("a megabyte where there is room for 1000 bytes: %v", err)
	} else if info, err := os.Stat(filepath.Join(top, "zeros")); err != nil || info.Size() > 1000 {
		t.Errorf("of it %d bytes were written, %v", info.Size(), err)
	}
	if _, _, err := unpacked(t, large, room{files: 2, bytes: 2 << 20}); err == nil || !strings.Contains(err.Error(), "more than 2 files and folders") {
		t.Errorf("three files where two may be: %v", err)
	}
	deep := writeArchive(t, entry{name: "main.go", text: "package main"}, entry{name: strings.Repeat("a/", 1000) + "x"})
	if _, top, err := unpacked(t, deep, room{files: 100, bytes: 1000}); err == nil || !strings.Contains(err.Error(), "more than 100 files and folders") {
		t.Errorf("a thousand folders in one name: %v", err)
	} else if made, err := os.ReadDir(top); err != nil || len(made) > 0 {
		t.Errorf("%v was unpacked, %v", made, err)
	}
	if _, _, err := unpacked(t, large, room{files: 3, bytes: 12 + 1<<20 + 1}); err != nil {
		t.Errorf("just usualRoom room: %v", err)
	}
}

func TestWhatIsUnpackedIsTheUsersAlone(t *testing.T) {
	program, top, err := unpacked(t, writeArchive(t, entry{name: "sweep/", mode: fs.ModeDir | 0o777},
		entry{name: "sweep/main.go", text: "package main", mode: 0o777 | fs.ModeSetuid}, entry{name: "sweep/data/x", text: "1"}), usualRoom)
	if err != nil || program != "sweep" {
		t.Fatalf("the program is in %q, %v", program, err)
	}
	for name, want := range map[string]fs.FileMode{"sweep": fs.ModeDir | 0o700, "sweep/main.go": 0o600, "sweep/data": fs.ModeDir | 0o700, "sweep/data/x": 0o600} {
		if info, err := os.Lstat(filepath.Join(top, name)); err != nil || info.Mode() != want {
			t.Errorf("%s has mode %v, want %v (%v)", name, info.Mode(), want, err)
		}
	}
}

// soon is a context that ends when it has been asked for a while.
type soon struct {
	context.Context
	left int
}

func (c *soon) Err() error {
	if c.left--; c.left > 0 {
		return nil
	}
	return context.Canceled
}

func TestUnpackingEndsWithItsContext(t *testing.T) {
	zeros := strings.Repeat("\x00", 32<<20)
	one := writeArchive(t, entry{name: "main.go", text: "package main"}, entry{name: "zeros", text: zeros})
	var many []entry
	for i := range 2000 {
		many = append(many, entry{name: fmt.Sprintf("%d/x.go", i)})
	}
	for name, c := range map[string]struct {
		archive string
		most    int64 // of all bytes and files
	}{"in a file": {one, 8 << 20}, "between files": {writeArchive(t, many...), 200}} {
		t.Run(name, func(t *testing.T) {
			top := t.TempDir()
			into, err := os.OpenRoot(top)
			if err != nil {
				t.Fatal(err)
			}
			defer into.Close()
			if _, err := unpack(&soon{t.Context(), 100}, c.archive, into, usualRoom); !errors.Is(err, context.Canceled) {
				t.Errorf("it ends with %v", err)
			}
			var written int64
			err = fs.WalkDir(into.FS(), ".", func(_ string, e fs.DirEntry, err error) error {
				if err != nil || e.IsDir() {
					return err
				}
				info, err := e.Info()
				if err == nil {
					written += info.Size() + 1
				}
				return err
			})
			if err != nil || written == 0 || written > c.most {
				t.Errorf("%d bytes and files were written, want 1 to %d (%v)", written, c.most, err)
			}
		})
	}
}

func TestUnpackingEndsWithTheTimeForAFileSystem(t *testing.T) {
	archive := target{form: archive, name: "a.zip", path: writeArchive(t, entry{name: "main.go", text: "package main"})}
	_, err := compiler{wait: 1}.planArchive(t.Context(), archive, t.TempDir())
	if text := fmt.Sprint(err); !strings.Contains(text, "has not ended within 1ns") || !strings.Contains(text, "--wait") {
		t.Error(text)
	}
}
