//! A build without the feature `metrics` counts nothing.

use std::sync::Weak;
use std::time::Duration;

use super::{Happened, Live, Reasons};

pub(crate) fn register(_: Weak<dyn Live>) {}

#[derive(Debug)]
pub(crate) struct SessionCounts;

impl SessionCounts {
    pub(crate) fn new(_: &str, _: &str, _: Duration, _: bool, _: &Reasons) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn count(&self, _: Happened) {}
}

pub(crate) struct StoreCounts;

impl StoreCounts {
    pub(crate) fn new(_: &'static str) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn request(&self, _: &'static str, _: &'static str, _: Duration) {}

    #[cfg(feature = "etcd")]
    #[inline]
    pub(crate) fn switched(&self) {}
}

#[derive(Debug)]
pub(crate) struct ObserverCounts;

impl ObserverCounts {
    pub(crate) fn new(_: &str, _: &str) -> Self {
        Self
    }

    #[inline]
    pub(crate) fn missed(&self) {}
}
