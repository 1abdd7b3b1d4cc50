package mpi

import (
	"errors"
	"fmt"
)

// ErrNoPorts is the error of what needs a port where the library cannot open one.
var ErrNoPorts = errors.New("mpi: programs that were started apart cannot connect with this MPI library (MPICH 4.0.2 over UCX " +
	"opens no port): start master and workers together, with `mpiexec -n N`, or use Open MPI")

// Connects tells whether programs that were started apart can connect: nil, ErrNotBuilt, or ErrNoPorts. It may be called at any
// time, and loads the library where that is not done; what that ends with is an error of it too.
func Connects() error {
	if !Built {
		return ErrNotBuilt
	}
	runtimeState.mu.Lock()
	defer runtimeState.mu.Unlock()
	if _, err := rawLoad(); err != nil {
		return err
	}
	switch {
	case Family(rawFamily()) != OpenMPI:
		return ErrNoPorts
	}
	return nil
}

// OpenPort returns the name of a new port, at which other programs can connect. MPI 4.0 section 11.9.2. It does not wait for
// anybody. Close it with ClosePort.
func OpenPort() (string, error) {
	if err := enter(); err != nil {
		return "", err
	}
	defer leave()
	name, code := rawOpenPort()
	return name, failure("MPI_Open_port", code)
}

// ClosePort gives a port back.
func ClosePort(port string) error {
	return simply("MPI_Close_port", func() int { return rawClosePort(port) })
}

// Accept waits for another program to connect to the port, which counts in rank 0 alone, and returns the intercommunicator to
// it. Collective over c; it blocks until somebody connects and cannot be interrupted. Disconnect the result.
func (c *Comm) Accept(port string) (*Comm, error) {
	return c.madeAlone("MPI_Comm_accept", func() (uintptr, int) { return rawAccept(c.handle, port, 0) })
}

// Connect connects to a port of another program, which must be about to accept, and returns the intercommunicator to it.
// The port and info count in rank 0 alone. Collective over c; it blocks until the other program accepts and cannot be interrupted: with
// Open MPI also when that program or the name server is gone. Disconnect the result.
func (c *Comm) Connect(port string, info []InfoPair) (*Comm, error) {
	return c.madeAlone("MPI_Comm_connect", func() (uintptr, int) { return rawConnect(c.handle, port, 0, info) })
}

// Publish lets other programs look text up under a name, as far as the name server reaches. MPI 4.0 section 11.9.4. With Open
// MPI a name that was published before means the new text from now on, and the call waits without end when the name server is gone.
func Publish(name, text string) error {
	const op = "MPI_Publish_name"
	if limit := rawPortNameSize(); Built && len(text) >= limit {
		return invalid(op, ClassArg, "%d bytes are more than the %d that can be published", len(text), limit-1)
	}
	return simply(op, func() int { return rawPublish(name, text) })
}

// Unpublish takes back what this process has published.
func Unpublish(name, text string) error {
	return simply("MPI_Unpublish_name", func() int { return rawUnpublish(name, text) })
}

// Lookup returns what was published under a name; an *Error says that nothing was. With Open MPI it waits without end when the
// name server is gone.
func Lookup(name string) (string, error) {
	if err := enter(); err != nil {
		return "", err
	}
	defer leave()
	text, code := rawLookup(name)
	if err := failure("MPI_Lookup_name", code); err != nil {
		return "", fmt.Errorf("mpi: the name %q: %w", name, err)
	}
	return text, nil
}

// simply makes a call.
func simply(op string, f func() int) error {
	if err := enter(); err != nil {
		return err
	}
	defer leave()
	return failure(op, f())
}
