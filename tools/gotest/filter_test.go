package main

import (
	"strings"
	"testing"
)

const events = `{"Action":"start","Package":"a"}
{"Action":"run","Package":"a","Test":"TestGood"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"=== RUN   TestGood\n"}
{"Action":"output","Package":"a","Test":"TestGood","Output":"    a_test.go:3: fine\n"}
{"Action":"pass","Package":"a","Test":"TestGood"}
{"Action":"output","Package":"a","Test":"TestAbsent","Output":"=== RUN   TestAbsent\n"}
{"Action":"output","Package":"a","Test":"TestAbsent","Output":"    a_test.go:7: needs root: see\n"}
{"Action":"output","Package":"a","Test":"TestAbsent","Output":"        the page\n"}
{"Action":"output","Package":"a","Test":"TestAbsent","Output":"--- SKIP: TestAbsent (0.00s)\n"}
{"Action":"skip","Package":"a","Test":"TestAbsent"}
{"Action":"output","Package":"a","Output":"left out: jobs of MPI\n"}
{"Action":"output","Package":"a","Output":"PASS\n"}
{"Action":"output","Package":"a","Output":"ok  \ta\t0.1s\n"}
{"Action":"pass","Package":"a"}
{"ImportPath":"c","Action":"build-output","Output":"c.go:1: wrong\n"}
no event
{"Action":"output","Package":"b","Test":"TestBad","Output":"=== RUN   TestBad\n"}
{"Action":"output","Package":"b","Test":"TestBad","Output":"    b_test.go:3: bad\n"}
{"Action":"output","Package":"b","Test":"TestBad","Output":"--- FAIL: TestBad (0.00s)\n"}
{"Action":"fail","Package":"b","Test":"TestBad"}
{"Action":"output","Package":"b","Test":"TestHung","Output":"=== RUN   TestHung\n"}
{"Action":"output","Package":"b","Test":"TestHung","Output":"panic: test timed out\n"}
{"Action":"output","Package":"b","Output":"FAIL\tb\t0.1s\n"}
{"Action":"fail","Package":"b"}
`

func TestWhatGoTestPrintsIsPrintedAndWhatIsLeftOutIsNoted(t *testing.T) {
	var out, notes strings.Builder
	if err := filter(strings.NewReader(events), &out, &notes); err != nil {
		t.Fatal(err)
	}
	const want = "ok  \ta\t0.1s\nc.go:1: wrong\nno event\n    b_test.go:3: bad\n--- FAIL: TestBad (0.00s)\npanic: test timed out\nFAIL\tb\t0.1s\n"
	if out.String() != want {
		t.Errorf("printed:\n%s\nwant:\n%s", out.String(), want)
	}
	if want := "a\tTestAbsent\tneeds root: see the page\na\t\tleft out: jobs of MPI\n"; notes.String() != want {
		t.Errorf("noted:\n%s\nwant:\n%s", notes.String(), want)
	}
}
