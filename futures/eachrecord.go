package futures

import (
	"errors"
	"fmt"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/resultlog"
)

// This file is what SubmitEach does with a journal. The results of a gang are one entry, so they are recorded together or not at all.

// recallEach counts a gang. If it is recorded it returns a future that is done, and otherwise what it is to be recorded under.
func (rec *recording[A, R]) recallEach(m *dispatch.Master, arg *A) (*Future[[]R], resultlog.Entry, error) {
	if err := m.Refusal(); err != nil {
		return nil, resultlog.Entry{}, refusal(err)
	}
	counted, o, known := rec.teller().submit(arg)
	if !known {
		return nil, counted, nil
	}
	values, failure, ok := fromRecord(rec, o, rec.members)
	if !ok {
		return nil, counted, nil
	}
	rec.ex.recalled.Add(1)
	t := &eachTask[A, R]{fn: rec.fn, ex: rec.ex}
	t.owner = t
	t.ex.notify(t.settle(values, failure))
	return &t.Future, counted, nil
}

// members decodes the results of a gang.
func (rec *recording[A, R]) members(stream []byte, segments [][]byte) (all []R, err error) {
	read := func() { all, err = rec.readMembers(stream, segments) }
	if !rec.fn.foreign {
		read()
	} else if gone := apart(read); gone != nil {
		return nil, gone
	}
	return all, err
}

func (rec *recording[A, R]) readMembers(stream []byte, segments [][]byte) ([]R, error) {
	var d, one pkl5.Decoder
	d.Reset(stream, segments)
	all := make([]R, rec.gang)
	for i := range all {
		if err := d.Split(&one); err != nil {
			return nil, err
		}
		if err := rec.fn.result.Decode(&one, &all[i]); err != nil {
			return nil, err
		}
	}
	if d.Len() > 0 || d.SegmentsLeft() > 0 {
		return nil, errors.New("it has the results of more members")
	}
	return all, nil
}

// gangResults records the results of a gang, of which all members have succeeded.
func (rec *recording[A, R]) gangResults(key resultlog.Key, values []R) {
	var enc pkl5.Encoder
	for i := range values {
		begin, segments := len(enc.Stream), len(enc.Segments)
		if err := rec.fn.result.Encode(&enc, &values[i]); err != nil {
			rec.log.Warn(fmt.Sprintf("a result of %s cannot be encoded, and is not recorded: %v", rec.fn.name, err))
			return
		}
		enc.Bound(begin, segments)
	}
	rec.log.Record(rec.of, key, enc.Stream, enc.Segments)
}

// record records what has become of a gang. It calls code of the user's, which may not return: the gang ends all the same.
func (t *eachTask[A, R]) record() {
	gone := apart(func() {
		switch {
		case t.failed == nil:
			t.rec.gangResults(t.key, t.results)
		case !t.passing:
			t.rec.failed(t.key, t.failed)
		}
	})
	if gone != nil {
		t.rec.log.Warn(fmt.Sprintf("what has become of a gang of %s is not recorded: %v", t.fn.name, gone))
	}
}
