//go:build otherresult

package main

type (
	point  struct{ X int }
	number float64
)
