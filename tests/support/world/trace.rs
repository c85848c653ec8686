//! The lines of a trace: what travels, in few words.

use coordha::election::{Reply, StoreRequest};
use coordha::kv::{KeyValue, Op, OpReply, WatchEvent, WatchItem};
use serde_json::Value;

/// A key's last part.
fn name(key: &[u8]) -> String {
    let text = String::from_utf8_lossy(key);
    text.rsplit('/').next().unwrap_or_default().to_owned()
}

/// A value in few words: the term record by its state, a session's record by its server ID.
fn value(text: &[u8]) -> String {
    let Ok(Value::Object(object)) = serde_json::from_slice(text) else {
        return format!("{:?}", String::from_utf8_lossy(text));
    };
    let field = |name: &str| object.get(name).map(Value::to_string).unwrap_or_default();
    if object.contains_key("State") {
        format!("{} token {} of #{}", field("State"), field("Token"), field("ServerID"))
    } else {
        format!("#{}", field("ServerID"))
    }
}

fn pair(kv: &KeyValue) -> String {
    let lease = if kv.lease == 0 { String::new() } else { format!(" lease {}", kv.lease) };
    format!("{}={}@{}{lease}", name(&kv.key), value(&kv.value), kv.mod_revision)
}

pub(crate) fn request(request: &StoreRequest) -> String {
    let txn = match request {
        StoreRequest::Txn(txn) => txn,
        StoreRequest::First { key } => return format!("first event of {}", name(key)),
        other => return format!("{other:?}"),
    };
    let compares = txn.compares.iter().map(|c| format!("{} {:?}", name(&c.key), c.target));
    let writes = txn.success.iter().filter_map(|op| match op {
        Op::Put { key, value: text, .. } => Some(format!("{}={}", name(key), value(text))),
        Op::Delete(range) => Some(format!("delete {}", name(&range.start))),
        Op::Range { .. } => None,
    });
    let (compares, writes): (Vec<_>, Vec<_>) = (compares.collect(), writes.collect());
    format!("if [{}] then [{}]", compares.join(", "), writes.join(", "))
}

pub(crate) fn reply(reply: &Reply) -> String {
    let Reply::Txn(Ok(txn)) = reply else {
        return format!("{reply:?}");
    };
    let reads = txn.replies.iter().filter_map(|reply| match reply {
        OpReply::Range { kvs, .. } => Some(kvs.iter().map(pair).collect::<Vec<_>>().join(", ")),
        _ => None,
    });
    let (reads, done) = (reads.collect::<Vec<_>>(), if txn.succeeded { "done" } else { "refused" });
    format!("{done} at {} {}", txn.revision, reads.join("; "))
}

pub(crate) fn item(item: &WatchItem) -> String {
    let WatchItem::Events(events) = item else {
        return format!("{item:?}");
    };
    let shown = events.iter().map(|event| match event {
        WatchEvent::Put(kv) => pair(kv),
        WatchEvent::Delete { key, revision } => format!("{} deleted@{revision}", name(key)),
    });
    shown.collect::<Vec<_>>().join(", ")
}
