//! Observers.
//!
//! An observer follows who is active in a role, for those who stand in no election: clients,
//! proxies, dashboards. It registers nothing in the store and needs no address; of the
//! configuration it uses the role, the root, the store and election.reread_ms. Observers and
//! sessions of a process with the same store share one connection.
//!
//! ```c
//! ha_observer *o;
//! ha_event *event;
//! ha_observer_start(config, &o, NULL);
//! while (ha_observer_next(o, HA_FOREVER, &event) == HA_OK) {
//!     if (ha_event_address(event))
//!         connect_to(ha_event_address(event), ha_event_token(event));
//!     else
//!         hold_requests_back();
//!     ha_event_free(event);
//! }
//! ha_observer_free(o);
//! ```
//!
//! Its events are of the kind HA_EVENT_HOLDER: address, server ID and token of the active one, or
//! NULL and 0 while nobody is. The first one comes as soon as the store has answered. Those that
//! name a holder come by growing token; only the newest waits to be read, and ha_event_missed()
//! says how many it has replaced. So a slow reader misses what is past, never what is.
//!
//! It says what the store says, a moment ago. An active one that is cut off from the store is
//! named until another one has taken over, so let servers refuse a request with a token lower
//! than the highest they have seen. A store that cannot be reached is tried again for ever; what
//! was known last stays ha_observer_current(). A watch that is lost, or so late that the store
//! has compacted what it missed, is made up for by reading anew; every election.reread_ms the key
//! is read anyhow. Where the store was restored from a backup, tokens would not grow: then the
//! observer ends with HA_ERR_REGRESSED (a damaged local database: HA_ERR_CORRUPT), and it is for
//! you to start a new one.
//!
//! Everything here may be called from many threads at once, but ha_observer_free() only after all
//! other calls on that observer have returned; ha_observer_request_stop() makes those return that
//! wait.

use std::os::fd::AsRawFd;
use std::sync::OnceLock;

use super::boundary::{Handle, act, ask, attempt, bound, give, guard, limit, plain, reach, required, take, write};
use super::error::HA_OK;
use super::event::{Descriptor, EventValue};
use super::logging;
use super::process::Counted;
use super::types::{HaConfig, HaError, HaEvent, HaObserver};
use crate::driver::settle;
use crate::error::{Error, ErrorKind, Result};
use crate::session::Observer;

/// What is behind a `ha_observer`.
pub(super) struct ObserverValue {
    /// Set before the handle is given out.
    observer: OnceLock<Observer>,
    _counted: Counted,
}

impl ObserverValue {
    fn get(&self) -> Result<&Observer> {
        self.observer.get().ok_or_else(|| Error::new(ErrorKind::State, "the observer has not started"))
    }
}

impl Handle for HaObserver {
    type Value = ObserverValue;
    const TAG: u64 = u64::from_le_bytes(*b"haobserv");
}

/// Starts an observer: checks and copies the configuration, and returns without waiting for the
/// network.
///
/// @param config   which role, which store; an address is not needed. Copied; stays yours.
/// @param observer set to the observer, which is yours until ha_observer_free(); to NULL on failure
/// @param err      set to why it failed, which is yours to free; or NULL
/// @return HA_OK; HA_ERR_CONFIG_MISSING, HA_ERR_CONFIG_CONFLICT: as ha_config_check() says, but
///         for the address; HA_ERR_CONFIG_VALUE: a file or directory that is named cannot be used;
///         HA_ERR_CORRUPT, HA_ERR_STORE_VERSION, HA_ERR_NO_SPACE, HA_ERR_UNAVAILABLE: what lies
///         in the directory is damaged or of another version, its disk is full, or it stayed
///         locked; HA_ERR_UNSUPPORTED: the store's kind is not in this build; HA_ERR_RESOURCES;
///         HA_ERR_NULL; HA_ERR_FORKED. On failure nothing was started.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_observer_start(
    config: *const HaConfig,
    observer: *mut *mut HaObserver,
    err: *mut *mut HaError,
) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        write(observer, std::ptr::null_mut());
        attempt(err, || {
            logging::install();
            required(observer, "observer")?;
            let config = reach(config)?;
            // Counted before it starts: a child that is forked meanwhile must not begin anew.
            let new = bound::<HaObserver>(|| ObserverValue { observer: OnceLock::new(), _counted: Counted::new() })?;
            let started = config.observe()?;
            new.value.observer.get_or_init(|| started);
            write(observer, give(new));
            Ok(())
        })
    }
}

