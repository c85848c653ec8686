//! How the store fares.

use std::collections::BTreeSet;

use coordha::config::{Config, keys};
use coordha::error::ErrorKind;
use coordha::inspect::{Endpoint, Health, MemberStatus};
use semver::Version;

use super::bugs::BUGS;
use super::finding::{Finding, bad, ok, warn};
use crate::advice::advice;
use crate::words;

/// Above this many revisions the database of an etcd that never compacts grows noticeably.
const MANY_REVISIONS: i64 = 100_000;
/// How full a database may be, in percent of its quota.
const FULL: i64 = 80;

/// What the store says to a request that it should have answered.
pub(super) fn failed(check: &'static str, kind: ErrorKind, message: &str) -> Finding {
    bad(check, message, advice(kind, message).unwrap_or("see the log of etcd"))
}

/// Endpoints, members, versions, alarms; nothing for a store that is no etcd.
pub(super) fn health(health: &Health, config: &Config) -> Vec<Finding> {
    if health.endpoints.is_empty() {
        return vec![ok("store", "a directory of this host: there is no server to look at")];
    }
    let up: Vec<&MemberStatus> = health.endpoints.iter().filter_map(|endpoint| endpoint.status.as_ref()).collect();
    let mut findings: Vec<Finding> = health.endpoints.iter().map(|one| endpoint(one, !up.is_empty())).collect();
    if up.is_empty() {
        return findings;
    }
    findings.push(safety(config));
    findings.push(cluster(health, &up));
    findings.push(leader(&up));
    findings.extend(alarms(health));
    findings.extend(up.iter().filter_map(|status| space(status)));
    findings.extend(versions(&up));
    findings
}

fn endpoint(endpoint: &Endpoint, others_answer: bool) -> Finding {
    let name = &endpoint.endpoint;
    let Some(status) = &endpoint.status else {
        let is_silent = ["no answer within", "no login within", "no connection within", "timed out"];
        if others_answer && is_silent.iter().any(|words| endpoint.why.contains(words)) {
            return bad(
                "endpoint",
                &endpoint.why,
                "others answer: see whether that member, or its host, hangs or is cut off",
            );
        }
        let kind = ErrorKind::ALL.iter().find(|kind| Some(kind.name()) == endpoint.error);
        return failed("endpoint", kind.copied().unwrap_or(ErrorKind::Unavailable), &endpoint.why);
    };
    let text = format!("{name} answers: etcd {}, {} ms", status.version, endpoint.took_ms);
    let lag = status.raft_index.saturating_sub(status.raft_applied);
    if !status.errors.is_empty() {
        return warn(
            "endpoint",
            format!("{text}; it says: {}", status.errors.join("; ")),
            "see the log of that member, and restart it where that does not help",
        );
    }
    if lag > 1000 {
        return warn(
            "endpoint",
            format!("{text}; it lags {lag} entries behind its log"),
            "give it a faster disk, or take load from it",
        );
    }
    ok("endpoint", text)
}

/// What protects the connection.
fn safety(config: &Config) -> Finding {
    let is_on = config.get(keys::STORE_ETCD_TLS_ENABLED).as_deref() == Some("true");
    let user = config.get(keys::STORE_ETCD_USER).filter(|user| !user.is_empty());
    let cert = config.get(keys::STORE_ETCD_TLS_CERT).filter(|cert| !cert.is_empty());
    let who = match (&user, &cert) {
        (Some(user), _) => format!("user {user}"),
        (None, Some(_)) if is_on => "a client certificate".to_owned(),
        _ => "no user".to_owned(),
    };
    let url = config.get(keys::STORE_URL).unwrap_or_default();
    let is_remote = !["localhost:", "127.0.0.1:", "[::1]:"].iter().any(|host| url.contains(host));
    match (is_on, user) {
        (true, _) => ok("safety", format!("TLS, {who}")),
        (false, Some(_)) if is_remote => warn(
            "safety",
            format!("no TLS, {who}: the password goes over the network in plain text"),
            "set store.etcd.tls.enabled and store.etcd.tls.ca",
        ),
        (false, _) => ok("safety", format!("no TLS, {who}")),
    }
}

