//go:build !cgo

package coordha

// coordha is a C library behind a Go package. This build has cgo switched off, so it stops here, with the reason as the
// compiler's message: set CGO_ENABLED=1 and have a C compiler (Debian: gcc) on PATH.
var _ = coordha_needs_cgo__set_CGO_ENABLED_1_and_install_a_C_compiler
