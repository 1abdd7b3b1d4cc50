//go:build !unix

package gobuild

func ownersOfThis() []uint32 { return nil }
