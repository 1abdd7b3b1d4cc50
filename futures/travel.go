package futures

import (
	"reflect"
	"sync"

	"github.com/rankpool/rankpool/internal/pkl5"
	"github.com/rankpool/rankpool/internal/registry"
	"github.com/rankpool/rankpool/internal/remote"
)

// RegisterError makes an error type known under a name, so that [errors.As] finds it in a [RemoteError] with all its fields. Like
// [Register] it belongs in a package-level variable:
//
//	var _ = futures.RegisterError[*InputError]("InputError")
//
// Without it an error arrives as its exact text, the name of its type, and its causes. These errors need no registration; they keep their
// identity or their fields:
//
//	context, errors, io, io/fs, os, strconv, bufio, net (ErrClosed, ErrWriteToConnected), os/exec (ErrNotFound, ErrDot, ErrWaitDelay),
//	database/sql (ErrNoRows, ErrConnDone, ErrTxDone), database/sql/driver (ErrBadConn), net/http (ErrServerClosed, ErrHandlerTimeout,
//	ErrAbortHandler, ErrMissingFile, ErrNoCookie, ErrNoLocation, ErrUseLastResponse)
//	syscall.Errno, *fs.PathError, *os.LinkError, *os.SyscallError, *strconv.NumError, runtime.Error, *time.ParseError
//	*net.OpError, *net.DNSError, *net.AddrError, *net.ParseError, net.InvalidAddrError, net.UnknownNetworkError
//	*url.Error, url.EscapeError, url.InvalidHostError, *exec.Error, *exec.ExitError, *http.MaxBytesError
//	*json.SyntaxError, *json.UnmarshalTypeError, *json.InvalidUnmarshalError, *json.UnsupportedTypeError, *json.MarshalerError
//	*xml.SyntaxError, *xml.UnsupportedTypeError, xml.UnmarshalError, *csv.ParseError, hex.InvalidByteError, base64.CorruptInputError
//
// The chains of [errors.Join] and %w around them are kept too. A [reflect.Type] inside them arrives as its text and kind, or as the type
// itself if it is predeclared. No program links a package because of this list: for packages that rankpool does not use, [errors.As] finds
// the types, and [errors.Is] the sentinels by their texts. [errors.As] with an interface finds only types of the other packages.
//
// It panics when the name is taken or empty, or the type cannot be encoded.
func RegisterError[E error](name string) struct{} {
	where := registry.Caller(0)
	err := registry.Default().Add(registry.Entry{Kind: registry.ErrorType, Name: name, Args: typeOf[E](), Where: where})
	if err == nil {
		err = remote.RegisterErrorType[E](name)
	}
	if err != nil {
		panic("futures: " + err.Error())
	}
	return struct{}{}
}

// RegisterSentinel makes an error value known under a name, so that [errors.Is] finds it in a [RemoteError]:
//
//	var ErrEmpty = futures.RegisterSentinel("empty", errors.New("nothing there"))
//
// It panics when the name is taken or empty, when err is nil, and after [Main] has begun.
func RegisterSentinel(name string, err error) error {
	where := registry.Caller(0)
	problem := registry.Default().Add(registry.Entry{Kind: registry.Sentinel, Name: name, Args: typeOf[error](), Where: where})
	if problem == nil {
		problem = remote.RegisterSentinel(name, err)
	}
	if problem != nil {
		panic("futures: " + problem.Error())
	}
	return err
}

// RegisterType makes a concrete type known under a name, so that values of it can travel inside interfaces. Like [Register] it belongs in a
// package-level variable. It panics when the name is taken or empty, or the type cannot be encoded.
//
// A type whose fields cannot travel is sent by its text from then on, wherever it occurs, if it has MarshalText and UnmarshalText. Register
// it before functions and types that contain it, for instance further up in the same file.
func RegisterType[T any](name string) struct{} {
	where := registry.Caller(0)
	err := registry.Default().Add(registry.Entry{Kind: registry.Type, Name: name, Args: typeOf[T](), Where: where})
	if err == nil {
		err = pkl5.RegisterType(name, typeOf[T]())
	}
	if err != nil {
		panic("futures: " + err.Error())
	}
	return struct{}{}
}

// registerSentinels makes this package's own errors keep their identity across processes.
var registerSentinels = sync.OnceFunc(func() {
	for name, t := range map[string]reflect.Type{
		"futures.PeerError": typeOf[*PeerError](), "futures.BrokenError": typeOf[*BrokenError](),
		"futures.MismatchError": typeOf[*MismatchError](), "futures.ShutdownError": typeOf[*ShutdownError](),
	} {
		if problem := remote.RegisterError(name, t); problem != nil {
			panic("futures: " + problem.Error())
		}
	}
	for name, err := range map[string]error{
		"futures.ErrCancelled": ErrCancelled, "futures.ErrTimeout": ErrTimeout, "futures.ErrInvalidState": ErrInvalidState,
		"futures.ErrBroken": ErrBroken, "futures.ErrShutdown": ErrShutdown, "futures.ErrNotReady": ErrNotReady,
		"futures.ErrChainCycle": ErrChainCycle, "futures.ErrDrained": ErrDrained, "futures.ErrArgumentChanged": ErrArgumentChanged, "futures.ErrNoWorkersComm": ErrNoWorkersComm,
		"futures.ErrTooFewWorkers": ErrTooFewWorkers,
		"futures.ErrNotInTask":     ErrNotInTask, "futures.ErrGlobalNotSet": ErrGlobalNotSet,
	} {
		if problem := remote.RegisterSentinel(name, err); problem != nil {
			panic("futures: " + problem.Error())
		}
	}
})
