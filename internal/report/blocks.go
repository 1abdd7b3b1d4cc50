package report

import (
	"encoding/binary"
	"slices"

	"github.com/rankpool/rankpool/internal/trace"
)

// block is the units of some rows that are drawn one by one, those of a row together. Each is row, begin (after the one before, or at the beginning of a row), time, function, twice
// the job and whether it is a map, first element, elements, 4 times the attempt and the outcome, the time from queued to sent, from there to begun, and from
// ended to answered: all are unsigned varints, times microseconds. Within a row they are in order of their begin. A page unpacks a block when one of its rows is looked at.
type block struct {
	Rows  [2]int // from which one to before which one
	Units int
	Data  string // packed
}

// blockUnits is how many units a block has, or more where they are of one row.
const blockUnits = 4096

// drawn returns the units that are drawn one by one: all, or so many of those that have failed and of those that took longest.
func (r *Recording) drawn(most int) []int32 {
	chosen := make([]int32, 0, min(len(r.Units), most))
	least := int64(-1)
	if len(r.Units) > most && most > 0 {
		all := make([]int64, len(r.Units))
		for i := range r.Units {
			all[i] = r.Units[i].Ended - r.Units[i].Begun
		}
		slices.Sort(all)
		least = all[len(all)-most]
	}
	room := most // that units which have not succeeded leave: they come first
	for i := range r.Units {
		if r.Units[i].Outcome != trace.Succeeded && room > 0 {
			room--
		}
	}
	bad := most - room
	for i := range r.Units {
		u := &r.Units[i]
		left := &room
		if u.Outcome != trace.Succeeded {
			left = &bad
		} else if u.Ended-u.Begun < least {
			continue
		}
		if *left--; *left >= 0 {
			chosen = append(chosen, int32(i))
		}
	}
	return chosen
}

// blocks packs the units that are drawn one by one, so many at most.
func (r *Recording) blocks(d *document, rows map[*Worker]int, most int) error {
	chosen := r.drawn(most)
	d.Drawn, d.Blocks = len(chosen), nil
	ofRow := make([][]int32, len(d.Rows)) // they stay in the order of their begin
	for _, i := range chosen {
		row := rows[r.Units[i].Worker]
		ofRow[row] = append(ofRow[row], i)
	}
	packer := newPacker()
	b := []byte(nil)
	now := block{}
	for row, units := range ofRow {
		b = r.appendUnits(b, d, row, units)
		now.Units += len(units)
		if now.Units < blockUnits && row < len(ofRow)-1 {
			continue
		}
		var err error
		if now.Data, err = packer.pack(b); err != nil {
			return err
		}
		now.Rows[1] = row + 1
		d.Blocks = append(d.Blocks, now)
		now, b = block{Rows: [2]int{row + 1, row + 1}}, b[:0]
	}
	return nil
}

// appendUnits appends those of one row.
func (r *Recording) appendUnits(b []byte, d *document, row int, units []int32) []byte {
	us := func(from, to int64) uint64 { return uint64(max(to-from, 0)) / 1000 }
	at := uint64(0)
	for _, i := range units {
		u := &r.Units[i]
		begun := us(d.Begin, u.Begun)
		for _, v := range [...]uint64{uint64(row), begun - at, us(u.Begun, u.Ended), uint64(u.Function), u.shownJob(), uint64(max(u.First, 0)), uint64(u.Count),
			uint64(u.Attempt)<<2 | uint64(u.Outcome&3), us(u.Queued, u.Sent), us(u.Sent, u.Begun), us(u.Ended, u.Answered)} {
			b = binary.AppendUvarint(b, v)
		}
		at = begun
	}
	return b
}
