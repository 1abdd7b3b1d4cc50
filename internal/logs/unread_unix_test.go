//go:build unix

package logs_test

import (
	"fmt"
	"os"
	"os/exec"
	"testing"
)

const unread = "LOGS_TEST_UNREAD"

func TestARecordThatNobodyReadsDoesNotEndTheProgram(t *testing.T) {
	if os.Getenv(unread) != "" {
		report()
		fmt.Println("goes on")
		os.Exit(0)
	}
	this, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	cmd := exec.Command(this, "-test.run=^"+t.Name()+"$")
	cmd.Env, cmd.Stderr = append(os.Environ(), unread+"=1"), w
	if out, err := cmd.Output(); err != nil || string(out) != "goes on\n" {
		t.Errorf("%q, %v", out, err)
	}
}
