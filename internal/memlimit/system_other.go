//go:build !linux

package memlimit

func system() uint64 { return unknown }
