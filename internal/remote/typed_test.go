package remote_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rankpool/rankpool/internal/remote"
)

type quota struct {
	User string
	Over []float64
	note string
}

func (e *quota) Error() string { return "over quota: " + e.User + e.note }

type byValue struct{ Code int }

func (e byValue) Error() string        { return fmt.Sprint("code ", e.Code) }
func (e byValue) Is(target error) bool { return target == io.ErrNoProgress && e.Code == 7 }

type list []string

func (e list) Error() string { return strings.Join(e, ",") }

func TestARegisteredTypeAndItsFieldsArriveIntact(t *testing.T) {
	must(t, remote.RegisterErrorType[*quota]("quota"))
	must(t, remote.RegisterErrorType[*quota]("quota"))
	must(t, remote.RegisterErrorType[byValue]("byValue"))
	must(t, remote.RegisterErrorType[list]("list"))

	want := &quota{"ann", []float64{1, 2.5}, " (twice)"}
	got, ok := errors.AsType[*quota](across(t, fmt.Errorf("task: %w", errors.Join(io.EOF, want))))
	if d := cmp.Diff(want, got, cmp.AllowUnexported(quota{})); !ok || d != "" {
		t.Errorf("(-sent +arrived):\n%s", d)
	}
	if got := across(t, byValue{7}); got != (byValue{7}) || !errors.Is(got, io.ErrNoProgress) {
		t.Errorf("a type with an Is method: got %#v", got)
	}
	if got, ok := errors.AsType[list](across(t, fmt.Errorf("%w", list{"a", "b"}))); !ok || got.Error() != "a,b" {
		t.Errorf("a slice type: got %#v", got)
	}
}

type operation struct {
	Name string
	Err  error
	more []error
}

func (e *operation) Error() string   { return fmt.Sprint(e.Name, ": ", e.Err, " ", e.more) }
func (e *operation) Unwrap() []error { return append([]error{e.Err}, e.more...) }

func TestErrorsInsideARegisteredTypeNeedNoRegistration(t *testing.T) {
	must(t, remote.RegisterErrorType[*operation]("operation"))
	sent := &operation{"copy", fmt.Errorf("disk: %w", fs.ErrPermission), []error{errors.New("plain"), io.EOF}}
	got, ok := across(t, sent).(*operation)
	if !ok {
		t.Fatalf("got %#v", across(t, sent))
	}
	if d := cmp.Diff(drawing(sent), drawing(got)); d != "" {
		t.Errorf("(-sent +arrived):\n%s", d)
	}
	if !errors.Is(got, fs.ErrPermission) || !errors.Is(got, io.EOF) {
		t.Errorf("errors.Is does not find what is inside %v", got)
	}
	if sent.Err == nil || sent.more[0] == nil {
		t.Error("the value that was sent has changed")
	}
}

func TestAFieldOfTypeErrorMayBeNil(t *testing.T) {
	must(t, remote.RegisterErrorType[*operation]("operation"))
	got, ok := across(t, &operation{Name: "n", more: []error{nil, io.EOF}}).(*operation)
	if !ok || got.Err != nil || len(got.more) != 2 || got.more[0] != nil || got.more[1] != io.EOF {
		t.Errorf("got %#v", got)
	}
}

type embedding struct {
	error
	Code int
}

func (e embedding) Unwrap() error { return e.error }

func TestAnEmbeddedErrorTravelsToo(t *testing.T) {
	must(t, remote.RegisterErrorType[embedding]("embedding"))
	got, ok := across(t, embedding{fmt.Errorf("x: %w", io.EOF), 3}).(embedding)
	if !ok || got.Code != 3 || got.Error() != "x: EOF" || !errors.Is(got, io.EOF) {
		t.Errorf("got %#v", got)
	}
}

type counting struct{ N int }

var shown int

func (e *counting) Error() string { shown++; return fmt.Sprint(e.N, " ", shown) }

type forgetful struct{ cause *holder }
type holder struct {
	_, Err error
	Rest   any
}

func (e *forgetful) Error() string { return "forgetful" }
func (e *forgetful) Unwrap() error {
	if e.cause == nil {
		return nil
	}
	return e.cause._hidden()
}
func (h *holder) _hidden() error { return h.Err }

func TestATextThatChangesIsKeptAsItWasSent(t *testing.T) {
	must(t, remote.RegisterErrorType[*counting]("counting"))
	b := remote.Append(nil, &counting{5})
	sent := fmt.Sprint("5 ", shown)
	got, _, problem := remote.Decode(b)
	must(t, problem)
	if got.Error() != sent || remote.TypeName(got) != "*remote_test.counting" {
		t.Errorf("got %q, want %q", got, sent)
	}
	if c, ok := errors.AsType[*counting](got); !ok || c.N != 5 {
		t.Errorf("errors.As found %v", c)
	}
	if again := across(t, got); again.Error() != sent {
		t.Errorf("sent on: got %q, want %q", again, sent)
	}
}

func TestAValueThatCannotBeEncodedBecomesTextThatSaysSo(t *testing.T) {
	must(t, remote.RegisterErrorType[*forgetful]("forgetful"))
	sent := &forgetful{&holder{Err: &temporary{io.EOF}, Rest: struct{ X int }{1}}}
	got := across(t, sent)
	if got.Error() != "forgetful" || !errors.Is(got, io.EOF) {
		t.Errorf("got %v", got)
	}
	o, ok := errors.AsType[*remote.Opaque](got)
	if !ok || !strings.Contains(o.Note, "its value was left behind") || !strings.Contains(o.Note, "Rest") {
		t.Errorf("note: %+v", o)
	}
	re := remote.New(remote.Error{Func: "f", Worker: 1, Rank: -1}, got)
	if !strings.Contains(re.Error(), "its value was left behind") {
		t.Errorf("the line does not tell: %v", re)
	}
}

type withChan struct{ Done chan int }

func (e *withChan) Error() string { return "" }

func TestErrorTypesThatCannotWorkAreRefused(t *testing.T) {
	must(t, remote.RegisterErrorType[byValue]("byValue"))
	for _, c := range []struct {
		name, want string
		typ        reflect.Type
	}{
		{"", "no name", reflect.TypeFor[*quota]()},
		{"x", "is nil", nil},
		{"x", "register that", reflect.TypeFor[quota]()},
		{"x", "not an error", reflect.TypeFor[int]()},
		{"x", "interface", reflect.TypeFor[error]()},
		{"x", "Done", reflect.TypeFor[*withChan]()},
		{"byValue", "is taken by remote_test.byValue", reflect.TypeFor[*temporary]()},
		{"byValue2", `registered already, as "byValue"`, reflect.TypeFor[byValue]()},
	} {
		if err := remote.RegisterError(c.name, c.typ); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q %v: got %v, want one about %q", c.name, c.typ, err, c.want)
		}
	}
}
