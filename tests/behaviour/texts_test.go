package behaviour_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/rankpool/rankpool/futures"
)

// Kelvin prints itself rounded.
type Kelvin float64

// MarshalText is for people.
func (k Kelvin) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, float64(k), 'f', 1, 64), nil
}

// UnmarshalText reads what people write.
func (k *Kelvin) UnmarshalText(b []byte) error {
	x, err := strconv.ParseFloat(string(b), 64)
	*k = Kelvin(x)
	return err
}

// Reading prints itself rounded, and is registered.
type Reading struct{ Value float64 }

func (r Reading) MarshalText() ([]byte, error) { return Kelvin(r.Value).MarshalText() }

// UnmarshalText reads what people write.
func (r *Reading) UnmarshalText(b []byte) error { return (*Kelvin)(&r.Value).UnmarshalText(b) }

// Line is a straight line with the function that computes it, which cannot travel.
type Line struct {
	text string
	at   func(float64) float64
}

func (l Line) MarshalText() ([]byte, error) {
	if l.at == nil {
		return nil, fmt.Errorf("the line %q has no function", l.text)
	}
	return []byte(l.text), nil
}

// UnmarshalText makes the function again: "2x+1".
func (l *Line) UnmarshalText(b []byte) error {
	var slope, shift float64
	if _, err := fmt.Sscanf(string(b), "%gx+%g", &slope, &shift); err != nil {
		return fmt.Errorf("%q is no line: %w", b, err)
	}
	*l = Line{string(b), func(x float64) float64 { return slope*x + shift }}
	return nil
}

func newLine(text string) (l Line) {
	if err := l.UnmarshalText([]byte(text)); err != nil {
		panic(err)
	}
	return l
}

// Unknown is as Line, but nobody has registered it.
type Unknown Line

func (u Unknown) MarshalText() ([]byte, error)     { return Line(u).MarshalText() }
func (u *Unknown) UnmarshalText(text []byte) error { return (*Line)(u).UnmarshalText(text) }

// Lines has lines wherever a value can have some.
type Lines struct {
	One    Line
	Null   *Line
	List   []Line
	ByName map[string]*Line
	Any    any
}

// at computes the value of each line.
func (l Lines) at(x float64) (all []float64) {
	all = append(all, l.One.at(x))
	for _, one := range l.List {
		all = append(all, one.at(x))
	}
	return append(all, l.ByName["a"].at(x), l.Any.(Line).at(x))
}

// Values are what a task has computed, and the lines.
type Values struct {
	At    []float64
	Lines Lines
}

// The types come first, as the documentation asks for.
var (
	_ = futures.RegisterType[Line]("behaviour.Line")
	_ = futures.RegisterType[Reading]("behaviour.Reading")

	kelvin   = futures.Register("kelvin", func(k Kelvin) (Kelvin, error) { return k, nil })
	readings = futures.Register("readings", func(of map[string]any) (map[string]any, error) { return of, nil })
	lines    = futures.Register("lines", func(l Lines) (Values, error) { return Values{l.at(10), l}, nil })

	_, withoutType = futures.TryRegister("unknown line", func(u Unknown) (int, error) { return 0, nil })
)

func TestAValueWithATextForPeopleArrivesWhole(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		if got := result(t, submit(t, ex, kelvin, Kelvin(273.15678))); got != 273.15678 {
			t.Errorf("273.15678 arrives as %v", float64(got))
		}
	})
}

// To register a type does not make its text good enough for a value whose fields can travel.
func TestARegisteredTypeWithATextForPeopleArrivesWhole(t *testing.T) {
	on(t, 1, func(t *testing.T, _ backend, ex futures.Executor) {
		got := result(t, submit(t, ex, readings, map[string]any{"a": Reading{273.15678}, "b": &Reading{-1.23456}}))
		if b, ok := got["b"].(*Reading); got["a"] != (Reading{273.15678}) || !ok || *b != (Reading{-1.23456}) {
			t.Errorf("%+v", got)
		}
	})
}

func TestARegisteredTypeWhoseFieldsCannotTravelArrivesByItsText(t *testing.T) {
	on(t, 1, func(t *testing.T, b backend, ex futures.Executor) {
		third := newLine("3x+0")
		sent := Lines{One: newLine("2x+1"), List: []Line{newLine("-1x+5"), third}, ByName: map[string]*Line{"a": &third}, Any: newLine("0.5x+0.25")}
		got := result(t, submit(t, ex, lines, sent))
		const want = "[21 -5 30 30 5.25]"
		if in, back := fmt.Sprint(got.At), fmt.Sprint(got.Lines.at(10)); in != want || back != want {
			t.Errorf("in the task %s, in the result %s, want %s", in, back, want)
		}
		if got.Lines.Null != nil || got.Lines.One.text != "2x+1" {
			t.Errorf("%+v", got.Lines)
		}
		if b.shares { // nothing is encoded
			return
		}
		sent.List[1] = Line{text: "empty"}
		if _, err := futures.Submit(ex, lines, sent); err == nil || !strings.Contains(err.Error(), `List[1]`) || !strings.Contains(err.Error(), `the line "empty" has no function`) {
			t.Errorf("a text that fails: %v", err)
		}
	})
}

func TestATypeWhoseFieldsCannotTravelIsRefusedUntilItIsRegistered(t *testing.T) {
	for _, want := range []string{"behaviour_test.Unknown", "func(float64) float64", "RegisterType for behaviour_test.Unknown"} {
		if text := fmt.Sprint(withoutType); !strings.Contains(text, want) {
			t.Errorf("there is no %q in: %s", want, text)
		}
	}
}
