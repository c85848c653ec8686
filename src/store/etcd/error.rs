//! What a failure says about the request: the one question that matters is whether it can have been done.
//!
//! *Unavailable* is said only where the request certainly was not done: no connection was made, or etcd refused
//! before it proposed anything. Whatever broke or timed out later is *Unknown*.

use std::error::Error as _;
use std::fmt;

use tonic::{Code, Status};

use crate::kv::StoreError;

/// Why no connection stands. Found again in the sources of the error that a request gets for it.
#[derive(Debug)]
pub(super) enum ConnectFailure {
    /// No name, no route, nobody listens, or no answer in time.
    Unreachable(String),
    /// TLS could not be agreed on.
    Tls(String),
}

impl fmt::Display for ConnectFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Unreachable(message) | Self::Tls(message)) = self;
        f.write_str(message)
    }
}

impl std::error::Error for ConnectFailure {}

/// A failed attempt at one endpoint.
#[derive(Debug)]
pub(super) struct Failure {
    /// What the caller is told.
    pub(super) error: StoreError,
    /// The endpoint is to blame: the next request goes to another.
    pub(super) is_endpoint_fault: bool,
    /// Nothing was done, and a new token may help.
    pub(super) is_login_stale: bool,
}

impl Failure {
    /// The endpoint did not do it, whatever it was.
    pub(super) fn unreachable(error: StoreError) -> Self {
        Self { error, is_endpoint_fault: true, is_login_stale: false }
    }

    /// Any endpoint would say the same.
    pub(super) fn refused(error: StoreError) -> Self {
        Self { error, is_endpoint_fault: false, is_login_stale: false }
    }

    /// Another endpoint may be tried with the same request: this one certainly has not done it.
    pub(super) fn may_try_another(&self) -> bool {
        self.is_endpoint_fault && matches!(self.error, StoreError::Unavailable(_) | StoreError::Tls(_))
    }

    /// Reads the client's error; `endpoint` goes into the message.
    pub(super) fn new(endpoint: &str, error: etcd_client::Error) -> Self {
        use etcd_client::Error as E;
        match error {
            E::GRpcStatus(status) => Self::from_status(endpoint, &status),
            E::TransportError(error) => Self::from_sources(endpoint, &error),
            E::InvalidArgs(_) | E::InvalidUri(_) | E::InvalidMetadataValue(_) => {
                Self::refused(StoreError::Invalid(format!("{endpoint}: {error}")))
            }
            // Streams that were closed, and what is not known.
            other => Self::unreachable(StoreError::Unknown(format!("{endpoint}: {other}"))),
        }
    }

    fn from_status(endpoint: &str, status: &Status) -> Self {
        // A status that etcd sent has no source; the others were made here, of what happened to the connection.
        match status.source() {
            Some(source) => Self::from_sources(endpoint, source),
            None => Self::from_reply(endpoint, status.code(), status.message()),
        }
    }

