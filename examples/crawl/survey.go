package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"slices"
)

// mostLinked is how many pages the table of those linked most often has.
const mostLinked = 5

// survey is what the crawl has found. It depends on the site alone, not on the order of the answers.
type survey struct {
	host   string // of the site
	depths [][]*page
	linked map[string]int // how many links lead to an address of the site
}

// add adds the pages of one depth.
func (s *survey) add(found []*page) {
	s.depths = append(s.depths, found)
	for _, p := range found {
		for _, l := range p.links {
			if l.Host == s.host {
				s.linked[l.Path]++
			}
		}
	}
}

// all returns the pages in the order of their depth.
func (s *survey) all() []*page { return slices.Concat(s.depths...) }

// print writes the tables and the totals.
func (s *survey) print(w io.Writer) {
	titles := map[string]string{}
	var broken []*page
	redirections, files, bytes := 0, 0, 0
	for depth, found := range s.depths {
		n := 0
		for _, p := range found {
			bytes += p.bytes
			switch {
			case p.err != nil:
			case p.html:
				titles[p.path] = p.title
				n++
			case p.status >= http.StatusBadRequest:
				broken = append(broken, p)
			case p.status >= http.StatusMultipleChoices:
				redirections++
			default:
				files++
			}
		}
		fmt.Fprintf(w, "pages at depth %d: %d\n", depth, n)
	}
	for _, path := range s.popular(titles)[:min(mostLinked, len(titles))] {
		fmt.Fprintf(w, "links to %s: %d, %s\n", path, s.linked[path], titles[path])
	}
	for _, p := range broken {
		fmt.Fprintf(w, "broken links to %s: %d, status %d\n", p.path, s.linked[p.path], p.status)
	}
	fmt.Fprintf(w, "%d pages, %d redirections, %d other files, %d addresses that lead nowhere, %d bytes\n",
		len(titles), redirections, files, len(broken), bytes)
}

// popular returns the pages, those with the most links to them first, equal ones by their number.
func (s *survey) popular(titles map[string]string) []string {
	return slices.SortedFunc(maps.Keys(titles), func(a, b string) int {
		return cmp.Or(cmp.Compare(s.linked[b], s.linked[a]), compareNumbers(a, b))
	})
}

// failure names on standard error the pages that gave no answer, and returns an error if there are any.
func (s *survey) failure() error {
	failed := 0
	for _, p := range s.all() {
		if p.err != nil {
			failed++
			fmt.Fprintf(os.Stderr, "crawl: %s: %v\n", p.path, p.err)
		}
	}
	if failed == 0 {
		return nil
	}
	return fmt.Errorf("crawl: %w: %d of %d addresses", errNoAnswer, failed, len(s.all()))
}

var errNoAnswer = errors.New("no answer")

// compareNumbers orders paths by length first, so that page 10 comes after page 9.
func compareNumbers(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}
