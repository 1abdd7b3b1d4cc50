//go:build !(mpi && linux && (amd64 || arm64))

package mpi

func rawPortNameSize() int                                       { return 0 }
func rawOpenPort() (string, int)                                 { return "", notBuilt }
func rawClosePort(string) int                                    { return notBuilt }
func rawAccept(uintptr, string, int) (uintptr, int)              { return 0, notBuilt }
func rawConnect(uintptr, string, int, []InfoPair) (uintptr, int) { return 0, notBuilt }
func rawPublish(string, string) int                              { return notBuilt }
func rawUnpublish(string, string) int                            { return notBuilt }
func rawLookup(string) (string, int)                             { return "", notBuilt }
