//go:build cgo

// Package empty has the cheapest call from Go to C that there is, for benchmarks to compare with.
package empty

// #cgo noescape coordha_empty
// #cgo nocallback coordha_empty
// static void coordha_empty(void) {}
import "C"

// Call calls a C function that does nothing.
func Call() { C.coordha_empty() }
