//go:build unix

package proc

import (
	"os"
	"time"

	"github.com/rankpool/rankpool/internal/lines"
)

// passing is how long the end of a worker waits for a reader that does not read.
const passing = 5 * time.Second

// output is what a worker prints to.
type output struct {
	stdout, stderr *os.File
	own            []*os.File // to be closed when the worker has them
}

func (o *output) close() {
	for _, f := range o.own {
		_ = f.Close()
	}
}

// output opens what the worker prints to.
func (p *process) output() (output, error) {
	cfg := &p.group.cfg
	o := output{stdout: cfg.Stdout, stderr: cfg.Stderr}
	switch {
	case cfg.File != nil:
		f, err := lines.Open(cfg.File(p.index))
		if err != nil {
			return o, explain("the file for its output", err)
		}
		o.stdout, o.stderr, o.own = f, f, []*os.File{f}
	case cfg.Prefix != nil:
		for _, to := range []**os.File{&o.stdout, &o.stderr} {
			r, w, err := lines.Start(cfg.Prefix(p.index), *to)
			if err != nil {
				o.close()
				return o, explain("its output", err)
			}
			*to = w
			o.own, p.relays = append(o.own, w), append(p.relays, r)
		}
	}
	return o, nil
}

// passOutput has all passed on that was printed before the worker's end. A reader that does not read ends the wait: then it goes on
// without it.
func (p *process) passOutput() {
	for _, r := range p.relays {
		if !r.Drain(passing) {
			p.group.cfg.Logger.Warn("rankpool: what a worker has printed is not read", "worker", p.index)
			return
		}
	}
}
