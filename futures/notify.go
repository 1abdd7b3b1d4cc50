package futures

import "strings"

// Notify has fn called where the callbacks of an executor's futures are called: on one goroutine, one after another, in
// the order in which they became due. It does not block. Close and Shutdown wait for it as they do for callbacks, and a
// panic in fn is recovered and logged like one of theirs.
//
// It is for those who build results of their own on an executor and want their callbacks never to run together with
// the others. It panics when fn is nil, and when
// ex is nil or a zero value.
func Notify(ex Executor, fn func()) {
	if fn == nil {
		panic("futures: Notify: the function is nil; pass a function")
	}
	e, err := baseOf(ex)
	if err != nil {
		panic("futures: Notify: " + strings.TrimPrefix(err.Error(), "futures: "))
	}
	e.callbacks.Add(func() { survive(fn) })
}
