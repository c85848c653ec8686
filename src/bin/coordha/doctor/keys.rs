//! What is wrong with the keys below the root.

use std::collections::{BTreeMap, BTreeSet};

use coordha::inspect::{Kind, OLD_ROLES, SessionView, Snapshot};
use semver::Version;

use super::finding::{Finding, Level, bad, ok, warn};
use crate::ids;
use crate::words::{count, seconds};

/// Clients of a mixed coordinator skip records below this.
const MIXCOORD_CLIENTS: Version = Version::new(2, 6, 0);

/// All checks; those of a role for that role alone, where one is named.
pub(super) fn check(snapshot: &Snapshot, role: Option<&str>) -> Vec<Finding> {
    let all = snapshot.sessions();
    let sessions: Vec<SessionView> =
        all.iter().filter(|session| role.is_none_or(|role| session.role == role)).cloned().collect();
    let mut findings = strangers(snapshot);
    findings.extend(leases(&sessions));
    findings.extend(names(&snapshot.role_names()));
    findings.extend(old_roles(&all));
    findings.extend(index_coordinator(&all));
    findings.extend(versions(&sessions));
    findings.extend(hosts(&sessions));
    findings.extend(ids::problems(snapshot).into_iter().map(|(text, advice)| bad("ids", text, advice)));
    if !findings.iter().any(|finding| finding.level != Level::Ok) {
        let roles = count(snapshot.role_names().len(), "role");
        findings.push(ok("keys", format!("{roles}, {}: all can be read", count(all.len(), "record"))));
    }
    findings
}

fn strangers(snapshot: &Snapshot) -> Vec<Finding> {
    let sessions = snapshot.sessions();
    let members =
        sessions.iter().filter(|session| session.kind == Kind::Milvus && !session.is_active && session.lease != 0);
    let held: BTreeMap<&str, i64> =
        members.filter_map(|member| Some((member.key.rsplit_once('-')?.0, member.server_id))).collect();
    let finding = |stranger: &coordha::inspect::Stranger| {
        let text = format!("{}: {}", stranger.key, stranger.why);
        if stranger.key.contains("/ha/") {
            return warn(
                "keys",
                text,
                "leave it, or delete it: it counts as vacant, so a standby waits once, and writes it anew",
            );
        }
        if let Some(member) = held.get(stranger.key.as_str()) {
            let advice = "it was written over: a Milvus process that held the role has not noticed, and may still act. End that first \
                          (server ID";
            return bad("keys", text, format!("{advice} {member} is registered), then delete the key"));
        }
        bad("keys", text, "delete it, unless a program needs it: Milvus cannot list a role whose name begins its key")
    };
    snapshot.strangers().iter().map(finding).collect()
}

fn leases(sessions: &[SessionView]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for session in sessions {
        let key = &session.key;
        if session.lease == 0 {
            let advice =
                "somebody else wrote it: it stays when its session goes. Delete it once that session has ended";
            let finding = if session.is_active { bad } else { warn };
            findings.push(finding("leases", format!("{key} has no lease"), advice));
        } else if session.record_lease != 0 && session.record_lease != session.lease {
            let text = format!("{key} goes with lease {:x}; its record says {:x}", session.lease, session.record_lease);
            findings.push(warn(
                "leases",
                text,
                "restart that session: Milvus's ForceActiveStandby would revoke the lease in the record, another session's",
            ));
        }
        let granted = session.lease_left.map(|lease| lease.granted_ms).filter(|granted| *granted > 0);
        if let (Some(hold), Some(granted)) = (session.hold_ms, granted)
            && hold * 10 > granted * 8
        {
            let text = format!("{key}: hold time {}, lease {}", seconds(hold), seconds(granted));
            findings.push(warn("leases", text, "a session acts for 0.8 of its lease at most: raise lease.ttl_ms"));
        }
    }
    findings
}

