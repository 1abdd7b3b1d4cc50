package dispatch_test

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	"github.com/rankpool/rankpool/internal/dispatch"
	"github.com/rankpool/rankpool/internal/link"
)

// slow is a set-up that takes longer than a start may.
func slow(c *dispatch.Config, svc *dispatch.Service) {
	c.Start = time.Millisecond
	setup := svc.Setup
	svc.Setup = func(ctx context.Context, b []byte, segments [][]byte) (int, context.Context, error) {
		time.Sleep(20 * c.Start)
		return setup(ctx, b, segments)
	}
}

func TestALargeSetUpHasTimeForItsSize(t *testing.T) {
	for name, large := range map[string]func(*dispatch.Config){
		"a large one":                    func(c *dispatch.Config) { c.SetupLoad = 16 << 30 },
		"one for which no time suffices": func(c *dispatch.Config) { c.SetupLoad = 1 << 62 },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, 1, func(c *dispatch.Config, svc *dispatch.Service) {
				slow(c, svc)
				large(c)
			}, double)
			s := p.submit(0, 21)
			if s.wait(t); s.errs[0] != nil {
				t.Error(s.errs[0])
			}
		})
	}
	told := make(chan struct{})
	p := newPool(t, 1, func(c *dispatch.Config, svc *dispatch.Service) {
		c.Start = time.Millisecond
		svc.Setup = func(context.Context, []byte, [][]byte) (int, context.Context, error) {
			<-told
			return 0, nil, errors.New("it was too slow")
		}
	}, double)
	s := p.submit(0, 21)
	if s.wait(t); !errors.Is(s.errs[0], dispatch.ErrBroken) {
		t.Error("a small one has as much time:", s.errs[0])
	}
	close(told)
}

func TestAllThatASetUpConsistsOfCounts(t *testing.T) {
	c := dispatch.Config{Setup: make([]byte, 1), SetupSegments: [][]byte{make([]byte, 10), make([]byte, 100)}, SetupLoad: 1000}
	if n := c.SetupSize(); n != 1111 {
		t.Error(n)
	}
}

func TestAStartIsWaitedForWhileBytesMoveAndNotWithoutEnd(t *testing.T) {
	const limit, more = time.Second, 10 * time.Second
	p := dispatch.NewPatience(limit, more)
	looks, moved := 0, uint64(0)
	for p.Left() > 0 {
		next := p.Next()
		if next <= 0 || next > limit {
			t.Fatalf("the next look is in %v", next)
		}
		moved++
		p.Look(next, moved)
		if looks++; looks > 1000 {
			t.Fatal("it has no end")
		}
	}
	if looks < 40 {
		t.Errorf("bytes moved, and it was over after %d looks", looks)
	}
	p = dispatch.NewPatience(limit, more)
	took := time.Duration(0)
	for p.Left() > 0 {
		next := p.Next()
		p.Look(next, 0)
		took += next
	}
	if took != limit {
		t.Errorf("nothing moved, and it was over after %v", took)
	}
}

// heir is an endpoint whose group has another way for segments.
type heir struct {
	link.Endpoint
	segments    [][]byte
	copied, err error
}

func (h heir) Inherit() ([][]byte, error, error) { return h.segments, h.copied, h.err }

func TestSegmentsOfTheSetUpComeWithItOrAreInherited(t *testing.T) {
	sent, inherited := []byte("sent"), []byte("inherited")
	refused, broken := errors.New("refused"), errors.New("broken")
	for name, c := range map[string]struct {
		with []byte
		heir *heir
		want []byte
		says error // is remarked
		err  error
	}{
		"sent":               {with: sent, want: sent},
		"nothing":            {heir: &heir{}},
		"inherited":          {heir: &heir{segments: [][]byte{inherited}}, want: inherited},
		"inherited, a copy":  {heir: &heir{segments: [][]byte{inherited}, copied: refused}, want: inherited, says: refused},
		"not to be had":      {heir: &heir{copied: refused, err: broken}, says: refused, err: broken},
		"sent, and an heir":  {with: sent, heir: &heir{err: broken}, want: sent},
		"sent in many bytes": {with: bytes.Repeat(sent, 1<<20), want: bytes.Repeat(sent, 1<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			remarks, got := make(chan error, 1), make(chan []byte, 1)
			p := newPoolOf(t, 1, func(ep link.Endpoint, svc dispatch.Service) {
				if c.heir != nil {
					ep = heir{ep, c.heir.segments, c.heir.copied, c.heir.err}
				}
				_ = dispatch.Serve(ep, svc)
			}, func(cfg *dispatch.Config, svc *dispatch.Service) {
				if c.with != nil {
					cfg.SetupSegments = [][]byte{c.with}
				}
				svc.Remark = func(_ string, err error) { remarks <- err }
				svc.Setup = func(ctx context.Context, _ []byte, segments [][]byte) (int, context.Context, error) {
					got <- bytes.Join(segments, nil)
					return -1, ctx, nil
				}
			}, double)
			s := p.submit(0, 1)
			s.wait(t)
			if c.err != nil {
				if !errors.Is(s.errs[0], dispatch.ErrBroken) {
					t.Error(s.errs[0])
				}
			} else if b := <-got; !bytes.Equal(b, c.want) || s.errs[0] != nil {
				t.Errorf("%d bytes, %v", len(b), s.errs[0])
			}
			select {
			case err := <-remarks:
				if !errors.Is(err, c.says) {
					t.Error("it is remarked:", err)
				}
			default:
				if c.says != nil {
					t.Error("nothing is remarked")
				}
			}
		})
	}
}
