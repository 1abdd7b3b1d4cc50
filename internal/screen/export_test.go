package screen

import "io"

// NewTerminal returns the screen of a terminal of that size.
func NewTerminal(w io.Writer, columns, rows int) *Screen {
	return &Screen{w: w, terminal: true, size: func() (int, int) { return columns, rows }}
}

// Lines writes lines as a writer does that Above returns.
func (s *Screen) Lines(b string) (int, error) { return s.above(s.w, []byte(b)) }