/// Who is active, as far as is known now. Does not wait, and takes nothing from
/// ha_observer_next().
///
/// @param observer the observer
/// @param event    set to an event of the kind HA_EVENT_HOLDER, which is yours to free; to NULL on
///                 failure. ha_event_server_id() 0: nobody is active.
/// @param err      set to why it failed, which is yours to free; or NULL
/// @return HA_OK; where the store has not answered yet, why: HA_ERR_UNAVAILABLE, HA_ERR_AUTH,
///         HA_ERR_PERMISSION, HA_ERR_TLS; HA_ERR_ENDED after ha_observer_request_stop();
///         HA_ERR_REGRESSED, HA_ERR_CORRUPT: the store was restored from a backup, or is damaged;
///         HA_ERR_NULL; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_observer_current(
    observer: *const HaObserver,
    event: *mut *mut HaEvent,
    err: *mut *mut HaError,
) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        write(event, std::ptr::null_mut());
        act(observer, err, |value| {
            required(event, "event")?;
            let holder = value.get()?.current()?;
            write(event, give(plain::<HaEvent>(EventValue::new(&holder))));
            Ok(())
        })
    }
}

/// The next change of who is active; the first one says who is at all. From any threads; each
/// event goes to one of them.
///
/// @param observer   the observer
/// @param timeout_ms how long to wait for one; 0: not at all, HA_FOREVER: until one comes
/// @param event      set to the event, which is yours until ha_event_free(); to NULL where there is
///                   none
/// @return HA_OK; HA_ERR_TIMEOUT; for ever HA_ERR_ENDED after ha_observer_request_stop(), or
///         HA_ERR_REGRESSED or HA_ERR_CORRUPT where the store was restored from a backup, or is
///         damaged; HA_ERR_INVALID_ARGUMENT; HA_ERR_NULL; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_observer_next(observer: *mut HaObserver, timeout_ms: i64, event: *mut *mut HaEvent) -> i32 {
    // SAFETY: the arguments are the caller's, as the header asks.
    unsafe {
        write(event, std::ptr::null_mut());
        act(observer, std::ptr::null_mut(), |value| {
            required(event, "event")?;
            let next = value.get()?.next_event(limit(timeout_ms)?)?;
            write(event, give(plain::<HaEvent>(EventValue::new(&next))));
            Ok(())
        })
    }
}

/// Counts one event that ha_observer_next() gave and nobody will look at, in the metric
/// coordha_observer_events_missed_total. For adapters that hand events over, as to a queue of
/// their own, and drop one there for a newer: ha_event_missed() of that one does not include it.
///
/// @return HA_OK; HA_ERR_NULL; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_observer_count_missed(observer: *mut HaObserver) -> i32 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe {
        ask(observer, |value| {
            if let Some(observer) = value.observer.get() {
                observer.count_missed();
            }
            HA_OK
        })
    }
}

/// A descriptor for poll, epoll and event loops: readable while an event waits, and for ever once
/// the observer has ended, with a new edge at each arrival. Wait for it, then call
/// ha_observer_next() with a limit of 0 until it says HA_ERR_TIMEOUT.
///
/// It is made at the first call, non-blocking and close-on-exec. Never close it: it is the
/// observer's, up to ha_observer_free().
///
/// @return -1 where there is none: no descriptor was to be had, NULL, a child of `fork`.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_observer_event_fd(observer: *mut HaObserver) -> i32 {
    // SAFETY: the handle is the caller's, as the header asks.
    let descriptor = unsafe {
        ask(observer, |value| {
            let descriptor = value.get().and_then(Observer::event_fd);
            Descriptor(descriptor.map_or(-1, |fd| fd.as_raw_fd()))
        })
    };
    descriptor.0
}

/// Ends the observer: whoever waits in ha_observer_next() is woken, and no event is given out any
/// more. Returns at once; twice is harmless.
///
/// From any thread and from a signal handler, but not once ha_observer_free() has begun.
/// @return HA_OK; HA_ERR_NULL; HA_ERR_FORKED.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_observer_request_stop(observer: *mut HaObserver) -> i32 {
    // SAFETY: the handle is the caller's, as the header asks.
    unsafe {
        ask(observer, |value| {
            if let Some(observer) = value.observer.get() {
                observer.request_stop();
            }
            HA_OK
        })
    }
}

/// Ends an observer and frees it. NULL is a no-op. Waits for nothing that the store does. Events
/// that it gave stay yours.
///
/// In a child of `fork` it does nothing.
/// @since 0.1
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ha_observer_free(observer: *mut HaObserver) {
    guard(|| {
        // SAFETY: the caller gives the handle up.
        if let Some(owned) = unsafe { take(observer) } {
            drop(owned);
            settle();
        }
    });
}
