package registry

import (
	"bytes"
	"crypto/sha256"
	"debug/elf"
	"encoding/binary"
	"encoding/hex"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
)

// build identifies the running executable.
//
// Go writes a build id into what it links: a hash of everything that went in and of what came out. Reading it back
// costs under 0.1 ms whatever the size of the file. Where there is none (linked with -buildid=, a platform whose
// format is not ELF and which puts it out of reach) the whole file is hashed instead, about 1 ms per MiB. It is "" when
// the file cannot be read at all, and then not compared.
//
// It is read once, and only when a fingerprint is first asked for.
var build = sync.OnceValue(func() string {
	f, err := openSelf()
	if err != nil {
		return ""
	}
	defer f.Close()
	return identify(f)
})

// openSelf opens the file this process runs, even if another has taken its name since.
func openSelf() (*os.File, error) {
	if runtime.GOOS == "linux" {
		if f, err := os.Open("/proc/self/exe"); err == nil {
			return f, nil
		}
	}
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return os.Open(path)
}

// identify returns what tells one executable from another: "go:" and the build id, or "sha256:" and the hash.
func identify(f io.ReaderAt) string {
	if id := noteID(f); id != "" {
		return "go:" + id
	}
	if id := textID(f); id != "" {
		return "go:" + id
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f, 0, 1<<62)); err != nil {
		return ""
	}
	return "sha256:" + hex.EncodeToString(h.Sum(nil))
}

// noteID reads the build id where ELF keeps it, in a note: three lengths, the name "Go", the id.
func noteID(f io.ReaderAt) string {
	e, err := elf.NewFile(f)
	if err != nil {
		return ""
	}
	defer e.Close()
	s := e.Section(".note.go.buildid")
	if s == nil {
		return ""
	}
	note, err := s.Data()
	if err != nil || len(note) < 16 || string(note[12:16]) != "Go\x00\x00" {
		return ""
	}
	n := e.ByteOrder.Uint32(note[4:])
	if uint64(n) > uint64(len(note)-16) {
		return ""
	}
	return string(note[16 : 16+n])
}

// textID finds the build id at the start of the code, where the other formats keep it.
func textID(f io.ReaderAt) string {
	head := make([]byte, 64<<10)
	n, err := f.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return ""
	}
	_, rest, found := bytes.Cut(head[:n], []byte("\xff Go build ID: \""))
	if !found {
		return ""
	}
	id, _, found := bytes.Cut(rest, []byte("\"\n \xff"))
	if !found || len(id) > 256 {
		return ""
	}
	return string(id)
}

// module describes where the program's source came from, for people: path, version, revision.
var module = sync.OnceValue(func() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	parts := []string{info.Path}
	if info.Main.Path != info.Path {
		parts = append(parts, info.Main.Path)
	}
	if info.Main.Version != "" {
		parts = append(parts, info.Main.Version)
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			parts = append(parts, s.Value[:min(12, len(s.Value))])
		case "vcs.modified":
			if s.Value == "true" {
				parts = append(parts, "modified")
			}
		case "-tags":
			parts = append(parts, "-tags="+s.Value)
		}
	}
	return strings.Join(parts, " ")
})

// sum hashes strings so that no two lists of them read the same.
func sum(fields ...string) [sha256.Size]byte {
	h := sha256.New()
	var n [8]byte
	for _, f := range fields {
		binary.LittleEndian.PutUint64(n[:], uint64(len(f)))
		h.Write(n[:])
		io.WriteString(h, f)
	}
	return [sha256.Size]byte(h.Sum(nil))
}
