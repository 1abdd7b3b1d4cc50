// Package report says what a recording tells: in a terminal, as a page for a browser, and for Perfetto.
package report
