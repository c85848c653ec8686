//go:build cgo

package coordha

// #include "shim.h"
import "C"

// MetricsText is all metrics of this process, as Prometheus text: serve it at /metrics with the content type
// "text/plain; version=0.0.4; charset=utf-8". It waits for no network, and may be called from any goroutine. Sessions
// and observers are in it while they have not ended. Empty where HasFeature("metrics") is false.
func MetricsText() string {
	text := C.ha_metrics_text()
	defer C.ha_string_free(text)
	return C.GoString(text)
}
