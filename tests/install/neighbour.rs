//! Another Rust archive: one C program must be able to link it beside ours.

/// Called by nobody; it is here to be linked.
#[unsafe(no_mangle)]
pub extern "C" fn neighbour_length(number: u64) -> usize {
    format!("{number}").len()
}
