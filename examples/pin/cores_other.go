//go:build !linux

package main

// pinCore does nothing: the system has no call for it, or only advice.
func pinCore(int) error { return nil }

func cores() string { return "any" }
