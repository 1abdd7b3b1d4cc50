package remote_test

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"reflect"
	"syscall"
	"testing"
)

func TestSentinelsOfTheStandardLibraryAreFoundWithoutLinkingTheirPackages(t *testing.T) {
	for _, err := range []error{
		sql.ErrNoRows, sql.ErrConnDone, sql.ErrTxDone, http.ErrServerClosed, http.ErrHandlerTimeout, http.ErrAbortHandler,
		exec.ErrNotFound, exec.ErrDot, exec.ErrWaitDelay, net.ErrClosed, bufio.ErrTooLong,
	} {
		got := across(t, fmt.Errorf("user 7: %w", err))
		if !errors.Is(got, err) {
			t.Errorf("%v is lost", err)
		}
		if errors.Is(got, io.EOF) || errors.Is(got, errors.New("user 7")) {
			t.Errorf("%v is found where it is not", err)
		}
	}
	if own := errors.New("own"); errors.Is(across(t, own), errors.New("own")) || errors.Is(across(t, own), own) {
		t.Error("texts alone make two errors one")
	}
}

func TestErrorTypesOfTheStandardLibraryAreFoundWithTheirFields(t *testing.T) {
	where := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1).To4(), Port: 1}
	for _, err := range []error{
		&net.OpError{Op: "dial", Net: "tcp", Addr: where, Err: syscall.ECONNREFUSED},
		&net.DNSError{Err: "no such host", Name: "x", IsNotFound: true},
		&url.Error{Op: "Get", URL: "http://x", Err: io.ErrUnexpectedEOF},
		&exec.Error{Name: "tool", Err: exec.ErrNotFound},
		&exec.ExitError{Stderr: []byte("oh dear")},
		&xml.SyntaxError{Msg: "oh", Line: 3},
		&json.SyntaxError{Offset: 4},
	} {
		target := reflect.New(reflect.TypeOf(err))
		if !errors.As(across(t, fmt.Errorf("it: %w", err)), target.Interface()) {
			t.Errorf("%T is lost", err)
			continue
		}
		if got := target.Elem().Interface(); fmt.Sprintf("%+v", reflect.ValueOf(got).Elem()) != fmt.Sprintf("%+v", reflect.ValueOf(err).Elem()) {
			if _, opaque := err.(interface{ Unwrap() error }); !opaque {
				t.Errorf("%T: sent %+v, got %+v", err, err, got)
			}
		}
	}
	if !errors.Is(across(t, &url.Error{Op: "Get", URL: "x", Err: syscall.ECONNREFUSED}), syscall.ECONNREFUSED) {
		t.Error("the cause of a url.Error is lost")
	}
}
