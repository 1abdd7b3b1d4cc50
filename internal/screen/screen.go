// Package screen shows bars at the end of a terminal, below what is written to it.
//
// The bars stand below the cursor, which stays where the next line is written. So what is erased when they are drawn again is never what
// somebody has written, also when a writer knows nothing of them: its line may have the rest of a bar at its end, and nothing of it is lost.
// Writers that go by [Above] have their lines whole.
package screen

import (
	"io"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/term"
)

// Bar is what is shown.
type Bar interface {
	// Text is one line without its end, of so many columns at most. It calls nobody's code, and does not block.
	Text(columns int) string
}

// Screen is a terminal, or another writer, that several may show something on. Each call of the writer is made under the screen's lock, which
// belongs to nobody else.
type Screen struct {
	w        io.Writer
	info     os.FileInfo // of a file
	terminal bool
	size     func() (columns, lines int)

	mu   sync.Mutex
	bars []Bar

	users int // of it; all's lock guards it
}

// all are the screens that are used. Its lock is held for a moment only.
var all struct {
	sync.Mutex
	screens []*Screen
}

// terminals is how many of them are terminals: most programs have none, and pay nothing.
var terminals atomic.Int64

// Of returns the screen of a writer: that of others who show something on the same. It may call the writer's method Fd. The caller calls Leave.
func Of(w io.Writer) *Screen {
	n := &Screen{w: w, users: 1}
	n.look()
	all.Lock()
	defer all.Unlock()
	for _, s := range all.screens {
		if s.same(n) {
			s.users++
			return s
		}
	}
	return n.enter()
}

// enter puts a screen among the others. The lock is held.
func (s *Screen) enter() *Screen {
	all.screens = append(all.screens, s)
	if s.terminal {
		terminals.Add(1)
	}
	return s
}

// Leave is called by who has got the screen and uses it no more.
func (s *Screen) Leave() {
	all.Lock()
	defer all.Unlock()
	if s.users--; s.users > 0 {
		return
	}
	all.screens = slices.DeleteFunc(all.screens, func(o *Screen) bool { return o == s })
	if s.terminal {
		terminals.Add(-1)
	}
}

// look finds out what the writer is.
func (s *Screen) look() {
	ask := func(fd uintptr) { s.terminal = drawable() && term.IsTerminal(int(fd)) }
	switch f := s.w.(type) {
	case *os.File: // whose method Fd would change it
		s.info, _ = f.Stat()
		raw, err := f.SyscallConn()
		if err != nil {
			return
		}
		_ = raw.Control(ask)
		s.size = func() (columns, lines int) {
			_ = raw.Control(func(fd uintptr) { columns, lines, _ = term.GetSize(int(fd)) })
			return columns, lines
		}
	case interface{ Fd() uintptr }:
		fd := f.Fd()
		ask(fd)
		s.size = func() (columns, lines int) { columns, lines, _ = term.GetSize(int(fd)); return columns, lines }
	}
}

// drawable tells whether terminals understand what bars are drawn with.
func drawable() bool { return runtime.GOOS != "windows" && os.Getenv("TERM") != "dumb" }

// same tells whether two show on the same: writers that are equal, or one terminal that was opened twice.
func (s *Screen) same(o *Screen) bool {
	if s.terminal && o.terminal && s.info != nil && o.info != nil && os.SameFile(s.info, o.info) {
		return true
	}
	return reflect.TypeOf(s.w) == reflect.TypeOf(o.w) && reflect.ValueOf(s.w).Comparable() && s.w == o.w
}

// Terminal tells whether there are bars. On another writer there are lines.
func (s *Screen) Terminal() bool { return s.terminal }

// Draw shows a bar below those that are there, from its first call on until Finish. Only the call for the first bar draws: all of them.
func (s *Screen) Draw(b Bar) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !slices.Contains(s.bars, b) {
		s.bars = append(s.bars, b)
	} else if s.bars[0] != b {
		return nil
	}
	good := false
	defer func() { // also when the writer panics: else nobody would draw the others
		if !good {
			s.drop(b)
		}
	}()
	err := s.write("")
	good = err == nil
	return err
}

// drop leaves a bar out from now on. The lock is held.
func (s *Screen) drop(b Bar) {
	s.bars = slices.DeleteFunc(s.bars, func(o Bar) bool { return o == b })
}

// Finish writes a line and shows the bar no longer.
func (s *Screen) Finish(b Bar, line string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(b)
	return s.write(line + "\n")
}

// Remove shows a bar no longer, whose writer must not be used again.
func (s *Screen) Remove(b Bar) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(b)
}

// Print writes a line to a writer that is no terminal, whole.
func (s *Screen) Print(line string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, err := io.WriteString(s.w, line+"\n")
	return err
}

// write writes lines, and the bars below them. The lock is held.
func (s *Screen) write(lines string) error {
	_, err := s.w.Write(s.frame([]byte(lines)))
	return err
}

// What a terminal is told (ECMA-48, and the VT100 for what has one letter). A line that is too long is cut off, for one that went on in the next
// row would not be where it is looked for.
const (
	eraseBelow = "\x1b[J"
	noWrap     = "\x1b[?7l"
	wrap       = "\x1b[?7h"
	down       = "\x1bD" // also where the terminal has to scroll for it; the column stays
	save       = "\x1b7"
	restore    = "\x1b8"
)

// frame is what erases the bars, writes some lines where they were, and draws the bars below them. It is one write: others may write to the
// same terminal, and a terminal does not mix what is written at once. The lock is held.
func (s *Screen) frame(lines []byte) []byte {
	out := append([]byte(eraseBelow), lines...)
	if len(s.bars) == 0 {
		return out
	}
	columns, rows := s.size()
	if columns < 1 || rows < 1 {
		columns, rows = 80, 24
	}
	shown := min(len(s.bars), max(rows-2, 1))
	out = append(out, strings.Repeat(down, shown)...)
	out = append(out, "\x1b["+strconv.Itoa(shown)+"A"+save+noWrap...)
	for i, b := range s.bars[:shown] {
		text := b.Text(columns)
		if hidden := len(s.bars) - shown; i == shown-1 && hidden > 0 {
			text = "and " + strconv.Itoa(hidden+1) + " more"
		}
		out = append(append(out, "\r\n"...), text...)
	}
	return append(out, wrap+restore...)
}

// Above returns a writer of whole lines to a file by w. Where bars are shown on that terminal, they stand below the lines then.
func Above(f *os.File, w io.Writer) io.Writer { return above{f, w} }

type above struct {
	f *os.File
	w io.Writer
}

// Write implements io.Writer.
func (a above) Write(b []byte) (int, error) {
	if terminals.Load() == 0 {
		return a.w.Write(b)
	}
	if s := shownOn(a.f); s != nil {
		return s.above(a.w, b)
	}
	return a.w.Write(b)
}

// above writes lines by w, which stand above the bars then.
func (s *Screen) above(w io.Writer, b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bars) == 0 {
		return w.Write(b)
	}
	n, err := w.Write(s.frame(b))
	return min(max(n-len(eraseBelow), 0), len(b)), err
}

// shownOn returns the terminal that a file is, if there is one that is used.
func shownOn(f *os.File) *Screen {
	info, err := f.Stat()
	if err != nil {
		return nil
	}
	all.Lock()
	defer all.Unlock()
	for _, s := range all.screens {
		if s.terminal && s.info != nil && os.SameFile(s.info, info) {
			return s
		}
	}
	return nil
}
