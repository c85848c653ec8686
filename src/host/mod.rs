//! The host as this process sees it.

mod fork;

pub(crate) use self::fork::ForkCheck;
