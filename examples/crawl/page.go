package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/html"
	"golang.org/x/net/html/atom"
)

// maxPage is how much of a page is read.
const maxPage = 1 << 20

// page is one address and what was found there.
type page struct {
	path   string
	status int
	bytes  int
	html   bool
	title  string
	links  []*url.URL // in their order on the page, repetitions and other hosts included, fragments cut off
	err    error      // why there was no answer, or no end of it
}

// newClient returns a client with a connection for each worker.
func newClient(workers int, timeout time.Duration) *http.Client {
	return &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: workers},
		Timeout:   timeout,
		// A redirection is a page with one link: where it leads counts once, however it is found.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch reads one page. A failure is part of the result and not an error of the task, which would end the crawl.
func fetch(ctx context.Context, client *http.Client, address string) *page {
	u, err := url.Parse(address)
	if err != nil {
		return &page{path: address, err: err}
	}
	p := &page{path: u.Path}
	p.err = p.get(ctx, client, u)
	if wrapped := (*url.Error)(nil); errors.As(p.err, &wrapped) {
		p.err = wrapped.Err // without the address, which the path tells
	}
	return p
}

func (p *page) get(ctx context.Context, client *http.Client, u *url.URL) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	p.status = response.StatusCode
	body, err := io.ReadAll(io.LimitReader(response.Body, maxPage))
	if err != nil {
		return err
	}
	p.bytes = len(body)
	if to, err := response.Location(); err == nil {
		p.link(u, to.String())
		return nil
	}
	kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")) // an unknown one is not HTML
	if p.status != http.StatusOK || kind != "text/html" {
		return nil
	}
	return p.parse(u, string(body))
}

// parse finds the title and the links.
func (p *page) parse(base *url.URL, text string) error {
	root, err := html.Parse(strings.NewReader(text))
	if err != nil {
		return fmt.Errorf("parsing: %w", err)
	}
	p.html = true
	for n := range root.Descendants() {
		switch {
		case n.Type != html.ElementNode:
		case n.DataAtom == atom.Title && p.title == "" && n.FirstChild != nil:
			p.title = strings.Join(strings.Fields(n.FirstChild.Data), " ")
		case n.DataAtom == atom.A:
			for _, a := range n.Attr {
				if a.Key == "href" {
					p.link(base, a.Val)
				}
			}
		}
	}
	return nil
}

// link adds a link, unless it is none that a client could follow.
func (p *page) link(base *url.URL, ref string) {
	u, err := base.Parse(strings.TrimSpace(ref))
	if err != nil || u.Scheme != "http" && u.Scheme != "https" {
		return
	}
	u.Fragment, u.RawFragment = "", ""
	p.links = append(p.links, u)
}