fn cluster(health: &Health, up: &[&MemberStatus]) -> Finding {
    let clusters: BTreeSet<u64> = up.iter().map(|status| status.cluster_id).collect();
    if clusters.len() > 1 {
        let text = format!("the endpoints belong to {} clusters: two holders at a time are possible", clusters.len());
        return bad("cluster", text, "name the endpoints of one cluster in store.url");
    }
    let members = health.members.len();
    let text =
        format!("{}, {} configured", words::count(members, "member"), words::count(health.endpoints.len(), "endpoint"));
    if let Some(learner) = up.iter().find(|status| status.is_learner) {
        let text = format!("{text}; member {:x} is a learner", learner.member_id);
        return warn("cluster", text, "promote it, or take its endpoint out of store.url");
    }
    match members {
        0 => warn(
            "cluster",
            "the cluster does not list its members",
            "grant the user of store.etcd.user the role root, or look as root",
        ),
        1 => warn("cluster", text, "run three: the restart of one alone is an outage, and its disk the only copy"),
        members if members % 2 == 0 => warn(
            "cluster",
            text,
            "add one or take one away: an even number survives no more losses than one member less",
        ),
        members if health.endpoints.len() < members => {
            warn("cluster", text, "name all members in store.url, or the loss of those named cuts the sessions off")
        }
        _ => ok("cluster", text),
    }
}

fn leader(up: &[&MemberStatus]) -> Finding {
    let leaders: BTreeSet<u64> = up.iter().map(|status| status.leader_id).collect();
    let newest = up.iter().max_by_key(|status| status.raft_term);
    match newest {
        _ if leaders.contains(&0) => bad(
            "leader",
            "a member knows no leader",
            "fewer than half of the members can talk to each other: see their logs",
        ),
        Some(newest) if leaders.len() == 1 => {
            ok("leader", format!("all agree on member {:x}, term {}", newest.leader_id, newest.raft_term))
        }
        _ => {
            warn("leader", "the members name different leaders", "an election may be under way: look again in a moment")
        }
    }
}

fn alarms(health: &Health) -> Vec<Finding> {
    let Some(alarms) = &health.alarms else {
        return vec![warn("alarms", "the alarms cannot be read", "look as a user with the role root")];
    };
    if alarms.is_empty() {
        return vec![ok("alarms", "none")];
    }
    let finding = |alarm: &coordha::inspect::Alarm| {
        let is_full = alarm.alarm == "NOSPACE";
        let what = if is_full {
            "etcd is full: renewals fail, and the active one ends in time"
        } else {
            "its data is damaged"
        };
        let kind = if is_full { ErrorKind::NoSpace } else { ErrorKind::Corrupt };
        failed("alarms", kind, &format!("{} of member {:x}: {what}", alarm.alarm, alarm.member_id))
    };
    alarms.iter().map(finding).collect()
}

fn space(status: &MemberStatus) -> Option<Finding> {
    let is_full = status.quota_bytes > 0 && status.db_bytes > status.quota_bytes / 100 * FULL;
    is_full.then(|| {
        let (size, quota) = (words::bytes(status.db_bytes), words::bytes(status.quota_bytes));
        let text = format!("the database of member {:x} has {size} of {quota}", status.member_id);
        warn("space", text, "compact and defragment, or raise --quota-backend-bytes")
    })
}

fn versions(up: &[&MemberStatus]) -> Vec<Finding> {
    let versions: BTreeSet<&str> = up.iter().map(|status| status.version.as_str()).collect();
    let mut findings = Vec::new();
    for text in &versions {
        let Ok(version) = Version::parse(text) else {
            findings.push(warn("version", format!("{text:?} is no version"), "check that store.url names an etcd"));
            continue;
        };
        let found: Vec<_> = BUGS.iter().filter(|bug| bug.is_in(&version)).collect();
        if found.is_empty() {
            findings.push(ok("version", format!("{text} has no defect that is known here")));
        }
        findings.extend(found.iter().map(|bug| {
            let finding = if bug.is_grave { bad } else { warn };
            finding(
                "version",
                format!("{text}: {}", bug.what),
                format!("upgrade etcd: fixed in {} and what follows", bug.cure()),
            )
        }));
    }
    if versions.len() > 1 {
        let all: Vec<_> = versions.into_iter().collect();
        findings.push(warn("version", format!("the members run {}", all.join(", ")), "finish the upgrade"));
    }
    findings
}

/// How much of the past the store still has.
pub(super) fn compaction(compacted: Option<i64>, revision: i64) -> Finding {
    match compacted {
        None => warn(
            "compaction",
            "what was compacted cannot be learned",
            "grant the user of store.etcd.user read on the prefix of root",
        ),
        Some(1) if revision > MANY_REVISIONS => warn(
            "compaction",
            format!("nothing was ever compacted in {revision} revisions: the database grows until it is full"),
            "set --auto-compaction-mode and --auto-compaction-retention of etcd",
        ),
        Some(1) => ok("compaction", format!("nothing was compacted in {revision} revisions")),
        Some(lowest) => {
            ok("compaction", format!("the last {} revisions can be watched; fewer do no harm", revision - lowest))
        }
    }
}
