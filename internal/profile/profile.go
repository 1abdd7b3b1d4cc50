// Package profile takes profiles of a process and writes them into a folder that others may share.
package profile

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// Variable names the folder.
const Variable = "RANKPOOL_PROFILE"

// The kinds of profiles. They begin the names of their files.
const (
	CPU  = "cpu"
	Heap = "heap"
)

// Ending is how the files' names end.
const Ending = ".pb.gz"

// How long a folder may take to answer, a collection of what is garbage before the heap is looked at, and all that is to be written at the end.
// A worker that has said goodbye has ten seconds.
const (
	openLimit    = 10 * time.Second
	collectLimit = 2 * time.Second
	writeLimit   = 7 * time.Second
)

// ErrTaken says that the program has begun a CPU profile itself. There can be one at a time.
var ErrTaken = errors.New("the program takes a CPU profile itself, and there can be one at a time: heap profiles are written, and CPU profiles " +
	"only of processes that take none")

// Session is the profiles of this process, which are being taken.
type Session struct {
	cpu, heap *os.File // nil: not taken
	samples   bytes.Buffer
}

// Folder is the folder that Variable names, or "". A relative name is made absolute in the variable too: this process and its
// workers may be in other folders later.
func Folder() string {
	dir := os.Getenv(Variable)
	if dir == "" || filepath.IsAbs(dir) {
		return dir
	}
	if abs, err := filepath.Abs(dir); err == nil && os.Setenv(Variable, abs) == nil {
		return abs
	}
	return dir
}

// Start begins to profile this process, if Variable names a folder, which is made if it is not there. Who is the role of the process and its
// number. Without cpu, or where the program takes a CPU profile itself, which is ErrTaken, there is a profile of the heap alone. After any other
// error there is none, and the session is nil. Start blocks for some seconds at most, on a file system that hangs.
func Start(who string, cpu bool) (*Session, error) {
	dir := Folder()
	if dir == "" {
		return nil, nil
	}
	s, taken := &Session{}, !cpu
	if cpu {
		taken = pprof.StartCPUProfile(&s.samples) != nil
	}
	files, err := within(openLimit, func() ([]*os.File, error) {
		kinds := []string{Heap, CPU}
		if taken {
			kinds = kinds[:1]
		}
		return open(dir, who, kinds)
	})
	if err != nil {
		if !taken {
			pprof.StopCPUProfile()
		}
		return nil, fmt.Errorf("no profiles are written: %s=%s: %w", Variable, dir, err)
	}
	s.heap = files[0]
	if taken {
		return s, fmt.Errorf("%s=%s: %w", Variable, dir, ErrTaken)
	}
	s.cpu = files[1]
	return s, nil
}

// End writes the profiles. Files that cannot be written are left empty. It blocks for some seconds at most. A nil session has nothing to do.
func (s *Session) End() error {
	if s == nil {
		return nil
	}
	_, err := within(writeLimit, func() (_ struct{}, err error) {
		_, _ = within(collectLimit, func() (_ struct{}, _ error) { // or it would show what there was some time ago
			runtime.GC()
			return
		})
		var heap bytes.Buffer // before the other one, whose end takes memory
		err = errors.Join(pprof.Lookup("heap").WriteTo(&heap, 0), fill(s.heap, heap.Bytes()))
		if s.cpu != nil {
			pprof.StopCPUProfile()
			err = errors.Join(err, fill(s.cpu, s.samples.Bytes()))
		}
		return struct{}{}, err
	})
	if err != nil {
		return fmt.Errorf("not all profiles were written: %s=%s: %w", Variable, filepath.Dir(s.heap.Name()), err)
	}
	return nil
}

// open makes the files of a process, one for each kind, or none.
func open(dir, who string, kinds []string) (files []*os.File, err error) {
	if err = os.MkdirAll(dir, 0o777); err != nil { //nolint:gosec // the umask says who may read them
		return nil, bare(err)
	}
	for _, kind := range kinds {
		f, err := create(dir, kind+"."+who+"."+host()+"."+strconv.Itoa(os.Getpid()))
		if err != nil {
			for _, f := range files {
				_, _ = f.Close(), os.Remove(f.Name())
			}
			return nil, bare(err)
		}
		files = append(files, f)
	}
	return files, nil
}

// create makes a file that was not there: process numbers come again, and containers may have the same name.
func create(dir, name string) (f *os.File, err error) {
	for again := 1; again < 1000; again++ {
		path := filepath.Join(dir, name+Ending)
		if again > 1 {
			path = filepath.Join(dir, name+"-"+strconv.Itoa(again)+Ending)
		}
		f, err = os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) //nolint:gosec // the umask says who may read it
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return f, err
}

// fill writes a file, or leaves it empty: a part of a profile cannot be read.
func fill(f *os.File, content []byte) error {
	_, err := f.Write(content)
	if err != nil {
		_ = f.Truncate(0)
	}
	return bare(errors.Join(err, f.Close()))
}

// bare is an error without the name of the file: the same for all processes.
func bare(err error) error {
	if of := (*fs.PathError)(nil); errors.As(err, &of) {
		return of.Err
	}
	return err
}

// host is the name of this machine, as far as the name of a file can have it.
func host() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r == '_' {
			return r
		}
		return '-'
	}, name)
}

// within returns what f returns, or an error when the limit is over.
func within[T any](limit time.Duration, f func() (T, error)) (T, error) {
	type result struct {
		v   T
		err error
	}
	done := make(chan result, 1)
	go func() {
		v, err := f()
		done <- result{v, err}
	}()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case r := <-done:
		return r.v, r.err
	case <-timer.C:
		var none T
		return none, fmt.Errorf("it took more than %v", limit)
	}
}

// Named takes the name of a file apart that Start has made; false if it is another one.
func Named(file string) (kind, role string, ok bool) {
	parts := strings.Split(strings.TrimSuffix(file, Ending), ".")
	if !strings.HasSuffix(file, Ending) || len(parts) != 4 || parts[0] != CPU && parts[0] != Heap {
		return "", "", false
	}
	role, _, _ = strings.Cut(parts[1], "-")
	return parts[0], role, role != ""
}

// Merged is the name of a file that has the profiles of all processes of a role. Named does not know it.
func Merged(kind, role string) string {
	return strings.Join([]string{"merged", kind, role}, ".") + Ending
}
