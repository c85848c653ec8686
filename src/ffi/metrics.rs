//! Metrics.
//!
//! What goes on in the process, for Prometheus: serve the text at /metrics, with the content type
//! "text/plain; version=0.0.4; charset=utf-8". docs/metrics.md says what is in it; the folder deploy
//! has a dashboard and alerts for it.

use std::ffi::c_char;

use super::boundary::guard;
use super::text::c_string;

/// All metrics of this process, as Prometheus text.
///
/// Sessions and observers are in it while they have not ended; what is counted stays. It waits for
/// no network. In a child of fork() it is that of the child, which begins with nothing.
///
/// @return Yours until ha_string_free(). Empty where ha_has_feature("metrics") is false. NULL only
///         where a defect of the library kept it from being made. Any thread.
/// @since 0.1
#[unsafe(no_mangle)]
pub extern "C" fn ha_metrics_text() -> *mut c_char {
    guard(|| {
        #[cfg(feature = "metrics")]
        let text = crate::metrics::text();
        #[cfg(not(feature = "metrics"))]
        let text = "";
        c_string(text).into_raw()
    })
}
