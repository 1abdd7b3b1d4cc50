package examples_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// onThreads is how crawl runs, whatever the environment says.
var onThreads = backend{name: "threads"}

// crawled is what crawl prints about a site of 40 pages. By the rules in crawl/site.go there are, beside the pages, four
// addresses that have moved, four files, and two that lead nowhere.
const crawled = `pages at depth 0: 1
pages at depth 1: 4
pages at depth 2: 11
pages at depth 3: 24
pages at depth 4: 0
links to /page/7: 16, Page 7: bread & pepper
links to /page/2: 14, Page 2: ginger & onion
links to /page/1: 9, Page 1: olive & bread
links to /page/8: 9, Page 8: cider & ginger
links to /page/3: 8, Page 3: thyme & butter
broken links to /missing/0: 2, status 404
broken links to /missing/1: 2, status 404
40 pages, 4 redirections, 4 other files, 2 addresses that lead nowhere, 34993 bytes
`

func TestCrawlFindsEveryPageOfTheSite(t *testing.T) {
	args := []string{"-pages", "40", "-delay", "0", "-workers", fmt.Sprint(workers)}
	for _, environment := range []string{"threads", "processes"} {
		o := succeed(t, onThreads, start{example: "crawl", args: args, env: []string{"RANKPOOL_BACKEND=" + environment}})
		got := checkReport(t, onThreads, o, 40+4+4+2)
		if diff := cmp.Diff(crawled, got); diff != "" {
			t.Errorf("RANKPOOL_BACKEND=%s (-want +got):\n%s", environment, diff)
		}
	}
}

func TestCrawlPrintsTheSameHoweverManyWorkersFetch(t *testing.T) {
	crawl := func(workers string) string {
		t.Helper()
		o := succeed(t, onThreads, start{example: "crawl", args: []string{"-workers", workers, "-delay", "1ms"}})
		t.Logf("%s workers: %s", workers, report.FindString(o.stdout))
		return report.ReplaceAllString(o.stdout, "")
	}
	sequential := crawl("1")
	if !strings.Contains(sequential, "\n300 pages, 30 redirections, 30 other files, 15 addresses that lead nowhere, ") {
		t.Errorf("not all was found:\n%s", sequential)
	}
	for _, workers := range []string{"2", "8", "64"} {
		if diff := cmp.Diff(sequential, crawl(workers)); diff != "" {
			t.Errorf("(-one worker +%s workers):\n%s", workers, diff)
		}
	}
}

func TestCrawlNamesTheAddressesThatDoNotAnswer(t *testing.T) {
	o := run(t, onThreads, start{example: "crawl", args: []string{"-timeout", "1ns"}})
	lines := strings.Split(strings.TrimSuffix(o.stderr, "\n"), "\n")
	if o.code != 1 || len(lines) != 2 || !strings.HasPrefix(lines[0], "crawl: /: ") ||
		!strings.Contains(lines[1], "crawl: no answer: 1 of 1 addresses") {
		t.Errorf("exit status %d, stderr:\n%s", o.code, o.stderr)
	}
	if !strings.Contains(o.stdout, "\n0 pages, ") {
		t.Errorf("what was found is not printed:\n%s", o.stdout)
	}
}

func TestCrawlSaysWhatIsWrongWithItsArguments(t *testing.T) {
	for _, tt := range []struct {
		args []string
		code int
		want []string
	}{
		{[]string{"-help"}, 0, []string{"usage: crawl", "-workers", "RANKPOOL_BACKEND"}},
		{[]string{"https://example.com/"}, 1, []string{"no arguments", "crawl -help"}},
		{[]string{"-pages=0"}, 1, []string{"-pages", "at least 1", "crawl -help"}},
		{[]string{"-delay=-1s"}, 1, []string{"-delay", "crawl -help"}},
		{[]string{"-delay=long"}, 2, []string{"-delay", "usage: crawl"}},
		{[]string{"-workers=0"}, 1, []string{"at least 1 worker"}},
	} {
		o := run(t, onThreads, start{example: "crawl", args: tt.args})
		if o.code != tt.code || o.stdout != "" {
			t.Errorf("%q: exit status %d, stdout %q, want %d and nothing", tt.args, o.code, o.stdout, tt.code)
		}
		for _, want := range tt.want {
			if !strings.Contains(o.stderr, want) {
				t.Errorf("%q: stderr does not mention %q:\n%s", tt.args, want, o.stderr)
			}
		}
	}
}
