package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unicode"

	"golang.org/x/term"

	"github.com/rankpool/rankpool/internal/command"
	"github.com/rankpool/rankpool/internal/status"
)

// topCommand is `rankpool top`.
type topCommand struct {
	Every   time.Duration `default:"1s" placeholder:"TIME" help:"How long between two looks; 1s unless given."`
	Once    bool          `help:"Print what it does now, and end."`
	Workers int           `default:"0" placeholder:"N" help:"How many workers of each executor are shown; as many as there is room for, or 50, unless given."`

	Where string `arg:"" optional:"" help:"What the program has printed: its address with the token, unix:PATH, or PATH. With - it is read from standard input, and without it from the variable RANKPOOL_TOP: other users of the host can read command lines."`
}

// Help is what --help says beyond the options.
func (topCommand) Help() string {
	return `It shows, again and again, what a program does that was started with RANKPOOL_MONITOR and imports package monitor: how many tasks wait, run, are done and have failed, how far maps have come and how long they will take, and what each worker runs and since when, the longest first. Ctrl-C ends it; the program goes on. Where standard output is no terminal it prints once.

Examples:

    RANKPOOL_MONITOR=unix:sweep.socket ./sweep &
    rankpool top unix:sweep.socket
    rankpool top 'http://127.0.0.1:40519/?token=3QFMUXRZAOU2EJFEYPUD54IFZB'
    grep -m1 'rankpool: monitor:' sweep.log | rankpool top -
    ssh -t login1 rankpool top unix:/home/ada/sweep.socket

Status: 1 when there is no answer at first, or a wrong one; 0 when the program has ended since.`
}

const (
	mostStatus  = 256 << 20        // bytes of one
	answerLimit = 15 * time.Second // for one
	pipeWorkers = 50               // that are shown where there is no window
)

// Run shows what the program does until that ends, or somebody ends this.
func (c *topCommand) Run(s command.Surroundings) error {
	if !command.Speaks(s.Launcher) {
		return nil
	}
	if c.Every < 10*time.Millisecond || c.Workers < 0 {
		return command.Usagef("top: --every must be 10ms or more, and --workers 0 or more")
	}
	where, err := c.address(os.Stdin)
	if err != nil {
		return command.Usagef("top: %v", err)
	}
	p, err := newPeer(where)
	if err != nil {
		return command.Usagef("top: %v", err)
	}
	out, fd := s.Out, -1
	if f, ok := s.Out.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fd = int(f.Fd())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	for text := ""; ; {
		limits := status.Limits{Workers: pipeWorkers}
		height := 0
		if fd >= 0 && !c.Once {
			if w, h, err := term.GetSize(fd); err == nil && w > 0 && h > 0 {
				limits.Width, limits.Workers, height = w, h, h
			}
		}
		if c.Workers > 0 {
			limits.Workers = c.Workers
		}
		shown, err := p.look(ctx, limits, &text)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("top: %w", err)
		case shown == "":
			_, err = fmt.Fprintln(out, "the program has ended")
			return err
		}
		if fd < 0 || c.Once {
			_, err := io.WriteString(out, text)
			return err
		}
		if _, err := io.WriteString(out, frame(shown, height)); err != nil {
			return err
		}
		select {
		case <-time.After(c.Every):
		case <-ctx.Done():
			return nil
		}
	}
}

// topVariable has what the command line has not.
const topVariable = "RANKPOOL_TOP"

// address returns where the program shows itself, as it was printed, with or without what the line begins with.
func (c *topCommand) address(in io.Reader) (string, error) {
	where := c.Where
	switch where {
	case "":
		if where = os.Getenv(topVariable); where == "" {
			return "", errors.New("say where: what the program has printed, - to read it from standard input, or the variable " + topVariable)
		}
	case "-":
		line, err := bufio.NewReader(io.LimitReader(in, 1<<16)).ReadString('\n')
		if where = strings.TrimSpace(line); where == "" {
			return "", fmt.Errorf("standard input has no address: %w", err)
		}
	}
	return strings.TrimPrefix(where, "rankpool: monitor: "), nil
}

// frame is a text that takes the place of what is in a window of that height.
func frame(text string, height int) string {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if height > 1 && len(lines) > height-1 {
		lines = lines[:height-1]
	}
	const home, toEndOfLine, toEnd = "\x1b[H", "\x1b[K", "\x1b[J"
	return home + strings.Join(lines, toEndOfLine+"\n") + toEndOfLine + "\n" + toEnd
}

// peer is a program that shows what it does.
type peer struct {
	client  http.Client
	address url.URL
	token   string
}

// newPeer makes a peer of what the program has printed.
func newPeer(where string) (*peer, error) {
	p := &peer{client: http.Client{Timeout: answerLimit, Transport: &http.Transport{}, // no proxy: it would be sent the token
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
	if !strings.HasPrefix(where, "http://") && !strings.HasPrefix(where, "https://") {
		path := strings.TrimPrefix(where, "unix:")
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("%s is neither an address (http://…) nor a socket: %w", where, err)
		}
		p.address = url.URL{Scheme: "http", Host: "localhost", Path: "/status"}
		p.client.Transport = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", path)
		}}
		return p, nil
	}
	u, err := url.Parse(where)
	if err != nil {
		return nil, err
	}
	p.token = u.Query().Get("token")
	u.RawQuery, u.Fragment = "", ""
	p.address = *u.JoinPath("status")
	return p, nil
}

// look returns what is to be shown, or "" when the program has ended. Last is the text before. When there is no status just now it is shown with a note in front.
func (p *peer) look(ctx context.Context, limits status.Limits, last *string) (string, error) {
	now, err := p.status(ctx, limits.Workers)
	switch {
	case err == nil:
		*last = now.Text(limits)
		return *last, nil
	case *last == "":
		return "", err
	case gone(err):
		return "", nil
	case passing(err):
		return fmt.Sprintf("no answer, and this is the one before: %v\n\n", err) + *last, nil
	}
	return "", err
}

// status asks for a status with so many workers.
func (p *peer) status(ctx context.Context, workers int) (s status.Program, err error) {
	u := p.address
	u.RawQuery = url.Values{"workers": {strconv.Itoa(workers)}}.Encode()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return s, err
	}
	if p.token != "" {
		r.Header.Set("Authorization", "Bearer "+p.token)
	}
	a, err := p.client.Do(r)
	if err != nil {
		return s, err
	}
	defer a.Body.Close()
	body := io.LimitReader(a.Body, mostStatus)
	if a.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(body, 500))
		return s, &refusal{a.StatusCode, fmt.Sprintf("%s: %s", a.Status, printable(string(text)))}
	}
	if err := json.NewDecoder(body).Decode(&s); err != nil {
		return s, fmt.Errorf("this is not the status of a program: %w", err)
	}
	return s, nil
}

// refusal is an answer that is no status.
type refusal struct {
	code int
	text string
}

func (r *refusal) Error() string { return r.text }

// passing tells whether an error may be over when it is asked again: the program is busy, or stopped.
func passing(err error) bool {
	var r *refusal
	var timeout interface{ Timeout() bool }
	return errors.As(err, &r) && r.code >= http.StatusInternalServerError || errors.As(err, &timeout) && timeout.Timeout()
}

// gone tells whether an error is that nobody is there any more.
func gone(err error) bool {
	return errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// printable is a text without what could do something to a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, strings.TrimSpace(text))
}
