//go:build !(mpi && linux && (amd64 || arm64))

package job

// Warn tells the user something.
func Warn(text string) { printWarning("", text) }
