//! What to do about what the store says: the keys concerned, and what to set them to.

use coordha::error::ErrorKind;

/// What to do where the message does not say it itself.
pub(crate) fn advice(kind: ErrorKind, message: &str) -> Option<&'static str> {
    let says = |words: &[&str]| words.iter().any(|word| message.contains(word));
    Some(match kind {
        ErrorKind::Auth if says(&["user name is empty"]) => {
            "etcd asks for a user: set store.etcd.user and store.etcd.password"
        }
        ErrorKind::Auth => "set store.etcd.user and store.etcd.password to a user that etcd knows, and its password",
        ErrorKind::Permission => {
            "grant the user of store.etcd.user readwrite on the prefix of root (etcdctl role grant-permission --prefix)"
        }
        ErrorKind::Tls => tls(&says),
        ErrorKind::NoSpace => "compact and defragment, then disarm the alarm (etcdctl alarm disarm)",
        ErrorKind::Corrupt => "restore that member, or the cluster, from a backup",
        // What a local store says is whole.
        ErrorKind::Unavailable if !message.starts_with("local:") => reach(&says),
        _ => return None,
    })
}

fn tls(says: &dyn Fn(&[&str]) -> bool) -> &'static str {
    if says(&["NotValidForName", "not valid for name"]) {
        "name the host in store.url, or store.etcd.tls.server_name, as etcd's certificate does"
    } else if says(&["Expired", "expired", "NotValidYet", "not valid yet"]) {
        "etcd's certificate, or the client's in store.etcd.tls.cert, is out of its time: renew it, or set the clock"
    } else if says(&["invalid peer certificate"]) {
        "set store.etcd.tls.ca to the authority that signed etcd's certificate"
    } else if says(&["ProtocolVersion", "protocol version"]) {
        "set store.etcd.tls.min_version to one that etcd offers"
    } else if says(&["alert"]) {
        "etcd refuses the client: set store.etcd.tls.cert and store.etcd.tls.key to a certificate that etcd trusts"
    } else if says(&["corrupt message", "InvalidContentType", "InvalidMessage", "eof"]) {
        "what answers speaks no TLS: check the port in store.url, or set store.etcd.tls.enabled to false"
    } else {
        "check store.etcd.tls.ca, store.etcd.tls.cert and store.etcd.tls.key"
    }
}

fn reach(says: &dyn Fn(&[&str]) -> bool) -> &'static str {
    if says(&["lookup address", "refused", "unreachable", "no connection within"]) {
        "check store.url, the network and that etcd runs there"
    } else if says(&["transport error", "http2", "HTTP status"]) {
        "check that store.url names etcd's client port; where that wants TLS, set store.etcd.tls.enabled"
    } else if says(&["no answer within", "no login within"]) {
        "check that store.url names etcd's client port, and that etcd has a leader"
    } else {
        "check store.url, the network and that etcd runs there"
    }
}
