package registry

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
)

// Signature is an entry in words: what two processes compare.
type Signature struct {
	Kind   Kind
	Name   string
	Args   string // see Describe
	Result string // "" when there is none
}

// before tells the order of the entries.
func (s Signature) before(t Signature) bool {
	return s.Kind < t.Kind || s.Kind == t.Kind && s.Name < t.Name
}

// Fingerprint is what two processes must agree on before one runs the other's tasks.
type Fingerprint struct {
	Entries []Signature // by kind, then by name; no name twice

	// Build identifies the executable: the id that Go's linker left in it, or a hash of the file. Empty when neither can
	// be read, and then it is not compared.
	Build     string
	GoVersion string
	OS        string
	Arch      string

	// MPI is the MPI library by which the process talks, with its version. Empty where there is none, and then it is not compared.
	MPI string

	// Module is where the source came from. It is for people: shown with a difference, never one by itself.
	Module string
}

// Fingerprint describes this program and what is in the table. It reads the executable the first time (see
// Fingerprint.Build), which takes under 0.1 ms in the common case.
func (t *Table) Fingerprint() Fingerprint {
	f := Fingerprint{
		Build:     build(),
		GoVersion: runtime.Version(),
		OS:        runtime.GOOS,
		Arch:      runtime.GOARCH,
		Module:    module(),
	}
	for k := range kinds {
		for _, e := range t.Entries(k) {
			f.Entries = append(f.Entries, Signature{
				Kind: k, Name: e.Name, Args: Describe(e.Args), Result: Describe(e.Result),
			})
		}
	}
	return f
}

// Hash condenses everything that Diff compares: two fingerprints that hash alike do not differ.
func (f Fingerprint) Hash() [sha256.Size]byte {
	fields := make([]string, 0, 5+4*len(f.Entries))
	fields = append(fields, f.Build, f.GoVersion, f.OS, f.Arch, f.MPI)
	for _, s := range f.Entries {
		fields = append(fields, s.Kind.String(), s.Name, s.Args, s.Result)
	}
	return sum(fields...)
}

// The encoding: a mark, the six strings, the number of entries, and each entry as its kind and three strings. Lengths
// and numbers are varints.
const mark = "RPF2"

// Encode writes the fingerprint as DecodeFingerprint reads it.
func (f Fingerprint) Encode() []byte {
	b := []byte(mark)
	for _, s := range []string{f.Build, f.GoVersion, f.OS, f.Arch, f.MPI, f.Module} {
		b = appendString(b, s)
	}
	b = binary.AppendUvarint(b, uint64(len(f.Entries)))
	for _, s := range f.Entries {
		b = append(b, byte(s.Kind))
		b = appendString(b, s.Name)
		b = appendString(b, s.Args)
		b = appendString(b, s.Result)
	}
	return b
}

func appendString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// errCut is the cause when the bytes end too early.
var errCut = errors.New("the bytes end in the middle of it")

// DecodeFingerprint reads what Encode wrote, all of b. Bytes that are anything else are an error, never a panic, and
// cost memory in proportion to their own length only.
func DecodeFingerprint(b []byte) (Fingerprint, error) {
	f, err := decodeFingerprint(b)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("registry: not a fingerprint (%d bytes): %w; both ends must be the same program", len(b), err)
	}
	return f, nil
}

func decodeFingerprint(b []byte) (f Fingerprint, err error) {
	if len(b) < len(mark) || string(b[:len(mark)]) != mark {
		return f, fmt.Errorf("it does not begin with %q", mark)
	}
	b = b[len(mark):]
	for _, s := range []*string{&f.Build, &f.GoVersion, &f.OS, &f.Arch, &f.MPI, &f.Module} {
		if *s, b, err = cutString(b); err != nil {
			return f, err
		}
	}
	n, w := binary.Uvarint(b)
	if w <= 0 {
		return f, errCut
	}
	b = b[w:]
	// An entry takes four bytes at least.
	if n > uint64(len(b))/4 {
		return f, fmt.Errorf("it announces %d entries in %d bytes", n, len(b))
	}
	for range n {
		var s Signature
		if len(b) == 0 {
			return f, errCut
		}
		if s.Kind = Kind(b[0]); s.Kind >= kinds {
			return f, fmt.Errorf("entry %d is of unknown %v", len(f.Entries), s.Kind)
		}
		b = b[1:]
		for _, p := range []*string{&s.Name, &s.Args, &s.Result} {
			if *p, b, err = cutString(b); err != nil {
				return f, err
			}
		}
		if n := len(f.Entries); n > 0 && !f.Entries[n-1].before(s) {
			return f, fmt.Errorf("entry %d, %q, is not in order, or there twice", n, s.Name)
		}
		f.Entries = append(f.Entries, s)
	}
	if len(b) > 0 {
		return f, fmt.Errorf("%d bytes follow it", len(b))
	}
	return f, nil
}

func cutString(b []byte) (string, []byte, error) {
	n, w := binary.Uvarint(b)
	if w <= 0 || n > uint64(len(b)-w) {
		return "", nil, errCut
	}
	return string(b[w : w+int(n)]), b[w+int(n):], nil
}
