// Command crawl reads a web site breadth first with a pool of goroutines: ImapUnordered fetches the pages of one depth,
// many at once, and yields each as soon as it is there. It starts the site itself, on this machine.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"time"

	"github.com/rankpool/rankpool/futures"
	"github.com/rankpool/rankpool/pool"
	"github.com/rankpool/rankpool/threadpool"
)

var (
	pages   = flag.Int("pages", 300, "pages of the site: the `number`")
	workers = flag.Int("workers", 8, "pages fetched at once: the `number`; more than cores, for they wait")
	delay   = flag.Duration("delay", 5*time.Millisecond, "how long the site takes for an answer")
	timeout = flag.Duration("timeout", 10*time.Second, "how long to wait for an answer")
)

func main() {
	flag.Usage = func() {
		fmt.Fprint(flag.CommandLine.Output(), `usage: crawl [-pages number] [-workers number] [-delay duration] [-timeout duration]

Serves a made-up web site on this machine, follows all its links and prints what is there. The pool is one of
goroutines, whatever RANKPOOL_BACKEND says, and -workers is its size.

`)
		flag.PrintDefaults()
	}
	flag.Parse()
	futures.Main(run) // a thread pool does not need Main; run has a context from it that ends at an interrupt
}

func run(ctx context.Context) error {
	if *pages < 1 || *delay < 0 || *timeout <= 0 || flag.NArg() > 0 {
		return errors.New("crawl: -pages is at least 1, -delay not below 0, -timeout above 0, and there are no arguments; see crawl -help")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("crawl: %w", err)
	}
	server := &http.Server{Handler: site{*pages, *delay}}
	defer server.Close()
	go server.Serve(listener) //nolint:errcheck // it ends with ErrServerClosed, or the pages tell

	return threadpool.With(ctx, func(p *pool.Pool) error {
		start := time.Now()
		root := &url.URL{Scheme: "http", Host: listener.Addr().String(), Path: "/"}
		s, err := crawl(ctx, p, newClient(*workers, *timeout), root)
		if err != nil {
			return err
		}
		elapsed := time.Since(start)

		n, err := p.Executor().NumWorkers(ctx)
		if err != nil {
			return err
		}
		s.print(os.Stdout)
		fmt.Printf("backend %s, workers %d, tasks %d, elapsed %v\n",
			p.Executor().Backend(), n, p.Executor().Stats().Submitted, elapsed.Round(time.Millisecond))
		return s.failure()
	}, pool.WithProcesses(*workers))
}

// crawl follows the links from root, as far as they stay on its host, one depth after the other: so a page's depth is
// the number of clicks that it takes to get there, and does not depend on who answers first.
func crawl(ctx context.Context, p *pool.Pool, client *http.Client, root *url.URL) (*survey, error) {
	// A closure will do: the workers are goroutines of this process, and what they return is not copied.
	get := futures.Local(func(ctx context.Context, u string) (*page, error) { return fetch(ctx, client, u), nil })

	s := &survey{host: root.Host, linked: map[string]int{}}
	seen := map[string]bool{root.String(): true}
	for level := []string{root.String()}; len(level) > 0; {
		var found []*page
		var next []string
		for pg, err := range pool.ImapUnordered(ctx, p, get, level) {
			if err != nil {
				return nil, err
			}
			found = append(found, pg)
			for _, link := range pg.links {
				if link.Host == root.Host && !seen[link.String()] {
					seen[link.String()] = true
					next = append(next, link.String())
				}
			}
		}
		slices.SortFunc(found, func(a, b *page) int { return compareNumbers(a.path, b.path) })
		s.add(found)
		level = next
	}
	return s, nil
}
