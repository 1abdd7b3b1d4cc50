//go:build mpi && !cgo && !(linux && (amd64 || arm64))

package mpi

// The tag mpi without cgo cannot work; this name is for the compiler's message.
var _ = the_tag_mpi_needs_cgo__set_CGO_ENABLED_1_and_install_a_C_compiler
