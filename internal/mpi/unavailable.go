//go:build !(mpi && linux && (amd64 || arm64))

package mpi

import (
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/rankpool/rankpool/internal/mpi/abi"
)

// Built tells whether MPI is built into this program.
const Built = false

// notBuilt is the return code of every call below; none is reached, because enter refuses first.
const notBuilt = -1

type rawPort struct{}

func rawLoad() (string, error)    { return "", ErrNotBuilt }
func rawConfirm() error           { return ErrNotBuilt }
func rawFamily() int              { return int(OtherMPI) }
func rawInterface() abi.Interface { return abi.Unknown }
func rawClass(int) int            { return int(ClassUnknown) }
func rawOnline() int              { return 0 }
func rawWorld() uintptr           { return 0 }
func rawSelf() uintptr            { return 0 }
func rawFinalize() int            { return notBuilt }
func rawLibrary() string          { return "" }
func rawProcessor() string        { return "" }
func rawErrorString(int) string   { return "" }

func rawInit(int) (int, []int, int)               { return 0, nil, notBuilt }
func rawState() (bool, bool, int)                 { return false, false, notBuilt }
func rawQueryLevel() (int, int)                   { return 0, notBuilt }
func rawDescribe(uintptr) (description, int)      { return description{}, notBuilt }
func rawErrorsReturn(uintptr) int                 { return notBuilt }
func rawKey() (int32, int)                        { return 0, notBuilt }
func rawSetMark(uintptr, int32, uintptr) int      { return notBuilt }
func rawMark(uintptr, int32) (uintptr, bool, int) { return 0, false, notBuilt }
func rawParent() (uintptr, int)                   { return 0, notBuilt }
func rawGroup(uintptr) (uintptr, int)             { return 0, notBuilt }
func rawGroupFree(uintptr) int                    { return notBuilt }
func rawDup(uintptr) (uintptr, int)               { return 0, notBuilt }
func rawSplit(uintptr, int, int) (uintptr, int)   { return 0, notBuilt }
func rawSplitHost(uintptr, int) (uintptr, int)    { return 0, notBuilt }
func rawMerge(uintptr, bool) (uintptr, int)       { return 0, notBuilt }
func rawFree(uintptr) int                         { return notBuilt }
func rawRevoke(uintptr) int                       { return notBuilt }
func rawMitigates() bool                          { return false }
func rawDisconnect(uintptr) int                   { return notBuilt }
func rawAbort(uintptr, int) int                   { return notBuilt }
func rawAttribute(bool) (int, bool, int)          { return 0, false, notBuilt }
func rawCancel(uintptr) int                       { return notBuilt }

func rawSpawn(uintptr, SpawnRequest) (uintptr, int)                 { return 0, notBuilt }
func rawCreateGroup(uintptr, []int, int) (uintptr, int)             { return 0, notBuilt }
func rawRanksIn(uintptr, uintptr, []int) int                        { return notBuilt }
func rawInterCreate(uintptr, int, uintptr, int, int) (uintptr, int) { return 0, notBuilt }
func rawIsend(uintptr, int, int, int, uintptr) (uintptr, int)       { return 0, notBuilt }
func rawIrecv(uintptr, int, int, int, uintptr) (uintptr, int)       { return 0, notBuilt }
func rawImrecv(uintptr, int, uintptr) (uintptr, int)                { return 0, notBuilt }
func rawIprobe(uintptr, int, int) (Status, bool, int)               { return Status{}, false, notBuilt }
func rawImprobe(uintptr, int, int) (uintptr, Status, bool, int)     { return 0, Status{}, false, notBuilt }
func rawPortNew(uintptr, PortOptions, int) (rawPort, *atomic.Int32) { return rawPort{}, nil }
func rawPortPoll(rawPort, *pageHead, int, time.Duration) int        { return 0 }
func rawPortEvent(rawPort, int) *portEvent                          { return nil }
func rawPortData(rawPort, *portEvent) []byte                        { return nil }
func rawPortAbandon(rawPort, int, int) int                          { return 0 }
func rawPortCancel(rawPort)                                         {}
func rawPortWithdraw(rawPort)                                       {}
func rawPortPosted(rawPort) int                                     { return 0 }
func rawPortFree(rawPort)                                           {}
func rawPageNew(int64) *pageHead                                    { return nil }
func rawRunExitHandlers(int, time.Duration)                         {}
func rawPageFree(*pageHead)                                         {}
func rawStageNew(int) unsafe.Pointer                                { return nil }
func rawStageFree(unsafe.Pointer)                                   {}

func rawWait(uintptr, time.Duration) (uintptr, bool, Status, bool, int) {
	return 0, true, Status{}, false, notBuilt
}

func rawCollective(int, bool, uintptr, uintptr, int, int, int, int, uintptr) (uintptr, int) {
	return 0, notBuilt
}
