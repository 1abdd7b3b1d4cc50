//go:build otherargument

package main

type (
	point  struct{ X, Y int }
	number int
)
