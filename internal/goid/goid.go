// Package goid tells goroutines apart.
//
// It imports nothing of this module and may be imported from everywhere.
package goid

import (
	"bytes"
	"runtime"
	"strconv"
)

// Get returns the number of the calling goroutine, from the head of its stack trace: "goroutine 7 [running]:". Go tells it in no
// other way. It takes a microsecond.
func Get() uint64 {
	var b [64]byte
	_, head, _ := bytes.Cut(b[:runtime.Stack(b[:], false)], []byte(" "))
	number, _, _ := bytes.Cut(head, []byte(" "))
	n, _ := strconv.ParseUint(string(number), 10, 64)
	return n
}
