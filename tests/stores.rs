//! Every store passes the same suite: a lab and one line for each.

#![cfg(feature = "testkit")]
