//! The atomics of loom, which may be made worse than those that the code asks for.

use std::sync::atomic::AtomicU8;
pub(crate) use std::sync::atomic::Ordering;

/// What is wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Flaw {
    None,
    /// A load orders nothing.
    RelaxedLoads,
    /// A store orders nothing.
    RelaxedStores,
    /// A deadline is not taken back before the term changes.
    DeadlineStays,
    /// The request to stop is forgotten.
    NoStop,
}

static FLAW: AtomicU8 = AtomicU8::new(0);

impl Flaw {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::RelaxedLoads => "relaxed_loads",
            Self::RelaxedStores => "relaxed_stores",
            Self::DeadlineStays => "deadline_stays",
            Self::NoStop => "no_stop",
        }
    }

    /// For this whole process, by its name.
    pub(crate) fn set(name: &str) {
        let all = [Self::RelaxedLoads, Self::RelaxedStores, Self::DeadlineStays, Self::NoStop];
        let flaw = all.into_iter().find(|flaw| flaw.name() == name).unwrap_or(Self::None);
        FLAW.store(flaw as u8, Ordering::SeqCst);
    }

    fn is_on(self) -> bool {
        FLAW.load(Ordering::SeqCst) == self as u8
    }
}

macro_rules! atomic {
    ($($name:ident of $value:ty, forgets $forgotten:expr;)*) => {$(
        #[derive(Debug)]
        pub(crate) struct $name(loom::sync::atomic::$name);

        impl $name {
            pub(crate) fn new(value: $value) -> Self {
                Self(loom::sync::atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                self.0.load(if Flaw::RelaxedLoads.is_on() { Ordering::Relaxed } else { order })
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                let forgotten: Option<(Flaw, $value)> = $forgotten;
                if forgotten.is_none_or(|(flaw, forgotten)| !flaw.is_on() || value != forgotten) {
                    self.0.store(value, if Flaw::RelaxedStores.is_on() { Ordering::Relaxed } else { order });
                }
            }
        }
    )*};
}

atomic! {
    AtomicBool of bool, forgets Some((Flaw::NoStop, true));
    AtomicI32 of i32, forgets None;
    AtomicI64 of i64, forgets None;
    // Of this type are the deadlines alone.
    AtomicU64 of u64, forgets Some((Flaw::DeadlineStays, 0));
}