/// Who lists a role by the bare name sees the keys of a longer one.
fn names(roles: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for short in roles {
        for long in roles.iter().filter(|long| *long != short && long.starts_with(short.as_str())) {
            findings.push(warn(
                "names",
                format!("role {long} begins with the name of role {short}"),
                "Milvus and etcdctl --prefix list both as one; this library tells them apart. Use another name beside Milvus",
            ));
        }
    }
    findings
}

/// One key there stops every mixed coordinator of Milvus 2.6; an active key ours, too.
pub(super) fn old_roles(sessions: &[SessionView]) -> Vec<Finding> {
    let mixed = |kind| sessions.iter().any(|session| session.role == "mixcoord" && session.kind == kind);
    let (milvus, ours) = (mixed(Kind::Milvus), mixed(Kind::Coordha));
    let is_old = |session: &&SessionView| {
        let is_listed = OLD_ROLES.iter().any(|old| session.role.starts_with(old));
        let is_active = session.is_active && OLD_ROLES.contains(&session.role.as_str());
        let in_the_way = milvus && is_listed || ours && is_active;
        in_the_way && session.copied_from(sessions).is_none()
    };
    let finding = |session: &SessionView| {
        let text = format!("{}: beside a mixcoord, which waits for ever while it is there", session.key);
        let advice = match session.kind {
            Kind::Coordha => "stop that session: with Milvus 2.6 and later the only role to share is mixcoord",
            Kind::Milvus => "stop that coordinator; where nothing of it acts any more, delete the key",
        };
        bad("roles", text, advice)
    };
    sessions.iter().filter(is_old).map(finding).collect()
}

/// From 2.3 to 2.5 a data coordinator takes the index coordinator's role by force.
fn index_coordinator(sessions: &[SessionView]) -> Vec<Finding> {
    let takes = |session: &&SessionView| {
        let version = Version::parse(&session.version);
        session.role == "datacoord"
            && session.kind == Kind::Milvus
            && version.is_ok_and(|version| version.major == 2 && (3..=5).contains(&version.minor))
    };
    let Some(milvus) = sessions.iter().find(takes) else { return Vec::new() };
    let ours = sessions.iter().filter(|session| session.role == "indexcoord" && session.kind == Kind::Coordha);
    ours.map(|session| {
        let text = format!("{}: the datacoord of Milvus {} takes this role by force", session.key, milvus.version);
        bad("roles", text, "never stand as indexcoord beside Milvus 2.3 to 2.5")
    })
    .collect()
}

fn versions(sessions: &[SessionView]) -> Vec<Finding> {
    let is_old = |session: &&SessionView| {
        let version = Version::parse(&session.version);
        let old = version
            .map_or(true, |version| Version::new(version.major, version.minor, version.patch) < MIXCOORD_CLIENTS);
        session.role == "mixcoord" && old
    };
    let old = sessions.iter().filter(is_old);
    old.map(|session| {
        let text = format!("{}: Version {:?} is below 2.6.0-dev", session.key, session.version);
        bad("versions", text, "Milvus's clients skip it and find no mixcoord: set record.version")
    })
    .collect()
}

fn hosts(sessions: &[SessionView]) -> Vec<Finding> {
    let mut roles: BTreeMap<&str, (BTreeSet<i64>, BTreeSet<&str>)> = BTreeMap::new();
    for session in sessions.iter().filter(|session| session.hold_ms.is_some() && !session.host_name.is_empty()) {
        let (ids, hosts) = roles.entry(&session.role).or_default();
        ids.insert(session.server_id);
        hosts.insert(&session.host_name);
    }
    let alone = roles.iter().filter(|(_, (ids, hosts))| ids.len() > 1 && hosts.len() == 1);
    alone
        .map(|(role, (ids, hosts))| {
            let host = hosts.iter().next().copied().unwrap_or_default();
            let text = format!("all {} sessions of {role} are on host {host}", ids.len());
            warn("hosts", text, "the loss of that host is the loss of the role: put one on another host")
        })
        .collect()
}
