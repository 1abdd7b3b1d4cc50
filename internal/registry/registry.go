// Package registry holds what travels by name: functions, globals, error types, the concrete types of interface
// values, and error values.
//
// A Go function cannot be sent, so every process must know it already. Each process fills a Table before it begins to
// work, freezes it, and the two ends compare Fingerprints before the first task: a difference is a MismatchError that
// shows it.
package registry

import (
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/rankpool/rankpool/internal/pkl5"
)

// Kind is the sort of thing a name stands for. Each kind has names of its own.
type Kind uint8

// The kinds, in the order in which fingerprints list them.
const (
	Function  Kind = iota // something to run: Args and Result are its types
	Global                // a value every worker is given: Args is its type
	ErrorType             // an error that keeps its type on the way back: Args is the type
	Type                  // a concrete type that travels inside interfaces: Args is the type
	Sentinel              // an error value that errors.Is finds on the other side: Args is error
	State                 // what each worker opens for itself: it has no type, for nothing of it travels

	kinds // how many there are
)

// String names the kind as messages to users do.
func (k Kind) String() string {
	switch k {
	case Function:
		return "function"
	case Global:
		return "global"
	case ErrorType:
		return "error type"
	case Type:
		return "type"
	case Sentinel:
		return "sentinel error"
	case State:
		return "state"
	}
	return "kind " + strconv.Itoa(int(k))
}

// Entry is one name and what it stands for.
type Entry struct {
	Kind    Kind
	Name    string
	Args    reflect.Type // of a function, its argument; of the other kinds, the type itself
	Result  reflect.Type // functions only; nil when there is none
	Context bool         // the function takes a context first
	Where   string       // file:line of the registration, see Caller
	Body    any          // what runs it, for whoever registered it: never read here

	// Index is the position among the sorted names of its kind, so it is equal on every side with an equal fingerprint.
	// It is -1 until Freeze. Read it only after Frozen has returned true.
	Index int
}

// Table maps names to entries. The zero value is ready to use.
//
// It has two lives: Add fills it, Freeze ends that. All methods may be called together from any goroutine; after Freeze
// the lookups take no lock.
type Table struct {
	mu      sync.RWMutex
	entries [kinds]map[string]*Entry
	frozen  atomic.Pointer[frozen]
}

// frozen is what Freeze leaves behind: never written again.
type frozen struct {
	where  string
	byName [kinds]map[string]*Entry
	sorted [kinds][]*Entry
}

var table Table

// Default returns the table of this program, the one package-level registrations go to.
func Default() *Table { return &table }

