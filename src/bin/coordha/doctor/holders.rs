//! Whether each role that has standbys has somebody active, and whether it can be known of a Milvus process that it lives.

use coordha::inspect::{Inspector, Kind, RoleView, SessionView, Snapshot, StandbyView, Standing, Update};
use tokio::time::{Instant, timeout_at};

use super::finding::{Finding, bad, warn};
use crate::words;

fn roles(snapshot: &Snapshot, role: Option<&str>) -> Vec<RoleView> {
    role.map_or_else(|| snapshot.roles(), |role| vec![snapshot.role(role)])
}

fn is_bound(session: &SessionView) -> bool {
    session.lease != 0 && session.lease_left.is_none_or(|lease| lease.granted_ms > 0)
}

/// Nobody is active, though somebody stands by.
fn is_vacant(role: &RoleView) -> bool {
    role.active.is_none() && role.standbys.iter().any(|standby| is_bound(&standby.session))
}

/// A role is free for a moment when it is taken over: where one is, waits for somebody to take it, within the limit of a request.
/// `None`: none was, or what there is now cannot be read.
pub(super) async fn look_again(inspector: &Inspector, snapshot: &Snapshot) -> Option<Snapshot> {
    let any_vacant = |snapshot: &Snapshot| roles(snapshot, inspector.role()).iter().any(is_vacant);
    if !any_vacant(snapshot) {
        return None;
    }
    let (mut follow, end) = (inspector.follow(), Instant::now() + inspector.limit());
    while let Ok(update) = timeout_at(end, follow.next()).await {
        match update {
            Update::Seen(snapshot) if any_vacant(&snapshot) => {}
            _ => break,
        }
    }
    super::read(inspector).await.ok().map(|(snapshot, _)| snapshot)
}

/// All checks, of a role alone where one is named.
pub(super) fn check(snapshot: &Snapshot, role: Option<&str>) -> Vec<Finding> {
    let (roles, sessions) = (roles(snapshot, role), snapshot.sessions());
    let has_old_keys = !super::keys::old_roles(&sessions).is_empty();
    let vacant = |role: &RoleView| vacant(role, has_old_keys && role.role == "mixcoord");
    let mut findings: Vec<Finding> = roles.iter().filter(|role| is_vacant(role)).map(vacant).collect();
    findings.extend(unregistered(&sessions, &roles));
    findings
}

fn vacant(role: &RoleView, has_old_keys: bool) -> Finding {
    // Who waits for another Milvus process is not in the way.
    let is_in_the_way = |standby: &&StandbyView| {
        let (session, standing) = (&standby.session, standby.chance.standing);
        session.kind == Kind::Milvus && is_bound(session) && standing != Standing::Waits
    };
    let milvus: Vec<_> = role.standbys.iter().filter(is_in_the_way).map(|standby| lease(&standby.session)).collect();
    // Ours that wait for time alone take the role when that is over; a Milvus standby would have taken it by now.
    let comes = |standby: &StandbyView| match standby.chance.standing {
        Standing::Now | Standing::Ready => true,
        Standing::Perhaps | Standing::Waits => standby.session.kind == Kind::Coordha && milvus.is_empty(),
        Standing::Blocked => false,
    };
    let told: Vec<String> = role.standbys.iter().map(said).collect();
    let text = format!("{}: nobody is active. {}", role.role, told.join("; "));
    if role.standbys.iter().any(comes) {
        return warn(
            "holder",
            text,
            "look again when that is over; where nobody is active then, see the log of the first that could win",
        );
    }
    if has_old_keys {
        return bad("holder", text, "see first to the keys of the old roles, above");
    }
    if milvus.is_empty() {
        return bad("holder", text, "mend what keeps each of them from it");
    }
    let revoke = milvus.join(", or ");
    let advice =
        format!("restart that Milvus process; or, where nothing of it acts any more, revoke its lease: {revoke}");
    bad("holder", text, advice)
}

fn said(standby: &StandbyView) -> String {
    let (session, chance) = (&standby.session, &standby.chance);
    let who = format!("{} (server ID {}, {})", session.address, session.server_id, session.kind.name());
    format!("{who} {}: {}", words::standing(chance.standing), chance.why)
}

fn lease(session: &SessionView) -> String {
    format!("etcdctl lease revoke {:x} (server ID {})", session.lease, session.server_id)
}

/// Of a Milvus holder the member key alone tells that it lives when its active key is gone.
fn unregistered(sessions: &[SessionView], roles: &[RoleView]) -> Vec<Finding> {
    let active = roles.iter().filter_map(|role| role.active.as_ref());
    let is_member = |of: &SessionView| {
        sessions
            .iter()
            .any(|session| !session.is_active && session.role == of.role && session.server_id == of.server_id)
    };
    let is_alone = |active: &&SessionView| {
        active.kind == Kind::Milvus && !is_member(active) && active.copied_from(sessions).is_none()
    };
    let alone = active.filter(is_alone);
    alone
        .map(|active| {
            let text = format!(
                "{}: the Milvus holder (server ID {}) has no member key: its standby is off, or the key was deleted",
                active.key, active.server_id
            );
            let advice = "turn its switch on, if a session of this library stands by for it: should its active key be deleted \
                          (birdwatcher's kill --component does that), nothing tells that it lives, and both act";
            warn("holder", text, advice)
        })
        .collect()
}
