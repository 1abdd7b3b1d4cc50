package mpi

import (
	"context"
	"fmt"
	"reflect"
	"unsafe"
)

// This file knows the communicator of github.com/emer/empi/mpi by the names of its type and fields, and does not import it: a program
// that does not use it does not link it.

// empiFields finds the two unexported fields of empi's communicator: its MPI_Comm and its MPI_Group. A handle is a
// pointer in Open MPI and an int in MPICH. It refuses other types, and an empi whose type has changed.
func empiFields(t reflect.Type) (comm, group reflect.StructField, err error) {
	if t.Kind() != reflect.Struct || t.Name() != "Comm" || t.PkgPath() != "github.com/emer/empi/mpi" {
		return comm, group, fmt.Errorf("mpi: a %v is not the Comm of github.com/emer/empi/mpi", t)
	}
	comm, ok := t.FieldByName("comm")
	group, also := t.FieldByName("group")
	size := comm.Type != nil && group.Type != nil && comm.Type.Size() == group.Type.Size() &&
		(comm.Type.Size() == 4 || comm.Type.Size() == unsafe.Sizeof(uintptr(0)))
	if !ok || !also || !size || t.NumField() != 2 {
		return comm, group, fmt.Errorf("mpi: this build of github.com/emer/empi/mpi has another Comm than expected (%s): "+
			"pin v1.0.22", t)
	}
	return comm, group, nil
}

// handleAt is a handle inside an empi.Comm, read or written at its width.
type handleAt struct {
	at   unsafe.Pointer
	size uintptr
}

func (h handleAt) load() uintptr {
	if h.size == 4 {
		return uintptr(int(*(*int32)(h.at)))
	}
	return *(*uintptr)(h.at)
}

func (h handleAt) store(v uintptr) {
	if h.size == 4 {
		*(*int32)(h.at) = int32(v)
		return
	}
	*(*uintptr)(h.at) = v
}

// FromEmpi wraps a communicator made with empi, a pointer to its Comm. It stays empi's: Free does nothing. Its errors are returned from now on,
// where MPI's default is to end the job.
func FromEmpi(c any) (*Comm, error) {
	if err := enter(); err != nil {
		return nil, err
	}
	defer leave()
	v := reflect.ValueOf(c)
	if !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, fmt.Errorf("%w (empi)", ErrFreed)
	}
	if v.Kind() != reflect.Pointer {
		return nil, fmt.Errorf("mpi: a %v is not a pointer to the Comm of github.com/emer/empi/mpi", v.Type())
	}
	field, _, err := empiFields(v.Type().Elem())
	if err != nil {
		return nil, err
	}
	h := handleAt{unsafe.Add(v.UnsafePointer(), field.Offset), field.Type.Size()}.load()
	if h == 0 {
		return nil, fmt.Errorf("%w (empi: zero Comm)", ErrFreed)
	}
	if err := failure("MPI_Comm_set_errhandler", rawErrorsReturn(h)); err != nil {
		return nil, err
	}
	return describe(h, false)
}

// OfComm returns the communicator that MPI has for a *comm.Comm. Package comm sets it, and package mpicomm calls it: an exported method of
// that type would be in the documentation of package comm, with a type that its users cannot have.
var OfComm func(ctx context.Context, c any) (*Comm, error)

// Empi hands out c as a communicator of empi, whose Comm is T. It lives as long as c and is not to be used after c was freed. empi has no
// intercommunicators, so one is refused: Merge it first. (empi panics on empty slices.) It is the same one at each call: it
// has an MPI_Group, which is freed with c.
func Empi[T any](c *Comm) (*T, error) {
	if err := c.begin("Empi"); err != nil {
		return nil, err
	}
	defer leave()
	if c.about.inter {
		return nil, invalid("Empi", ClassComm, "not an intercommunicator: Merge it first")
	}
	c.asEmpi.Lock()
	defer c.asEmpi.Unlock()
	if out, made := c.asEmpi.comm.(*T); made {
		return out, nil
	}
	comm, group, err := empiFields(reflect.TypeFor[T]())
	if err != nil {
		return nil, err
	}
	g, code := rawGroup(c.handle)
	if err := failure("MPI_Comm_group", code); err != nil {
		return nil, err
	}
	out := new(T)
	handleAt{unsafe.Add(unsafe.Pointer(out), comm.Offset), comm.Type.Size()}.store(c.handle)
	handleAt{unsafe.Add(unsafe.Pointer(out), group.Offset), group.Type.Size()}.store(g)
	c.asEmpi.comm, c.asEmpi.group = out, g
	return out, nil
}