    fn from_sources(endpoint: &str, error: &(dyn std::error::Error + 'static)) -> Self {
        let mut message = endpoint.to_owned();
        let mut last = String::new();
        let mut next = Some(error);
        while let Some(error) = next {
            match error.downcast_ref() {
                Some(ConnectFailure::Unreachable(why)) => {
                    return Self::unreachable(StoreError::Unavailable(format!("{endpoint}: {why}")));
                }
                Some(ConnectFailure::Tls(why)) => {
                    return Self::unreachable(StoreError::Tls(format!("{endpoint}: {why}")));
                }
                None => {}
            }
            let text = error.to_string();
            if text != last {
                message = format!("{message}: {text}");
                last = text;
            }
            next = error.source();
        }
        Self::unreachable(StoreError::Unknown(message))
    }

    /// Reads what etcd itself answered: the code and text of an error, or why it canceled a watch.
    pub(super) fn from_reply(endpoint: &str, code: Code, message: &str) -> Self {
        // Watches are told of errors in this form.
        let message = message
            .strip_prefix("rpc error: code = ")
            .and_then(|rest| rest.split_once(" desc = "))
            .map_or(message, |(_, message)| message);
        let text = format!("{endpoint}: {message}");
        let of_etcd = message.strip_prefix("etcdserver: ").unwrap_or_default();
        match of_etcd {
            "no leader" | "too many requests" | "not capable" => {
                return Self::unreachable(StoreError::Unavailable(text));
            }
            "requested lease not found" => return Self::refused(StoreError::LeaseNotFound),
            "mvcc: database space exceeded" => return Self::refused(StoreError::NoSpace(text)),
            "request is too large" | "too many operations in txn request" => {
                return Self::refused(StoreError::TooLarge(text));
            }
            "invalid auth token" | "revision of auth store is old" | "user name is empty" => {
                return Self { is_login_stale: true, ..Self::refused(StoreError::Auth(text)) };
            }
            "permission denied" => return Self::refused(StoreError::Permission(text)),
            "root user does not have root role"
            | "user name not found"
            | "authentication failed, invalid user ID or password"
            | "authentication is not enabled" => return Self::refused(StoreError::Auth(text)),
            _ => {}
        }
        // Its own raft would not take it.
        if message == "raft proposal dropped" {
            return Self::unreachable(StoreError::Unavailable(text));
        }
        match code {
            Code::Unauthenticated => Self { is_login_stale: true, ..Self::refused(StoreError::Auth(text)) },
            Code::PermissionDenied => Self::refused(StoreError::Permission(text)),
            Code::Unimplemented => Self::refused(StoreError::Invalid(text)),
            Code::InvalidArgument
            | Code::FailedPrecondition
            | Code::OutOfRange
            | Code::NotFound
            | Code::AlreadyExists
                if !of_etcd.is_empty() =>
            {
                Self::refused(StoreError::Invalid(text))
            }
            Code::ResourceExhausted if message.starts_with("grpc: received message larger") => {
                Self::refused(StoreError::TooLarge(text))
            }
            // "request timed out", "server stopped", "leader changed", and what is not known: it may be done yet.
            _ => Self::unreachable(StoreError::Unknown(text)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(code: Code, message: &str) -> Failure {
        Failure::new("e:1", Status::new(code, message).into())
    }

    #[test]
    fn refusals_before_the_proposal_are_certain() {
        for (code, message) in [
            (Code::Unavailable, "etcdserver: no leader"),
            (Code::ResourceExhausted, "etcdserver: too many requests"),
            (Code::Unknown, "raft proposal dropped"),
        ] {
            let failure = reply(code, message);
            assert!(matches!(failure.error, StoreError::Unavailable(_)), "{failure:?}");
            assert!(failure.may_try_another());
        }
    }

    #[test]
    fn what_may_have_been_proposed_is_unknown_and_not_repeated() {
        for (code, message) in [
            (Code::Unavailable, "etcdserver: request timed out"),
            (Code::Unavailable, "etcdserver: request timed out, possibly due to previous leader failure"),
            (Code::Unavailable, "etcdserver: server stopped"),
            (Code::Unavailable, "etcdserver: leader changed"),
            (Code::Unavailable, "grpc-status header missing, mapped from HTTP status code 503"),
            (Code::Unknown, "context canceled"),
            (Code::DeadlineExceeded, "context deadline exceeded"),
            (Code::Internal, "h2 protocol error"),
            (Code::ResourceExhausted, "something else"),
            (Code::OutOfRange, "decoded message length too large"),
        ] {
            let failure = reply(code, message);
            assert!(matches!(failure.error, StoreError::Unknown(_)), "{failure:?}");
            assert!(failure.is_endpoint_fault && !failure.may_try_another());
        }
    }

    #[test]
    fn tokens_that_died_ask_for_a_new_login() {
        for (code, message) in [
            (Code::Unauthenticated, "etcdserver: invalid auth token"),
            (Code::InvalidArgument, "etcdserver: revision of auth store is old"),
            (Code::InvalidArgument, "etcdserver: user name is empty"),
        ] {
            let failure = reply(code, message);
            assert!(failure.is_login_stale && !failure.is_endpoint_fault, "{failure:?}");
            assert!(matches!(failure.error, StoreError::Auth(_)));
        }
        let wrong = "etcdserver: authentication failed, invalid user ID or password";
        assert!(!reply(Code::InvalidArgument, wrong).is_login_stale);
    }

    #[test]
    fn refusals_say_what_they_are() {
        let denied = reply(Code::PermissionDenied, "etcdserver: permission denied").error;
        assert!(matches!(denied, StoreError::Permission(_)));
        let full = reply(Code::ResourceExhausted, "etcdserver: mvcc: database space exceeded").error;
        assert!(matches!(full, StoreError::NoSpace(_)));
        let gone = reply(Code::NotFound, "etcdserver: requested lease not found").error;
        assert_eq!(gone, StoreError::LeaseNotFound);
        let twice = reply(Code::InvalidArgument, "etcdserver: duplicate key given in txn request").error;
        assert!(matches!(twice, StoreError::Invalid(_)));
        for (code, message) in [
            (Code::InvalidArgument, "etcdserver: request is too large"),
            (Code::InvalidArgument, "etcdserver: too many operations in txn request"),
            (Code::ResourceExhausted, "grpc: received message larger than max (2000000 vs. 1048576)"),
        ] {
            let large = reply(code, message).error;
            assert!(matches!(large, StoreError::TooLarge(_)), "{large:?}");
        }
    }
}
