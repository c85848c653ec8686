//! The host as this process sees it: what the kernel says of forks, of the signals of a thread, and of the life and death
//! of other processes.

mod fork;
pub(crate) mod process;
pub(crate) mod thread;

pub(crate) use self::fork::ForkCheck;
