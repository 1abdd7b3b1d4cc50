// Package everyrank is what a program of package spmd, whose function runs on every rank of its job, is told by: before it
// begins nothing else tells it from one whose ranks serve a master.
package everyrank

var (
	linked bool // package spmd is in the program
	called bool // its Main was called
	where  string
)

// Link notes that package spmd is in the program.
func Link() { linked = true }

// Linked tells whether package spmd is in the program.
func Linked() bool { return linked }

// Call notes that the program's main function has called spmd.Main, and where.
func Call(place string) { called, where = true, place }

// Called tells whether the program's main function has called spmd.Main, and where.
func Called() (place string, yes bool) { return where, called }