// Add registers e, of which it keeps a copy.
//
// The error is for the person who wrote the registration: an empty or taken name (both places are named), a
// registration after Freeze (the place where the table was frozen is named), a type that cannot be encoded (the path of
// the field is named).
func (t *Table) Add(e Entry) error {
	if e.Kind >= kinds {
		return fmt.Errorf("registration at %s: unknown %v", place(e.Where), e.Kind)
	}
	if e.Name == "" {
		return fmt.Errorf("%v registered at %s has no name: the name is what the workers find it by, so give it one that is the same in every process",
			e.Kind, place(e.Where))
	}
	// Before the types: a late registration is the mistake to report, whatever else is wrong with it.
	if f := t.frozen.Load(); f != nil {
		return late(e, f.where)
	}
	if err := encodable(e); err != nil {
		return err
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	if f := t.frozen.Load(); f != nil {
		return late(e, f.where)
	}
	if old, taken := t.entries[e.Kind][e.Name]; taken {
		return fmt.Errorf("%v %q is registered twice: first at %s, again at %s; choose another name for one of them",
			e.Kind, e.Name, place(old.Where), place(e.Where))
	}
	if t.entries[e.Kind] == nil {
		t.entries[e.Kind] = make(map[string]*Entry)
	}
	e.Index = -1
	t.entries[e.Kind][e.Name] = &e
	return nil
}

func late(e Entry, where string) error {
	return fmt.Errorf("%v %q is registered too late, at %s: Main began at %s and the workers' tables are closed; register it in a package-level variable or in an init function",
		e.Kind, e.Name, place(e.Where), place(where))
}

// encodable reports which of the entry's types cannot travel, and why.
func encodable(e Entry) error {
	if e.Kind == State {
		return nil
	}
	if e.Args == nil {
		return fmt.Errorf("%v %q at %s has no type: this is a mistake in the library", e.Kind, e.Name, place(e.Where))
	}
	if e.Kind == Sentinel {
		return nil // the value itself never travels
	}
	what := ""
	if e.Kind == Function {
		what = "argument "
	}
	compile := pkl5.Compile
	if e.Kind == Type {
		compile = pkl5.CompileRegistered
	}
	if _, err := compile(e.Args); err != nil {
		return fmt.Errorf("%v %q at %s: %stype %v cannot travel between processes: %w", e.Kind, e.Name, place(e.Where), what, e.Args, err)
	}
	if e.Result == nil {
		return nil
	}
	if _, err := pkl5.Compile(e.Result); err != nil {
		return fmt.Errorf("%v %q at %s: result type %v cannot travel between processes: %w", e.Kind, e.Name, place(e.Where), e.Result, err)
	}
	return nil
}

// Freeze ends registration and gives every entry its Index. Where is the place to name to those who come later; only
// that of the first call counts, further calls do nothing.
func (t *Table) Freeze(where string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.frozen.Load() != nil {
		return
	}
	f := &frozen{where: where, byName: t.entries}
	for k := range kinds {
		f.sorted[k] = t.sortedLocked(k)
		for i, e := range f.sorted[k] {
			e.Index = i
		}
	}
	t.frozen.Store(f)
}

// Frozen reports whether Freeze has been called.
func (t *Table) Frozen() bool { return t.frozen.Load() != nil }

// FrozenAt returns what the first Freeze was given, or "" before it.
func (t *Table) FrozenAt() string {
	if f := t.frozen.Load(); f != nil {
		return f.where
	}
	return ""
}

// Lookup returns the function called name.
func (t *Table) Lookup(name string) (*Entry, bool) { return t.Find(Function, name) }

// Find returns the entry of a kind called name.
func (t *Table) Find(k Kind, name string) (*Entry, bool) {
	if k >= kinds {
		return nil, false
	}
	if f := t.frozen.Load(); f != nil {
		e, ok := f.byName[k][name]
		return e, ok
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	e, ok := t.entries[k][name]
	return e, ok
}

// At returns the function with an Index. It finds nothing before Freeze, when no entry has one, nor for an index that
// is out of range, so a number off the wire can be passed as it is.
func (t *Table) At(index int) (*Entry, bool) {
	f := t.frozen.Load()
	if f == nil || index < 0 || index >= len(f.sorted[Function]) {
		return nil, false
	}
	return f.sorted[Function][index], true
}

// Len returns the number of functions.
func (t *Table) Len() int {
	if f := t.frozen.Load(); f != nil {
		return len(f.sorted[Function])
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return len(t.entries[Function])
}

// Entries returns all entries of a kind, sorted by name. The slice is the caller's, the entries are not.
func (t *Table) Entries(k Kind) []*Entry {
	if k >= kinds {
		return nil
	}
	if f := t.frozen.Load(); f != nil {
		return slices.Clone(f.sorted[k])
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.sortedLocked(k)
}

func (t *Table) sortedLocked(k Kind) []*Entry {
	s := make([]*Entry, 0, len(t.entries[k]))
	for _, e := range t.entries[k] {
		s = append(s, e)
	}
	slices.SortFunc(s, func(a, b *Entry) int { return strings.Compare(a.Name, b.Name) })
	return s
}

// Caller returns the file:line that called the function that calls Caller, or the caller of that one with skip 1, and
// so on: the form of Entry.Where.
func Caller(skip int) string {
	_, file, line, ok := runtime.Caller(skip + 2)
	if !ok {
		return ""
	}
	return file + ":" + strconv.Itoa(line)
}

func place(where string) string {
	if where == "" {
		return "a place unknown"
	}
	return where
}
