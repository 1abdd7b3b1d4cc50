package resultlog

import (
	"io"
)

// Damage is a stretch of a file that is no record.
type Damage struct {
	From, To int64
	Entry    bool // the head of its record is whole, and its body is not
	record   record
}

// scanner reads records one after another.
type scanner struct {
	r    io.ReaderAt
	seed uint64
	size int64 // of the file
	all  bool  // large bodies are read too

	buf  []byte
	base int64 // where buf begins
}

const window = 1 << 20

// bytes returns n bytes from off on, which are within the file. They are valid until the next call.
func (s *scanner) bytes(off int64, n int) ([]byte, error) {
	if i := off - s.base; i >= 0 && i+int64(n) <= int64(len(s.buf)) {
		return s.buf[i : i+int64(n)], nil
	}
	want := int64(max(n, window))
	want = min(want, s.size-off)
	if int64(cap(s.buf)) < want {
		s.buf = make([]byte, want)
	}
	s.buf, s.base = s.buf[:want], off
	got, err := s.r.ReadAt(s.buf, off)
	s.buf = s.buf[:got]
	if got >= n {
		return s.buf[:n], nil
	}
	if err == nil || err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return nil, err
}

// visitor is told of the records of a file, in their order.
type visitor interface {
	// record is given the body of those that are not large, and of large ones if all are read and keep was asked for.
	record(off int64, r record, body []byte)
	damaged(Damage)
}

// scan visits all records from an offset on, and returns where the last whole one ends. What is behind that is no damage that is told of.
func (s *scanner) scan(from int64, v visitor) (end int64, err error) {
	off, lost := from, int64(-1)
	end = from
	for off < s.size {
		r, ok, err := s.headAt(off)
		if err != nil {
			return end, err
		}
		if ok && off+r.total() > s.size { // cut off
			break
		}
		if !ok {
			if lost < 0 {
				lost = off
			}
			off++
			continue
		}
		if lost >= 0 {
			v.damaged(Damage{From: lost, To: off})
			lost = -1
		}
		body, sound, err := s.bodyAt(off, r)
		if err != nil {
			return end, err
		}
		if sound {
			v.record(off, r, body)
		} else {
			v.damaged(Damage{From: off, To: off + r.total(), Entry: true, record: r})
		}
		off += r.total()
		end = off
	}
	return end, nil
}

// headAt reads the head of the record at off. It is false if there is none.
func (s *scanner) headAt(off int64) (record, bool, error) {
	if s.size-off < recordHead {
		return record{}, false, nil
	}
	b, err := s.bytes(off, int(min(largeHead, s.size-off)))
	if err != nil {
		return record{}, false, err
	}
	r, ok := parseHead(b, s.seed)
	return r, ok, nil
}

// bodyAt checks the body of a record, and returns it if it is small. Large ones are looked at only if all are read.
func (s *scanner) bodyAt(off int64, r record) (body []byte, sound bool, err error) {
	if !r.large {
		b, err := s.bytes(off, int(r.total()))
		if err != nil {
			return nil, false, err
		}
		body = b[r.head():]
		return body, r.sound(body, s.seed), nil
	}
	if !s.all {
		return nil, true, nil
	}
	sum, err := sumAt(s.r, off+int64(r.head()), r.size, s.seed)
	return nil, sum == r.check, err
}
