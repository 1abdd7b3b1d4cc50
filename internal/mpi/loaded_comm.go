//go:build mpi && linux && (amd64 || arm64)

package mpi

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"unsafe"

	"github.com/rankpool/rankpool/internal/mpi/abi"
	"github.com/rankpool/rankpool/internal/mpi/clib"
)

// scratch is memory that the library writes its answers to. It is on the heap, where nothing moves, and is used again.
type scratch struct {
	a, b, c, d uint64 // handles and numbers
	status     [4]uint64
	loop       [1]clib.Call
	text       [8192 + 1]byte // the longest text that an interface has
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func borrow() *scratch        { return scratches.Get().(*scratch) }
func (s *scratch) giveBack()  { scratches.Put(s) }
func at(p *uint64) uintptr    { return uintptr(unsafe.Pointer(p)) }
func intAt(p *uint64) int     { return int(*(*int32)(unsafe.Pointer(p))) }
func flagAt(p *uint64) *int32 { return (*int32)(unsafe.Pointer(p)) }

// arg is an int as an argument of C.
func arg[T int | int32](v T) uintptr { return uintptr(uint32(int32(v))) }

// read returns a handle that the library has written.
func (b *bound) read(p *uint64) uintptr {
	if b.wide {
		return uintptr(*p)
	}
	return uintptr(*(*uint32)(unsafe.Pointer(p)))
}

// write puts a handle where the library will read or replace it.
func (b *bound) write(p *uint64, h uintptr) {
	if b.wide {
		*p = uint64(h)
	} else {
		*(*uint32)(unsafe.Pointer(p)) = uint32(h)
	}
}

// width is the distance of two handles in an array.
func (b *bound) width() uintptr {
	if b.wide {
		return 8
	}
	return 4
}

// comm is a communicator as the library has it; 0 is the null communicator.
func (b *bound) comm(h uintptr) uintptr {
	if h == 0 {
		return b.commNull
	}
	return h
}

// made returns the communicator that a constructor has left at p, whose errors are returned from now on: not every library has a new
// one inherit that.
func (b *bound) made(code int, p *uint64) (uintptr, int) {
	if code != 0 {
		return 0, code
	}
	h := b.read(p)
	if h == b.commNull {
		return 0, 0
	}
	return h, clib.Do(b.Comm_set_errhandler, h, b.errorsReturn)
}

func rawInterface() abi.Interface { return lib.face }

func rawFamily() int {
	if lib == nil {
		return int(OtherMPI)
	}
	return int(lib.family)
}

func rawWorld() uintptr { return lib.commWorld }
func rawSelf() uintptr  { return lib.commSelf }

func rawClass(code int) int {
	if code == 0 {
		return int(classSuccess)
	}
	if class, known := lib.classes[lib.classOf(code)]; known {
		return int(class)
	}
	return int(ClassUnknown)
}

// classOf is the library's own number of an error's class, or 0.
func (b *bound) classOf(code int) int32 {
	s := borrow()
	defer s.giveBack()
	if clib.Do(b.Error_class, arg(code), at(&s.a)) != 0 {
		return 0
	}
	return int32(intAt(&s.a))
}

// textOf has call leave a text and its length.
func textOf(call func(text, length uintptr) int) string {
	s := borrow()
	defer s.giveBack()
	if call(uintptr(unsafe.Pointer(&s.text)), at(&s.a)) != 0 {
		return ""
	}
	return string(s.text[:min(max(intAt(&s.a), 0), len(s.text))])
}

func rawLibrary() string { return versionOf(lib) }

func rawProcessor() string {
	return textOf(func(text, length uintptr) int { return clib.Do(lib.Get_processor_name, text, length) })
}

func rawErrorString(code int) string {
	return textOf(func(text, length uintptr) int { return clib.Do(lib.Error_string, arg(code), text, length) })
}

// rawOnline counts the cores of the machine, as sysconf(_SC_NPROCESSORS_ONLN) does: 0-3,6.
func rawOnline() int {
	text, err := os.ReadFile("/sys/devices/system/cpu/online")
	if err != nil {
		return 0
	}
	n := 0
	for part := range strings.SplitSeq(strings.TrimSpace(string(text)), ",") {
		from, to, both := strings.Cut(part, "-")
		low, err1 := strconv.Atoi(from)
		high := low
		var err2 error
		if both {
			high, err2 = strconv.Atoi(to)
		}
		if err1 != nil || err2 != nil {
			return 0
		}
		n += high - low + 1
	}
	return n
}

func rawInit(level int) (provided int, restored []int, code int) {
	// Once it has lost a peer that it talked to by TCP, Open MPI looks at its other sockets every 10 ms only, by default.
	standardC.set("OMPI_MCA_mpi_event_tick_rate", "100")
	if rawMitigates() {
		value := "0"
		if mitigates(rawLibrary(), os.LookupEnv) {
			value = "1"
		}
		standardC.set(mitigation, value)
	}
	s, before := borrow(), signalActions()
	defer s.giveBack()
	old := calmThread()
	code = clib.Do(lib.Init_thread, 0, 0, arg(lib.levels[level&3]), at(&s.a))
	maskSignals(sigSetMask, old)
	runtime.UnlockOSThread()
	restored = append(replaced, before.putBack()...)
	if code != 0 {
		return 0, restored, code
	}
	provided, code = rawQueryLevel()
	return provided, restored, code
}

func rawFinalize() int {
	before := signalActions()
	code := clib.Do(lib.Finalize)
	before.putBack()
	return code
}

func rawState() (on, off bool, code int) {
	s := borrow()
	defer s.giveBack()
	s.a, s.b = 0, 0
	if code = clib.Do(lib.Initialized, at(&s.a)); code != 0 {
		return false, false, code
	}
	code = clib.Do(lib.Finalized, at(&s.b))
	return intAt(&s.a) != 0, intAt(&s.b) != 0, code
}

func rawQueryLevel() (level, code int) {
	s := borrow()
	defer s.giveBack()
	code = clib.Do(lib.Query_thread, at(&s.a))
	for i, l := range lib.levels {
		if intAt(&s.a) >= int(l) {
			level = i
		}
	}
	return level, code
}

func rawParent() (uintptr, int) {
	s := borrow()
	defer s.giveBack()
	lib.write(&s.a, lib.commNull)
	code := clib.Do(lib.Comm_get_parent, at(&s.a))
	return lib.made(code, &s.a)
}

func rawDescribe(h uintptr) (d description, code int) {
	s, c := borrow(), lib.comm(h)
	defer s.giveBack()
	d.maxTag = 32767
	number := func(function uintptr, to *int) bool {
		code = clib.Do(function, c, at(&s.a))
		*to = intAt(&s.a)
		return code == 0
	}
	var inter int
	if !number(lib.Comm_test_inter, &inter) || !number(lib.Comm_rank, &d.rank) || !number(lib.Comm_size, &d.size) {
		return d, code
	}
	if d.inter = inter != 0; d.inter && !number(lib.Comm_remote_size, &d.remote) {
		return d, code
	}
	if v, found, rc := lib.attribute(lib.tagUB); rc == 0 && found {
		d.maxTag = v
	}
	return d, 0
}

// attribute is one of the world's whose value is an int.
func (b *bound) attribute(key int32) (value int, found bool, code int) {
	s := borrow()
	defer s.giveBack()
	s.a, s.b = 0, 0
	code = clib.Do(b.Comm_get_attr, b.commWorld, arg(key), at(&s.a), at(&s.b))
	if code != 0 || intAt(&s.b) == 0 || s.a == 0 {
		return 0, false, code
	}
	return int(**(**int32)(unsafe.Pointer(&s.a))), true, 0
}

func rawAttribute(universe bool) (value int, found bool, code int) {
	if universe {
		return lib.attribute(lib.universe)
	}
	return lib.attribute(lib.appNum)
}

// rawKey makes a key for attributes that no communicator inherits from another.
func rawKey() (key int32, code int) {
	s := borrow()
	defer s.giveBack()
	code = clib.Do(lib.Comm_create_keyval, lib.nullCopy, lib.nullDelete, at(&s.a), 0)
	return int32(intAt(&s.a)), code
}

func rawSetMark(h uintptr, key int32, mark uintptr) int {
	return clib.Do(lib.Comm_set_attr, lib.comm(h), arg(key), mark)
}

// rawMark is what rawSetMark has set.
func rawMark(h uintptr, key int32) (mark uintptr, found bool, code int) {
	s := borrow()
	defer s.giveBack()
	s.a, s.b = 0, 0
	code = clib.Do(lib.Comm_get_attr, lib.comm(h), arg(key), at(&s.a), at(&s.b))
	return uintptr(s.a), intAt(&s.b) != 0, code
}

func rawErrorsReturn(h uintptr) int {
	return clib.Do(lib.Comm_set_errhandler, lib.comm(h), lib.errorsReturn)
}

func rawGroup(h uintptr) (uintptr, int) {
	s := borrow()
	defer s.giveBack()
	code := clib.Do(lib.Comm_group, lib.comm(h), at(&s.a))
	return lib.read(&s.a), code
}

func rawGroupFree(group uintptr) int {
	s := borrow()
	defer s.giveBack()
	lib.write(&s.a, group)
	return clib.Do(lib.Group_free, at(&s.a))
}

// construct has call leave a new communicator at out. It waits for other ranks.
func construct(call func(out uintptr) int) (uintptr, int) {
	s := borrow()
	defer s.giveBack()
	lib.write(&s.a, lib.commNull)
	code := quiet(func() int { return call(at(&s.a)) })
	return lib.made(code, &s.a)
}

func rawDup(h uintptr) (uintptr, int) {
	return construct(func(out uintptr) int { return clib.Do(lib.Comm_dup, lib.comm(h), out) })
}

func rawSplit(h uintptr, color, key int) (uintptr, int) {
	if color < 0 {
		color = int(lib.undefined)
	}
	return construct(func(out uintptr) int { return clib.Do(lib.Comm_split, lib.comm(h), arg(color), arg(key), out) })
}

func rawSplitHost(h uintptr, key int) (uintptr, int) {
	return construct(func(out uintptr) int {
		return clib.Do(lib.Comm_split_type, lib.comm(h), arg(lib.typeShared), arg(key), lib.infoNull, out)
	})
}

func rawCreateGroup(h uintptr, ranks []int, tag int) (uintptr, int) {
	s := borrow()
	defer s.giveBack()
	if code := clib.Do(lib.Comm_group, lib.comm(h), at(&s.a)); code != 0 {
		return 0, code
	}
	list := make([]int32, len(ranks)+1)
	for i, r := range ranks {
		list[i] = int32(r)
	}
	code := clib.Do(lib.Group_incl, lib.read(&s.a), arg(len(ranks)), uintptr(unsafe.Pointer(&list[0])), at(&s.b))
	clib.Do(lib.Group_free, at(&s.a))
	if code != 0 {
		return 0, code
	}
	made, code := construct(func(out uintptr) int {
		return clib.Do(lib.Comm_create_group, lib.comm(h), lib.read(&s.b), arg(tag), out)
	})
	clib.Do(lib.Group_free, at(&s.b))
	return made, code
}

// rawRanksIn fills to with the numbers that the ranks of one communicator have in another; -1 for one that is not in there.
func rawRanksIn(h, other uintptr, to []int) int {
	s := borrow()
	defer s.giveBack()
	code := clib.Do(lib.Comm_group, lib.comm(h), at(&s.a))
	if code != 0 {
		return code
	}
	defer clib.Do(lib.Group_free, at(&s.a))
	if code = clib.Do(lib.Comm_group, lib.comm(other), at(&s.b)); code != 0 {
		return code
	}
	defer clib.Do(lib.Group_free, at(&s.b))
	from, there := make([]int32, len(to)+1), make([]int32, len(to)+1)
	for i := range to {
		from[i] = int32(i)
	}
	code = clib.Do(lib.Group_translate_ranks, lib.read(&s.a), arg(len(to)), uintptr(unsafe.Pointer(&from[0])), lib.read(&s.b), uintptr(unsafe.Pointer(&there[0])))
	for i := range to {
		if to[i] = int(there[i]); there[i] == lib.undefined {
			to[i] = -1
		}
	}
	return code
}

func rawInterCreate(local uintptr, leader int, peer uintptr, remoteLeader, tag int) (uintptr, int) {
	return construct(func(out uintptr) int {
		return clib.Do(lib.Intercomm_create, lib.comm(local), arg(leader), lib.comm(peer), arg(remoteLeader), arg(tag), out)
	})
}

func rawMerge(h uintptr, high bool) (uintptr, int) {
	var second uintptr
	if high {
		second = 1
	}
	return construct(func(out uintptr) int { return clib.Do(lib.Intercomm_merge, lib.comm(h), second, out) })
}

func rawFree(h uintptr) int       { return destroy(lib.Comm_free, h) }
func rawDisconnect(h uintptr) int { return destroy(lib.Comm_disconnect, h) }

func destroy(function, h uintptr) int {
	s := borrow()
	defer s.giveBack()
	lib.write(&s.a, lib.comm(h))
	return quiet(func() int { return clib.Do(function, at(&s.a)) })
}

func rawAbort(h uintptr, status int) int { return clib.Do(lib.Abort, lib.comm(h), arg(status)) }

// strings are strings of C that stay until free is called.
type cStrings struct{ pin runtime.Pinner }

func (c *cStrings) free() { c.pin.Unpin() }

// one returns the address of a string that ends in a NUL.
func (c *cStrings) one(s string) uintptr {
	b := append([]byte(s), 0)
	c.pin.Pin(&b[0])
	return uintptr(unsafe.Pointer(&b[0]))
}

// vector returns the address of a list of strings that ends in a null pointer.
func (c *cStrings) vector(all []string) uintptr {
	list := make([]uintptr, len(all)+1)
	for i, s := range all {
		list[i] = c.one(s)
	}
	c.pin.Pin(&list[0])
	return uintptr(unsafe.Pointer(&list[0]))
}

// withInfo calls f with an info that has the pairs. It is freed afterwards.
func withInfo(pairs []InfoPair, f func(info uintptr) int) int {
	if len(pairs) == 0 {
		return f(lib.infoNull)
	}
	s := borrow()
	defer s.giveBack()
	lib.write(&s.a, lib.infoNull)
	code := clib.Do(lib.Info_create, at(&s.a))
	for _, p := range pairs {
		if code == 0 {
			var c cStrings
			code = clib.Do(lib.Info_set, lib.read(&s.a), c.one(p.Key), c.one(p.Value))
			c.free()
		}
	}
	if code == 0 {
		code = f(lib.read(&s.a))
	}
	if lib.read(&s.a) != lib.infoNull {
		clib.Do(lib.Info_free, at(&s.a))
	}
	return code
}

func rawSpawn(h uintptr, r SpawnRequest) (uintptr, int) {
	s := borrow()
	defer s.giveBack()
	var c cStrings
	defer c.free()
	codes := make([]int32, r.N)
	lib.write(&s.a, lib.commNull)
	code := withInfo(r.Info, func(info uintptr) int {
		return clib.Do(lib.Comm_spawn, c.one(r.Command), c.vector(r.Args), arg(r.N), info, arg(r.Root), lib.comm(h), at(&s.a),
			uintptr(unsafe.Pointer(&codes[0])))
	})
	return lib.made(code, &s.a)
}
