package launch

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// A meeting is how the ranks of a job come by one program that one of them builds.
//
// They share a folder, which nothing but their file system connects, and which may hold what an earlier job left under the
// same name. So each rank writes a nonce into a file of its own, hello.RANK; rank 0 removes what it finds at its start,
// builds the program, waits for everybody's nonce and publishes the outcome with all of them in it. A rank believes an
// outcome that has its own nonce, and writes its hello again when it has vanished. Every file is written under another name
// and renamed.
type meeting struct {
	*folder
	rank  int
	size  int
	limit time.Duration
	nonce string
}

// outcome is what rank 0 tells the others.
type outcome struct {
	Status int            `json:"status"` // 0: there is a program
	Nonces map[int]string `json:"nonces"`
	Error  string         `json:"error,omitempty"`
}

// pollFirst and pollLast are how often a rank looks for what it waits for, at first and later.
const (
	pollFirst = 5 * time.Millisecond
	pollLast  = 250 * time.Millisecond
)

// failedLimit is how long rank 0 waits for the others when it has no program for them.
const failedLimit = 10 * time.Second

// meet enters the folder of the job in root, which it makes when it is not there.
func meet(root *os.Root, key string, rank, size int, limit time.Duration) (*meeting, error) {
	f, err := enter(root, key)
	if err != nil {
		return nil, folderError(root.Name(), err)
	}
	return &meeting{folder: f, rank: rank, size: size, limit: limit, nonce: rand.Text()}, nil
}

// folderError says which folder it is about and how to choose another.
func folderError(root string, err error) error {
	return fmt.Errorf("cannot use the folder %s, where the program is built: %w; choose another, that all hosts of the job share, "+
		"with --dir or RANKPOOL_RUN_DIR", root, err)
}

// write writes a file whole.
func (m *meeting) write(name string, text []byte) error {
	temporary := "." + name + "." + m.nonce
	if err := m.dir.WriteFile(temporary, text, 0o600); err != nil {
		return err
	}
	return m.dir.Rename(temporary, name)
}

// publish waits for the others and tells them what rank 0 has for them. It blocks until all are there, until the limit, or
// until ctx ends.
func (m *meeting) publish(ctx context.Context, status int, failure error) error {
	limit := m.limit
	o := outcome{Status: status, Nonces: map[int]string{}}
	if failure != nil {
		limit, o.Error = min(limit, failedLimit), failure.Error()
	}
	var missing []int
	err := poll(ctx, limit, func(time.Duration) (bool, error) {
		missing = missing[:0]
		for rank := 1; rank < m.size; rank++ {
			if o.Nonces[rank] != "" {
				continue
			}
			text, err := m.dir.ReadFile("hello." + strconv.Itoa(rank))
			if err != nil {
				missing = append(missing, rank)
				continue
			}
			o.Nonces[rank] = string(text)
		}
		return len(missing) == 0, nil
	})
	text, jsonErr := json.Marshal(o)
	if err == nil || failure != nil {
		return errors.Join(jsonErr, m.write("outcome", text))
	}
	if errors.Is(err, errLimit) {
		return fmt.Errorf("%s of %d have not come to %s within %v: do all hosts share this folder? choose another with --dir or "+
			"RANKPOOL_RUN_DIR, or a longer time with --wait", ranks(missing), m.size, m.path(), limit)
	}
	return err
}

// await waits for what rank 0 has, until the limit or until ctx ends.
func (m *meeting) await(ctx context.Context) (outcome, error) {
	hello := "hello." + strconv.Itoa(m.rank)
	var o outcome
	var written time.Duration
	err := poll(ctx, m.limit, func(since time.Duration) (bool, error) {
		// A file of one's own that is written now and then also makes a network file system look at the folder again.
		text, err := m.dir.ReadFile(hello)
		if err != nil || string(text) != m.nonce || since-written > time.Second {
			written = since
			if err := m.write(hello, []byte(m.nonce)); err != nil && !gone(err) { // rank 0 may be cleaning
				return false, err
			}
		}
		text, err = m.dir.ReadFile("outcome")
		if err != nil {
			return false, nil
		}
		o = outcome{}
		return json.Unmarshal(text, &o) == nil && o.Nonces[m.rank] == m.nonce, nil
	})
	if errors.Is(err, errLimit) {
		host, _ := os.Hostname()
		return o, fmt.Errorf("rank %d on %s has waited %v in %s for the program that rank 0 builds: do all hosts share this folder? "+
			"choose another with --dir or RANKPOOL_RUN_DIR, or a longer time with --wait", m.rank, host, m.limit, m.path())
	}
	if err != nil && ctx.Err() == nil {
		err = folderError(m.root.Name(), err)
	}
	return o, err
}

var errLimit = errors.New("the time is over")

// poll asks until the answer is yes or an error, the limit is reached, or ctx ends.
func poll(ctx context.Context, limit time.Duration, ask func(since time.Duration) (bool, error)) error {
	begin := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errLimit)
	defer cancel()
	for pause := pollFirst; ; pause = min(2*pause, pollLast) {
		if ok, err := ask(time.Since(begin)); ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
		}
	}
}

// ranks lists a few ranks in words.
func ranks(all []int) string {
	words := make([]string, 0, 4)
	for _, r := range all[:min(len(all), 4)] {
		words = append(words, strconv.Itoa(r))
	}
	s := "ranks " + strings.Join(words, ", ")
	if len(all) == 1 {
		s = "rank " + words[0]
	}
	if len(all) > 4 {
		s += fmt.Sprintf(" and %d more", len(all)-4)
	}
	return s
}
