package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strconv"
	"sync"
)

// names maps what is kept by identity or by type to the name it travels under, and back. It is filled by package-level
// registrations and read by every task, so reads share the lock.
var names = struct {
	sync.RWMutex
	sentinel map[string]error
	nameOf   map[error]string
	typ      map[string]*carrier
	carrier  map[reflect.Type]*carrier
}{
	sentinel: make(map[string]error),
	nameOf:   make(map[error]string),
	typ:      make(map[string]*carrier),
	carrier:  make(map[reflect.Type]*carrier),
}

func init() {
	for name, err := range map[string]error{
		"context.Canceled":         context.Canceled,
		"context.DeadlineExceeded": context.DeadlineExceeded,
		"errors.ErrUnsupported":    errors.ErrUnsupported,
		"fs.ErrClosed":             fs.ErrClosed,
		"fs.ErrExist":              fs.ErrExist,
		"fs.ErrInvalid":            fs.ErrInvalid,
		"fs.ErrNotExist":           fs.ErrNotExist,
		"fs.ErrPermission":         fs.ErrPermission,
		"fs.SkipAll":               fs.SkipAll,
		"fs.SkipDir":               fs.SkipDir,
		"io.EOF":                   io.EOF,
		"io.ErrClosedPipe":         io.ErrClosedPipe,
		"io.ErrNoProgress":         io.ErrNoProgress,
		"io.ErrShortBuffer":        io.ErrShortBuffer,
		"io.ErrShortWrite":         io.ErrShortWrite,
		"io.ErrUnexpectedEOF":      io.ErrUnexpectedEOF,
		"os.ErrDeadlineExceeded":   os.ErrDeadlineExceeded,
		"os.ErrNoDeadline":         os.ErrNoDeadline,
		"os.ErrProcessDone":        os.ErrProcessDone,
		"strconv.ErrRange":         strconv.ErrRange,
		"strconv.ErrSyntax":        strconv.ErrSyntax,
	} {
		if problem := RegisterSentinel(name, err); problem != nil {
			panic(problem)
		}
	}
}

// RegisterSentinel makes err keep its identity across processes, so that errors.Is finds it on the other side. Name is
// what it travels under, the same in every process that registers it; where it is not registered it arrives as text.
//
// It may be called at any time from any goroutine, and again for the same pair. The errors of context, io, io/fs, os,
// strconv and errors are there already.
func RegisterSentinel(name string, err error) error {
	switch {
	case name == "":
		return fmt.Errorf("sentinel %w has no name: give it one that is the same in every process", err)
	case err == nil:
		return fmt.Errorf("sentinel %q is nil: assign the error before it is registered", name)
	case !reflect.ValueOf(err).Comparable():
		return fmt.Errorf("sentinel %q is a %T, which cannot be compared, so errors.Is could never find it: register a pointer", name, err)
	}
	names.Lock()
	defer names.Unlock()
	if old, taken := names.sentinel[name]; taken && old != err {
		text, _ := textOf(old)
		return fmt.Errorf("sentinel name %q is taken by the error %q: choose another", name, text)
	}
	if old, taken := names.nameOf[err]; taken && old != name {
		return fmt.Errorf("sentinel %q is registered already, as %q: one name is enough", name, old)
	}
	names.sentinel[name] = err
	names.nameOf[err] = name
	return nil
}

// sentinelName returns the name err is registered under, or "".
func sentinelName(err error) string {
	// A map panics when asked for a key that cannot be compared.
	if !reflect.ValueOf(err).Comparable() {
		return ""
	}
	names.RLock()
	defer names.RUnlock()
	return names.nameOf[err]
}

func sentinelNamed(name string) (error, bool) {
	names.RLock()
	defer names.RUnlock()
	err, ok := names.sentinel[name]
	return err, ok
}
