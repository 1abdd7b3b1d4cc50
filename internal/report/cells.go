package report

import (
	"bytes"
	"cmp"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
)

// The page shows how busy workers were where their units cannot be seen one by one: cells, each of some workers in a part of the time. There are
// layers of them, coarse and fine, in tiles that the page unpacks when it shows them.
const (
	tileRows    = 64
	tileColumns = 1024
	wholeRows   = 448 // about as many pixels as the picture is high
	fewRows     = 64  // are so high that units are seen one by one
	finer       = 4   // times from layer to layer
	mostColumns = 16384
	mostCells   = 24 << 20 // of a layer
	cellLevels  = 15
	cellRoom    = 9 << 19 // bytes of all layers
)

// layer is how busy the workers of a row were, in a column.
type layer struct {
	Rows, Columns int
	Tiles         []string // row by row; one that is empty has nothing that is busy. Packed, a byte for each cell: 0 is idle, cellLevels all of the time
}

// layers adds the layers that there is room for, those with fewer cells first.
func (r *Recording) layers(d *document, rows map[*Worker]int) error {
	if len(d.Rows) == 0 {
		return nil
	}
	rest, err := json.Marshal(d)
	if err != nil {
		return err
	}
	room := min(cellRoom, (MostPage-len(rest))/2)
	whole := min(len(d.Rows), wholeRows)
	sizes := [][2]int{}
	for k := whole; ; k = min(k*finer, len(d.Rows)) {
		for c := tileColumns; c <= mostColumns; c *= finer {
			if k*c <= mostCells {
				sizes = append(sizes, [2]int{k, c})
			}
		}
		if k == len(d.Rows) {
			break
		}
	}
	slices.SortStableFunc(sizes, func(a, b [2]int) int { return cmp.Compare(a[0]*a[1], b[0]*b[1]) })
	if len(r.Units) <= mostDrawn && len(d.Rows) <= fewRows { // each unit is drawn
		sizes = sizes[:1]
	}
	for i, size := range sizes {
		l, bytes, err := r.layer(d, rows, size[0], size[1], room)
		if err != nil {
			return err
		}
		if i == 0 || bytes <= room {
			d.Layers = append(d.Layers, l)
			room -= bytes
		}
	}
	return nil
}

// layer makes one, or the beginning of one that has more bytes than that.
func (r *Recording) layer(d *document, rows map[*Worker]int, high, columns, room int) (l layer, size int, err error) {
	l = layer{Rows: high, Columns: columns}
	sums := make([]float32, high*columns)
	members := make([]float32, high)
	of := make([]int, len(d.Rows)) // which row of cells a worker has
	for row := range d.Rows {
		of[row] = row * high / len(d.Rows)
		members[of[row]]++
	}
	width := float64(d.End-d.Begin) / float64(columns)
	for i := range r.Units {
		u := &r.Units[i]
		at := of[rows[u.Worker]] * columns
		spread(sums[at:at+columns], d.Begin, d.End, u.Begun, u.Ended, float64(u.Busy)/width)
	}
	packer := newPacker()
	tile := make([]byte, 0, tileRows*tileColumns)
	for top := 0; top < high; top += tileRows {
		for left := 0; left < columns; left += tileColumns {
			tile = tile[:0]
			busy := false
			for row := top; row < min(top+tileRows, high); row++ {
				for _, v := range sums[row*columns+left : row*columns+min(left+tileColumns, columns)] {
					cell := byte(min(math.Ceil(float64(v/members[row])*cellLevels), cellLevels))
					busy = busy || cell > 0
					tile = append(tile, cell)
				}
			}
			packed := ""
			if busy {
				if packed, err = packer.pack(tile); err != nil {
					return l, size, err
				}
			}
			l.Tiles = append(l.Tiles, packed)
			if size += len(packed) + len(`"",`); size > room && columns*high > wholeRows*tileColumns {
				return l, size, nil
			}
		}
	}
	return l, size, nil
}

// packer packs what the page unpacks when it is needed.
type packer struct {
	out bytes.Buffer
	w   *flate.Writer
}

func newPacker() *packer {
	p := &packer{}
	p.w, _ = flate.NewWriter(&p.out, flate.DefaultCompression) // the level is one
	return p
}

func (p *packer) pack(b []byte) (string, error) {
	p.out.Reset()
	p.w.Reset(&p.out)
	if _, err := p.w.Write(b); err != nil {
		return "", err
	}
	if err := p.w.Close(); err != nil {
		return "", err
	}
	return base64.StdEncoding.EncodeToString(p.out.Bytes()), nil
}
