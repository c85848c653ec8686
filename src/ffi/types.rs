//! The opaque types of the header.

/// The settings of a session, by key. Made by ha_config_new(), yours until ha_config_free().
pub struct HaConfig {
    _private: [u8; 0],
}

/// A stand in an election: one role, one address. Made by ha_session_start(), yours until
/// ha_session_free().
pub struct HaSession {
    _private: [u8; 0],
}

/// Somebody who looks on: who is active in a role. Made by ha_observer_start(), yours until
/// ha_observer_free().
pub struct HaObserver {
    _private: [u8; 0],
}

/// Something that happened to a session, or that an observer has seen. Yours until
/// ha_event_free() where it was given through a pointer of yours; lent for the call where a
/// callback gets it. It outlives its session.
pub struct HaEvent {
    _private: [u8; 0],
}

/// A guarded transaction, and its results. Made by ha_txn_new(), yours until ha_txn_free().
pub struct HaTxn {
    _private: [u8; 0],
}

/// What went wrong. Yours until ha_error_free() where it was given through `err`; lent, and
/// alive as long as the event, where an event has it.
pub struct HaError {
    _private: [u8; 0],
}

/// A log record. Lent for the call of your receiver; yours until ha_log_record_free() where
/// ha_log_next() gave it.
pub struct HaLogRecord {
    _private: [u8; 0],
}
