package remote_test

import (
	"bufio"
	"database/sql"
	"database/sql/driver"
	"encoding/base64"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"reflect"
	"strconv"
	"syscall"
	"testing"
	"time"
)

func TestSentinelsOfTheStandardLibraryAreFoundWithoutLinkingTheirPackages(t *testing.T) {
	for _, err := range []error{
		sql.ErrNoRows, sql.ErrConnDone, sql.ErrTxDone, http.ErrServerClosed, http.ErrHandlerTimeout, http.ErrAbortHandler,
		http.ErrMissingFile, http.ErrNoCookie, http.ErrNoLocation, http.ErrUseLastResponse, driver.ErrBadConn, net.ErrWriteToConnected,
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

// Their methods use the type, which may be of a package that only one side has.
func TestErrorsOfTheStandardLibraryThatHoldATypeSayWhatTheySaid(t *testing.T) {
	type own struct{}
	for _, typ := range []reflect.Type{reflect.TypeFor[own](), reflect.TypeFor[*own](), reflect.TypeFor[chan int](), reflect.TypeFor[int](), nil} {
		for _, err := range []error{
			&json.UnsupportedTypeError{Type: typ}, &json.InvalidUnmarshalError{Type: typ}, &json.MarshalerError{Type: typ, Err: io.EOF},
			&json.UnmarshalTypeError{Value: "string", Type: typ}, &xml.UnsupportedTypeError{Type: typ},
		} {
			if _, says := err.(*json.InvalidUnmarshalError); typ == nil && !says {
				continue // its own method does not have that
			}
			target := reflect.New(reflect.TypeOf(err))
			if !errors.As(across(t, fmt.Errorf("it: %w", err)), target.Interface()) {
				t.Errorf("%T of %v is lost", err, typ)
				continue
			}
			got := target.Elem()
			if text := got.Interface().(error).Error(); text != err.Error() {
				t.Errorf("%T of %v says %q, and said %q", err, typ, text, err)
			}
			if there := got.Elem().FieldByName("Type").Interface(); typ == reflect.TypeFor[int]() && there != typ {
				t.Errorf("%T: int arrives as %v", err, there)
			}
		}
	}
}

func TestErrorTypesOfTheStandardLibraryAreFoundWithTheirFields(t *testing.T) {
	where := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1).To4(), Port: 1}
	exit := exec.Command("go", "no-such-command").Run()
	_, parsing := time.Parse(time.RFC3339, "noon")
	for _, err := range []error{
		exit, parsing,
		&net.AddrError{Err: "no port", Addr: "x"}, &net.ParseError{Type: "IP address", Text: "x"}, net.InvalidAddrError("x"), net.UnknownNetworkError("x"),
		url.EscapeError("%zz"), url.InvalidHostError("x"), &http.MaxBytesError{Limit: 5}, xml.UnmarshalError("x"),
		&csv.ParseError{StartLine: 1, Line: 2, Column: 3, Err: csv.ErrQuote}, hex.InvalidByteError('z'), base64.CorruptInputError(7),
		&fs.PathError{Op: "open", Path: "x", Err: fs.ErrNotExist}, &strconv.NumError{Func: "Atoi", Num: "x", Err: strconv.ErrSyntax},
		&os.LinkError{Op: "link", Old: "a", New: "b", Err: syscall.EEXIST}, &os.SyscallError{Syscall: "bind", Err: syscall.EACCES},
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
		if text := target.Elem().Interface().(error).Error(); text != err.Error() {
			t.Errorf("%T says %q, and said %q", err, text, err)
		}
		if reflect.TypeOf(err).Kind() != reflect.Pointer {
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
