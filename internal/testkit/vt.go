package testkit

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// VT is a terminal of so many rows that shows what is written to it: as much of one as programs of this repository use. Its methods may be called
// from any goroutine.
type VT struct {
	mu            sync.Mutex
	columns, rows int
	lines         [][]rune // those that are no longer seen first
	row, column   int      // of the cursor; the row counts in lines
	saved         [2]int
	noWrap        bool
	pending       string // of a sequence
}

// NewVT returns an empty terminal.
func NewVT(columns, rows int) *VT { return &VT{columns: columns, rows: rows, lines: [][]rune{nil}} }

// Write implements io.Writer. It fails at what it does not know.
func (v *VT) Write(b []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	s := v.pending + string(b)
	v.pending = ""
	for s != "" {
		n, err := v.next(s)
		if err != nil {
			return 0, err
		}
		if n == 0 {
			v.pending = s
			break
		}
		s = s[n:]
	}
	return len(b), nil
}

// next takes the next of some text, of so many bytes. 0: it has not come whole.
func (v *VT) next(s string) (n int, err error) {
	switch s[0] {
	case '\r':
		v.column = 0
		return 1, nil
	case '\n':
		v.down()
		v.column = 0 // as the driver of a terminal has it
		return 1, nil
	case 0x1b:
		return v.sequence(s)
	}
	if !utf8.FullRuneInString(s) {
		return 0, nil
	}
	r, n := utf8.DecodeRuneInString(s)
	v.put(r)
	return n, nil
}

func (v *VT) put(r rune) {
	if v.column >= v.columns {
		if v.noWrap {
			v.column = v.columns - 1
		} else {
			v.down()
			v.column = 0
		}
	}
	line := v.lines[v.row]
	for len(line) <= v.column {
		line = append(line, ' ')
	}
	line[v.column] = r
	v.lines[v.row] = line
	v.column++
}

func (v *VT) down() {
	if v.row++; v.row == len(v.lines) {
		v.lines = append(v.lines, nil)
	}
}

// top is the first line that is seen.
func (v *VT) top() int { return max(len(v.lines)-v.rows, 0) }

func (v *VT) sequence(s string) (n int, err error) {
	if len(s) < 2 {
		return 0, nil
	}
	switch s[1] {
	case 'D':
		v.down()
	case '7':
		v.saved = [2]int{v.row - v.top(), v.column}
	case '8':
		v.row, v.column = v.saved[0]+v.top(), v.saved[1]
	case '[':
		end := strings.IndexFunc(s[2:], func(r rune) bool { return r >= '@' })
		if end < 0 {
			return 0, nil
		}
		n = 2 + end + 1
		return n, v.control(s[2:2+end], s[2+end])
	default:
		return 0, fmt.Errorf("a terminal is told ESC %c", s[1])
	}
	return 2, nil
}

func (v *VT) control(parameter string, what byte) error {
	switch {
	case what == 'J' && parameter == "":
		v.lines[v.row] = v.lines[v.row][:min(v.column, len(v.lines[v.row]))]
		for i := v.row + 1; i < len(v.lines); i++ {
			v.lines[i] = nil
		}
	case what == 'A':
		n, err := strconv.Atoi(parameter)
		if err != nil {
			return err
		}
		v.row = max(v.row-n, v.top())
	case parameter == "?7" && (what == 'l' || what == 'h'):
		v.noWrap = what == 'l'
	default:
		return fmt.Errorf("a terminal is told CSI %s%c", parameter, what)
	}
	return nil
}

// Lines are all lines there were, without spaces at their ends and without empty ones at the end.
func (v *VT) Lines() []string {
	v.mu.Lock()
	defer v.mu.Unlock()
	var all []string
	for _, l := range v.lines {
		all = append(all, strings.TrimRight(string(l), " "))
	}
	for len(all) > 0 && all[len(all)-1] == "" {
		all = all[:len(all)-1]
	}
	return all
}
