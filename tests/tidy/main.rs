//! The house rules that no compiler checks: who may use whom, how long a file may be, what must not stand where, and that the
//! pages tell the truth about the tree. A failure lists each breach as `file:line: what is wrong`.

mod dependencies;
mod layers;
mod pages;
mod source;
mod sources;
mod tree;

/// Fails with all breaches at once.
fn assert_none(breaches: &[String]) {
    assert!(breaches.is_empty(), "\n{}", breaches.join("\n"));
}
