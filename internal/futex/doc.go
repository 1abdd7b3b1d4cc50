// Package futex has threads sleep on a word of memory, of this process or of memory that processes share. It is for Linux.
package futex
