//go:build otherversion

package main

const version = "2"
