//go:build cgo && !coordha_static

package coordha

// #cgo pkg-config: coordha
import "C"
