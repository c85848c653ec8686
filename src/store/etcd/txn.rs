//! Reads and transactions.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use etcd_client::{
    AlarmAction, AlarmType, CompareOp, DeleteOptions, GetOptions, GetResponse, PutOptions, ResponseHeader, TxnOp,
    TxnOpResponse, TxnResponse,
};

use super::connect::{Access, Pool};
use super::error::Failure;
use crate::kv::{Compare, KeyRange, KeyValue, Op, OpReply, RangeReply, Revision, StoreError, Target, Txn, TxnReply};

/// Reads, linearizable.
pub(super) async fn range(
    pool: &Arc<Pool>,
    range: KeyRange,
    max: i64,
    limit: Duration,
) -> Result<RangeReply, StoreError> {
    let (key, end) = bounds(&range)?;
    pool.ask(limit, |access: Access| {
        let (key, options) = (key.clone(), get_options(end.clone(), max));
        async move {
            let reply = access.login.kv.clone().get(key, Some(options)).await;
            let mut reply = reply.map_err(|error| access.failure(error))?;
            let revision = revision(&access, reply.header())?;
            let more = reply.more();
            Ok(RangeReply { revision, kvs: key_values(&mut reply), more })
        }
    })
    .await
}

/// Does a transaction.
pub(super) async fn txn(pool: &Arc<Pool>, txn: Txn, limit: Duration) -> Result<TxnReply, StoreError> {
    let request = request(&txn)?;
    let ops = || [&txn.success, &txn.failure].into_iter().flatten();
    let puts = ops().any(|op| matches!(op, Op::Put { .. }));
    let send = |access: Access| {
        let request = request.clone();
        async move {
            let was_full = access.pool.is_full.load(Ordering::Relaxed);
            match access.login.kv.clone().txn(request).await {
                Ok(reply) => {
                    if puts && was_full {
                        access.pool.is_full.store(false, Ordering::Relaxed);
                    }
                    read_reply(&access, &reply)
                }
                Err(error) => match access.failure(error) {
                    Failure { error: StoreError::NoSpace(why), .. } if !was_full => {
                        Err(first_no_space(&access, why).await)
                    }
                    failure => Err(failure),
                },
            }
        }
    };
    if ops().all(|op| matches!(op, Op::Range { .. })) {
        pool.ask(limit, send).await
    } else {
        pool.call(limit, send).await
    }
}

/// etcd may do the very transaction that crosses the limit, and answer "no space" nevertheless: only where the alarm was
/// on before the request was sent, nothing of it was done.
async fn first_no_space(access: &Access, why: String) -> Failure {
    let mut maintenance = access.login.maintenance.clone();
    let alarms = maintenance.alarm(AlarmAction::Get, AlarmType::Nospace, None).await;
    if alarms.is_ok_and(|alarms| !alarms.alarms().is_empty()) {
        access.pool.is_full.store(true, Ordering::Relaxed);
    }
    Failure::refused(StoreError::Unknown(why))
}

/// Checks, and translates for etcd.
fn request(txn: &Txn) -> Result<etcd_client::Txn, StoreError> {
    if txn.success.is_empty() && txn.failure.is_empty() {
        // etcd would answer it from what one member happens to know.
        let message = "a transaction with neither a write nor a read in it";
        return Err(StoreError::Invalid(message.into()));
    }
    let branch = |ops: &[Op]| ops.iter().map(op).collect::<Result<Vec<_>, _>>();
    let compares: Vec<_> = txn.compares.iter().map(compare).collect();
    Ok(etcd_client::Txn::new().when(compares).and_then(branch(&txn.success)?).or_else(branch(&txn.failure)?))
}

fn compare(compare: &Compare) -> etcd_client::Compare {
    use etcd_client::Compare as C;
    let key = compare.key.clone();
    match &compare.target {
        Target::ModRevision(revision) => C::mod_revision(key, CompareOp::Equal, *revision),
        Target::CreateRevision(revision) => C::create_revision(key, CompareOp::Equal, *revision),
        Target::Version(version) => C::version(key, CompareOp::Equal, *version),
        Target::Value(value) => C::value(key, CompareOp::Equal, value.clone()),
    }
}

fn op(op: &Op) -> Result<TxnOp, StoreError> {
    Ok(match op {
        Op::Put { key, value, lease } => {
            let options = PutOptions::new().with_lease(*lease);
            TxnOp::put(key.clone(), value.clone(), Some(options))
        }
        Op::Delete(range) => {
            let (key, end) = bounds(range)?;
            let options = end.map(|end| DeleteOptions::new().with_range(end));
            TxnOp::delete(key, options)
        }
        Op::Range { range, limit } => {
            let (key, end) = bounds(range)?;
            TxnOp::get(key, Some(get_options(end, *limit)))
        }
    })
}

fn get_options(end: Option<Vec<u8>>, limit: i64) -> GetOptions {
    let options = GetOptions::new().with_limit(limit);
    match end {
        Some(end) => options.with_range(end),
        None => options,
    }
}

/// Key and end of a range in etcd's way, where no key is empty and an empty end would mean a single key.
pub(super) fn bounds(range: &KeyRange) -> Result<(Vec<u8>, Option<Vec<u8>>), StoreError> {
    match &range.end {
        Some(end) if end.is_empty() => Err(StoreError::Invalid(format!("a range with an empty end: {range:?}"))),
        Some(end) if range.start.is_empty() => Ok((b"\0".to_vec(), Some(end.clone()))),
        end => Ok((range.start.clone(), end.clone())),
    }
}

fn read_reply(access: &Access, reply: &TxnResponse) -> Result<TxnReply, Failure> {
    // The client panics where an answer is empty, which no etcd sends.
    let answers = catch_unwind(AssertUnwindSafe(|| reply.op_responses()));
    let replies = answers.ok().and_then(|answers| answers.into_iter().map(op_reply).collect::<Option<_>>());
    let Some(replies) = replies else {
        return Err(nonsense(access, "an answer to no operation"));
    };
    Ok(TxnReply { revision: revision(access, reply.header())?, succeeded: reply.succeeded(), replies })
}

fn op_reply(answer: TxnOpResponse) -> Option<OpReply> {
    Some(match answer {
        TxnOpResponse::Put(_) => OpReply::Put,
        TxnOpResponse::Delete(reply) => OpReply::Delete { deleted: reply.deleted() },
        TxnOpResponse::Get(mut reply) => OpReply::Range { more: reply.more(), kvs: key_values(&mut reply) },
        TxnOpResponse::Txn(_) => return None,
    })
}

fn key_values(reply: &mut GetResponse) -> Vec<KeyValue> {
    reply.take_kvs().into_iter().map(key_value).collect()
}

pub(super) fn key_value(kv: etcd_client::KeyValue) -> KeyValue {
    let (create_revision, mod_revision) = (kv.create_revision(), kv.mod_revision());
    let (version, lease) = (kv.version(), kv.lease());
    let (key, value) = kv.into_key_value();
    KeyValue { key, value, create_revision, mod_revision, version, lease }
}

fn revision(access: &Access, header: Option<&ResponseHeader>) -> Result<Revision, Failure> {
    match header {
        Some(header) if header.revision() > 0 => Ok(header.revision()),
        _ => Err(nonsense(access, "an answer without a revision")),
    }
}

/// The server is no etcd, or broken: whatever was asked may have been done.
fn nonsense(access: &Access, what: &str) -> Failure {
    let message = format!("{}: {what}", access.endpoint.name);
    Failure::unreachable(StoreError::Unknown(message))
}
