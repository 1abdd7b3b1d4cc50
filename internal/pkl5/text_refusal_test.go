package pkl5_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/internal/pkl5"
)

// formula cannot be sent by its fields, and can by its text.
type formula struct{ Apply func(float64) float64 }

func (formula) MarshalText() ([]byte, error)     { return []byte("x"), nil }
func (*formula) UnmarshalText(text []byte) error { return nil }

// formulas is formula behind what is planned later than the type that has it.
type formulas struct{ Hidden []map[string]*handler }

type handler struct{ Call func() }

func (formulas) MarshalText() ([]byte, error)     { return []byte("x"), nil }
func (*formulas) UnmarshalText(text []byte) error { return nil }

// printed has a text that nobody can read again.
type printed struct{ Done chan int }

func (printed) MarshalText() ([]byte, error) { return []byte("x"), nil }

// extended has no text of its own: that of its part would lose the rest.
type extended struct {
	formula
	Done chan int
}

// callback is no struct.
type callback func()

func (callback) MarshalText() ([]byte, error)     { return []byte("x"), nil }
func (*callback) UnmarshalText(text []byte) error { return nil }

func TestTheErrorOfATypeThatCouldTravelByItsTextNamesRegisterType(t *testing.T) {
	type job struct {
		ID   int
		Many map[string][]*formula
	}
	for _, c := range []struct {
		of   reflect.Type
		want string // the type to register; empty where none is of use
	}{
		{reflect.TypeFor[formula](), "pkl5_test.formula"},
		{reflect.TypeFor[*formula](), "pkl5_test.formula"},
		{reflect.TypeFor[[3]formula](), "pkl5_test.formula"},
		{reflect.TypeFor[job](), "pkl5_test.formula"},
		{reflect.TypeFor[formulas](), "pkl5_test.formulas"},
		{reflect.TypeFor[struct{ A []formulas }](), "pkl5_test.formulas"},
		{reflect.TypeFor[callback](), "pkl5_test.callback"},
		{reflect.TypeFor[struct {
			First formula2
			Then  chan int
		}](), ""}, // what is to blame is not in the type that has a text
		{reflect.TypeFor[extended](), "pkl5_test.formula"},
		{reflect.TypeFor[printed](), ""},
		{reflect.TypeFor[handler](), ""},
		{reflect.TypeFor[chan int](), ""},
	} {
		_, err := pkl5.Compile(c.of)
		if err == nil {
			t.Errorf("%s is not refused", c.of)
			continue
		}
		_, after, advised := strings.Cut(err.Error(), "call RegisterType for ")
		name, _, _ := strings.Cut(after, ",")
		if name != c.want || advised != (c.want != "") {
			t.Errorf("%s: the advice is %q, want %q: %v", c.of, name, c.want, err)
		}
	}
}

// formula2 can be sent.
type formula2 struct{ Text string }

func (f formula2) MarshalText() ([]byte, error)     { return []byte(f.Text), nil }
func (f *formula2) UnmarshalText(text []byte) error { f.Text = string(text); return nil }

// advised is a formulas of which nobody else knows.
type advised formulas

func (advised) MarshalText() ([]byte, error)     { return []byte("x"), nil }
func (*advised) UnmarshalText(text []byte) error { return nil }

func TestWhatTheAdviceSaysHelps(t *testing.T) {
	type job struct{ Many []advised }
	if err := pkl5.RegisterType("advised", reflect.TypeFor[advised]()); err != nil {
		t.Fatal(err)
	}
	if _, err := pkl5.Compile(reflect.TypeFor[job]()); err != nil {
		t.Error(err)
	}
}
