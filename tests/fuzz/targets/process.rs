//! `/proc/<pid>/stat`, in which stands a name that the process gave itself: its start time does not move.

#![no_main]

use std::ffi::CString;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

#[path = "../../../src/host/process.rs"]
#[allow(dead_code, reason = "not all of it is looked at")]
mod process;

static START: LazyLock<u64> = LazyLock::new(|| process::start_time("self").expect("/proc"));

fuzz_target!(|name: &[u8]| {
    let start = *START;
    // The kernel cuts it at 15 bytes. This is the main thread, whose name is the process's.
    if let Ok(name) = CString::new(name) {
        rustix::thread::set_name(&name).expect("a name");
        assert_eq!(process::start_time("self"), Some(start));
    }
});
