//go:build !othercode

package main

func compute(p point) (number, error) { return number(p.X) * number(p.X), nil }
