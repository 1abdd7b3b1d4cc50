package main

import (
	"fmt"
	"html"
	"math/rand/v2"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"
)

// site is a made-up web site with the faults of a real one. What a page says depends on its number alone.
type site struct {
	pages int
	delay time.Duration // before each answer
}

var words = strings.Fields("bread salt pepper olive lemon thyme butter flour honey ginger onion barley cider walnut")

// ServeHTTP answers with / and /page/N, which are HTML, /file/N.txt, which is not, /old/N, which has moved, and nothing
// else.
func (s site) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(s.delay):
	case <-r.Context().Done():
		return
	}
	dir, name := path.Split(r.URL.Path)
	n, err := strconv.Atoi(strings.TrimSuffix(name, ".txt"))
	switch known := err == nil && 0 < n && n < s.pages; {
	case r.URL.Path == "/":
		s.page(w, 0)
	case !known:
		http.NotFound(w, r)
	case dir == "/page/":
		s.page(w, n)
	case dir == "/file/":
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(w, "This is no page: <a href=\"/page/%d\">not a link</a>\n", n)
	case dir == "/old/":
		http.Redirect(w, r, address(n), http.StatusMovedPermanently)
	default:
		http.NotFound(w, r)
	}
}

// address returns where page n is.
func address(n int) string {
	if n == 0 {
		return "/"
	}
	return fmt.Sprint("/page/", n)
}

// page writes page n. It links to three new pages, so that every page can be reached, and to some anywhere.
func (s site) page(w http.ResponseWriter, n int) {
	source := rand.NewPCG(uint64(n), 0)
	pick := func(k int) int { return int(source.Uint64() % uint64(k)) }
	word := func() string { return words[pick(len(words))] }
	anywhere := func() string { return address(pick(min(s.pages, 2*n+20)) / (1 + pick(4))) } // to some more often

	var b strings.Builder
	fmt.Fprintf(&b, "<!doctype html>\n<title>\n  Page %d: %s &amp; %s\n</title>\n", n, word(), word())
	fmt.Fprintf(&b, "<h1>%s</h1>\n", html.EscapeString("<"+word()+">"))
	for child := 3*n + 1; child <= 3*n+3 && child < s.pages; child++ {
		fmt.Fprintf(&b, "<p>%s <A class=x HREF=/page/%d>%s</A>\n", word(), child, word()) // no quotes, no end of <p>
	}
	for range 3 {
		fmt.Fprintf(&b, "<p>%s <a href='..%s#%s'>%s</a>\n", word(), anywhere(), word(), word())
	}
	fmt.Fprintf(&b, "<!-- <a href=/page/0>not a link</a> --><script>'<a href=/page/0>'</script>\n")
	switch n % 10 {
	case 3:
		fmt.Fprintf(&b, "<a href=\"/old/%d\">moved</a>\n", 1+n/2)
	case 5:
		fmt.Fprintf(&b, "<a href=\"/missing/%d\">lost</a>\n", n/20)
	case 7:
		fmt.Fprintf(&b, "<a href=\"/file/%d.txt\">text</a> <a href=mailto:cook@example.com>mail</a>\n", n)
	case 9:
		fmt.Fprint(&b, "<a href=\"https://example.com/\">elsewhere</a> <a href=\"http://[broken\">?</a> <a>nowhere</a>\n")
	}
	for range 5 + pick(40) {
		fmt.Fprintf(&b, "<p>%s %s %s", word(), word(), word())
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(b.String())) // a client that is gone needs no answer
}
