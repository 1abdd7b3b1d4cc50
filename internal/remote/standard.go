package remote

import (
	"bufio"
	"encoding/json"
	"net"
	"reflect"
	"slices"
	"strings"

	"github.com/rankpool/rankpool/internal/pkl5"
)

// This file is about the errors of the standard library. Those of packages that every program with this one links are registered.
// Of others only the names are known here, so that programs which do not use these packages do not link them: the value is
// written by whoever has it, and read when errors.Is or errors.As brings an error, or a type, to be compared with.

func init() {
	for name, err := range map[string]error{
		"net.ErrClosed": net.ErrClosed, "net.ErrWriteToConnected": net.ErrWriteToConnected,
		"bufio.ErrTooLong": bufio.ErrTooLong, "bufio.ErrNegativeAdvance": bufio.ErrNegativeAdvance,
		"bufio.ErrAdvanceTooFar": bufio.ErrAdvanceTooFar, "bufio.ErrBadReadCount": bufio.ErrBadReadCount,
		"bufio.ErrFinalToken": bufio.ErrFinalToken, "bufio.ErrBufferFull": bufio.ErrBufferFull,
		"bufio.ErrNegativeCount": bufio.ErrNegativeCount, "bufio.ErrInvalidUnreadByte": bufio.ErrInvalidUnreadByte,
		"bufio.ErrInvalidUnreadRune": bufio.ErrInvalidUnreadRune,
	} {
		must(RegisterSentinel(name, err))
	}
	for name, t := range map[string]reflect.Type{
		"net.TCPAddr": reflect.TypeFor[net.TCPAddr](), "net.UDPAddr": reflect.TypeFor[net.UDPAddr](),
		"net.UnixAddr": reflect.TypeFor[net.UnixAddr](), "net.IPAddr": reflect.TypeFor[net.IPAddr](), "net.IPNet": reflect.TypeFor[net.IPNet](),
	} {
		must(pkl5.RegisterType(name, t))
	}
	for _, t := range []reflect.Type{
		reflect.TypeFor[*net.OpError](), reflect.TypeFor[*net.DNSError](), reflect.TypeFor[*net.AddrError](), reflect.TypeFor[*net.ParseError](),
		reflect.TypeFor[net.InvalidAddrError](), reflect.TypeFor[net.UnknownNetworkError](),
		reflect.TypeFor[*json.SyntaxError](), reflect.TypeFor[*json.UnmarshalTypeError](), reflect.TypeFor[*json.InvalidUnmarshalError](),
		reflect.TypeFor[*json.UnsupportedTypeError](), reflect.TypeFor[*json.MarshalerError](),
	} {
		must(RegisterError(fullName(t), t))
	}
}

func must(problem error) {
	if problem != nil {
		panic(problem)
	}
}

// elsewhere are error types of packages that a program may not link.
var elsewhere = []string{
	"*os/exec.ExitError", "*os/exec.Error", "*net/url.Error", "net/url.EscapeError", "net/url.InvalidHostError",
	"*encoding/xml.SyntaxError", "*encoding/xml.UnsupportedTypeError", "encoding/xml.UnmarshalError",
	"*net/http.MaxBytesError", "*encoding/csv.ParseError", "encoding/hex.InvalidByteError", "encoding/base64.CorruptInputError",
	"*time.ParseError",
}

// texts are the sentinels of such packages. Each was made by errors.New.
var texts = []string{
	"sql: no rows in result set",                                 // database/sql.ErrNoRows
	"sql: connection is already closed",                          // database/sql.ErrConnDone
	"sql: transaction has already been committed or rolled back", // database/sql.ErrTxDone
	"driver: bad connection",                                     // database/sql/driver.ErrBadConn
	"http: Server closed",                                        // net/http.ErrServerClosed
	"http: Handler timeout",                                      // net/http.ErrHandlerTimeout
	"http: no such file",                                         // net/http.ErrMissingFile
	"http: named cookie not present",                             // net/http.ErrNoCookie
	"http: no Location header in response",                       // net/http.ErrNoLocation
	"net/http: abort Handler",                                    // net/http.ErrAbortHandler
	"net/http: use last response",                                // net/http.ErrUseLastResponse
	"executable file not found in $PATH",                         // os/exec.ErrNotFound
	"cannot run executable found relative to current directory",  // os/exec.ErrDot
	"exec: WaitDelay expired before I/O complete",                // os/exec.ErrWaitDelay
}

const plainType = "*errors.errorString"

// fullName is the name of a type with the path of its package.
func fullName(t reflect.Type) string {
	star := ""
	if t.Kind() == reflect.Pointer {
		t, star = t.Elem(), "*"
	}
	if t.Name() == "" || t.PkgPath() == "" {
		return ""
	}
	return star + t.PkgPath() + "." + t.Name()
}

// carrierFor returns what takes errors of type t across: as registered, or of the standard library.
func carrierFor(t reflect.Type) *carrier {
	if c := carrierOf(t); c != nil {
		return c
	}
	name := fullName(t)
	if !slices.Contains(elsewhere, name) || RegisterError(name, t) != nil {
		return nil
	}
	return carrierOf(t)
}

// Is finds a sentinel of a package that was not known here, by its text.
func (o *Opaque) Is(target error) bool {
	return o.TypeName == plainType && reflect.TypeOf(target) == plain && slices.Contains(texts, o.Error()) && target.Error() == o.Error()
}

var plain = reflect.TypeOf(errCut)

// unread is the value of an error whose type was not known here.
type unread struct {
	name   string
	blob   []byte
	inside []error
}

// read sets target, a pointer to a variable of the type, to the value.
func (u *unread) read(target any) bool {
	v := reflect.ValueOf(target)
	if u == nil || v.Kind() != reflect.Pointer || v.IsNil() || fullName(v.Type().Elem()) != u.name {
		return false
	}
	c := carrierFor(v.Type().Elem())
	if c == nil {
		return false
	}
	value, problem := c.decode(u.blob, u.inside, 0)
	if problem != nil {
		return false
	}
	v.Elem().Set(reflect.ValueOf(value))
	return true
}

func isElsewhere(name string) bool {
	return strings.Contains(name, ".") && slices.Contains(elsewhere, name)
}
