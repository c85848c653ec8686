//! The host as this process sees it: what the kernel says of forks, of the signals of a thread, and of the life and death
//! of other processes, alone or in a cgroup.

pub(crate) mod cgroup;
mod fork;
pub(crate) mod process;
pub(crate) mod thread;

pub(crate) use self::fork::ForkCheck;
