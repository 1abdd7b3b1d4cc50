//go:build !otherargument && !otherresult

package main

type (
	point  struct{ X int }
	number int
)
