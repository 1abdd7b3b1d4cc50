//go:build !unix

package main

import "errors"

// lock is a lock of a folder. There is none here: the process that built the program removes it.
type lock struct{}

func holdLock(string) (*lock, error) { return &lock{}, nil }

func holdAlone(string, bool) (*lock, error) { return nil, errors.ErrUnsupported }

func (l *lock) keep() error { return nil }
func (l *lock) release()    {}

func ownFolder(string) error { return nil }
