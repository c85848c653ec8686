//go:build cgo && coordha_static

package coordha

// #cgo pkg-config: coordha-static
import "C"
