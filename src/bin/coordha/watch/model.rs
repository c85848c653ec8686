//! What is known of the roles that are watched, and what has changed in them: without terminal, store or clock.

use std::collections::{BTreeMap, BTreeSet};

use coordha::inspect::{RoleView, SessionView, StandbyView, Standing, Tenure};
use serde::Serialize;

use super::words;

/// An instant: for what has passed, and for what is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Moment {
    /// On a clock that never goes back.
    pub(crate) mono_ms: u64,
    /// Since 1970.
    pub(crate) unix_ms: u64,
}

/// How an entry is to be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Weight {
    Good,
    News,
    Trouble,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Entry {
    #[serde(rename = "time_ms")]
    pub(crate) unix_ms: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) role: Option<String>,
    pub(crate) event: &'static str,
    pub(crate) weight: Weight,
    pub(crate) text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) server_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) address: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) token: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) holder: Option<&'static str>,
}

impl Entry {
    fn new(at: Moment, role: Option<&str>, event: &'static str, weight: Weight, text: impl Into<String>) -> Self {
        Self {
            unix_ms: at.unix_ms,
            role: role.map(str::to_owned),
            event,
            weight,
            text: text.into(),
            server_id: None,
            address: None,
            token: None,
            holder: None,
        }
    }

    fn of(mut self, session: &SessionView) -> Self {
        self.server_id = Some(session.server_id);
        self.address = Some(session.address.clone());
        self.holder = Some(session.kind.name());
        self.token = session.is_active.then_some(session.mod_revision);
        self
    }

    /// `14:05:09.120 rootcoord: …`
    pub(crate) fn line(&self) -> String {
        let role = self.role.as_ref().map_or(String::new(), |role| format!("{role}: "));
        format!("{} {role}{}", words::clock(self.unix_ms), self.text)
    }
}

/// A role that is watched.
#[derive(Clone, Debug)]
pub(crate) struct Watched {
    pub(crate) view: RoleView,
    /// When the newest renewal was seen.
    pub(crate) renewed: Moment,
    /// It was seen to come, and not only to be there.
    pub(crate) is_exact: bool,
    /// How much of the hold time had passed when that was told last: halves.
    told: u64,
}

impl Watched {
    /// How much of the hold time is left, of how much, in ms; `None`: there is none.
    pub(crate) fn hold_left(&self, now: Moment) -> Option<(u64, u64)> {
        let term = self.view.held()?;
        let passed = now.mono_ms.saturating_sub(self.renewed.mono_ms);
        Some((term.hold_ms.saturating_sub(passed), term.hold_ms))
    }
}

/// All that is watched.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    pub(crate) roles: BTreeMap<String, Watched>,
    pub(crate) revision: i64,
    /// Why the store does not answer.
    pub(crate) trouble: Option<String>,
}

impl Model {
    /// Takes in what is there now.
    pub(crate) fn see(&mut self, revision: i64, roles: Vec<RoleView>, now: Moment) -> Vec<Entry> {
        let mut entries = Vec::new();
        let was_lost = self.trouble.take().is_some();
        if was_lost {
            entries.push(Entry::new(now, None, "store_back", Weight::Good, "the store answers again"));
        }
        let was_restored = revision < self.revision;
        if was_restored {
            let text =
                format!("the store was restored: it shows revision {revision}, this watch has seen {}", self.revision);
            entries.push(Entry::new(now, None, "store_restored", Weight::Trouble, text));
        }
        let is_unseen = was_lost || was_restored;
        self.revision = revision;
        let names: BTreeSet<&String> = roles.iter().map(|role| &role.role).collect();
        let gone: Vec<String> = self.roles.keys().filter(|name| !names.contains(name)).cloned().collect();
        for name in gone {
            if let Some(before) = self.roles.get(&name) {
                let empty = RoleView {
                    active: None,
                    term: None,
                    standbys: Vec::new(),
                    strangers: Vec::new(),
                    ..before.view.clone()
                };
                entries.extend(changes(Some(&before.view), &empty, now));
            }
            entries.push(Entry::new(now, Some(&name), "role_gone", Weight::News, "no key of the role is left"));
            self.roles.remove(&name);
        }
        for view in roles {
            let before = self.roles.get(&view.role);
            entries.extend(changes(before.map(|watched| &watched.view), &view, now));
            let revision = |view: &RoleView| view.term.as_ref().map(|term| term.mod_revision);
            let mut next = match before {
                Some(before) if revision(&before.view) == revision(&view) => {
                    Watched { view, renewed: before.renewed, is_exact: before.is_exact, told: before.told }
                }
                before => {
                    let late = before.is_some_and(|before| before.told > 0) && view.held().is_some();
                    if late {
                        let text = "renewed again";
                        entries.push(Entry::new(now, Some(&view.role), "renewed", Weight::Good, text));
                    }
                    Watched { view, renewed: now, is_exact: before.is_some() && !is_unseen, told: 0 }
                }
            };
            if is_unseen {
                // Nobody has seen what came meanwhile.
                (next.renewed, next.is_exact, next.told) = (now, false, 0);
            }
            self.roles.insert(next.view.role.clone(), next);
        }
        entries
    }

    /// The store does not answer.
    pub(crate) fn lost(&mut self, why: &str, now: Moment) -> Vec<Entry> {
        if self.trouble.replace(why.to_owned()).is_some() {
            return Vec::new();
        }
        vec![Entry::new(now, None, "store_lost", Weight::Trouble, format!("the store does not answer: {why}"))]
    }

    /// Looks for renewals that did not come.
    pub(crate) fn tick(&mut self, now: Moment) -> Vec<Entry> {
        let mut entries = Vec::new();
        if self.trouble.is_some() {
            return entries;
        }
        for (name, watched) in &mut self.roles {
            let Some((left, hold)) = watched.hold_left(now) else { continue };
            let halves = if left == 0 { 2 } else { u64::from(left * 2 <= hold) };
            if halves <= watched.told {
                continue;
            }
            watched.told = halves;
            let (event, text) = match halves {
                1 => ("renewal_missed", format!("no renewal for {}", words::seconds(hold - left))),
                _ => ("hold_over", format!("no renewal for {}: its holder may act no longer", words::seconds(hold))),
            };
            let entry = Entry::new(now, Some(name), event, Weight::Trouble, text);
            entries.push(match &watched.view.active {
                Some(active) => entry.of(active),
                None => entry,
            });
        }
        entries
    }

    /// When [`Model::tick`] has something to look for, after now.
    pub(crate) fn next_tick_ms(&self, now: Moment) -> Option<u64> {
        let due = self.roles.values().filter_map(|watched| {
            let (left, hold) = watched.hold_left(now)?;
            match watched.told {
                0 => Some(left.saturating_sub(hold / 2)),
                1 => Some(left),
                _ => None,
            }
        });
        due.min()
    }
}

/// What has changed in a role; of a role that is seen for the first time, what is there.
fn changes(before: Option<&RoleView>, after: &RoleView, now: Moment) -> Vec<Entry> {
    let mut entries = activity(before, after, now);
    entries.extend(members(before, after, now));
    let entry = |event, weight, text: String| Entry::new(now, Some(&after.role), event, weight, text);
    let old = |key: &str| before.and_then(|before| before.strangers.iter().find(|stranger| stranger.key == key));
    for stranger in after.strangers.iter().filter(|stranger| old(&stranger.key) != Some(stranger)) {
        let text = format!("{} cannot be read: {}", stranger.key, stranger.why);
        entries.push(entry("unknown", Weight::Trouble, text));
    }
    let there = |key: &str| after.strangers.iter().any(|stranger| stranger.key == key);
    for gone in before.iter().flat_map(|before| &before.strangers).filter(|stranger| !there(&stranger.key)) {
        entries.push(entry("unknown_gone", Weight::Good, format!("{} is gone, or can be read", gone.key)));
    }
    entries
}

fn name(session: &SessionView) -> String {
    format!("{} (server ID {}, {})", session.address, session.server_id, session.kind.name())
}

fn activity(before: Option<&RoleView>, after: &RoleView, now: Moment) -> Vec<Entry> {
    let old = before.and_then(|before| before.active.as_ref());
    let new = after.active.as_ref();
    let entry = |event, weight, text: String| Entry::new(now, Some(&after.role), event, weight, text);
    let mut entries = Vec::new();
    match (old, new) {
        (Some(old), Some(new)) if old.mod_revision == new.mod_revision => {}
        (_, Some(new)) => {
            let text = format!("{} is active, token {}", name(new), new.mod_revision);
            entries.push(entry("active", Weight::Good, text).of(new));
        }
        (Some(old), None) => {
            let is_released = after.term.as_ref().is_some_and(|term| term.tenure == Tenure::Released);
            let how = if is_released { "released the role" } else { "has lost the active key" };
            let weight = if is_released { Weight::News } else { Weight::Trouble };
            entries.push(entry("inactive", weight, format!("{} {how}: nobody is active", name(old))).of(old));
        }
        (None, None) if before.is_none() => {
            entries.push(entry("inactive", Weight::Trouble, "nobody is active".to_owned()));
        }
        (None, None) => {}
    }
    entries
}

fn members(before: Option<&RoleView>, after: &RoleView, now: Moment) -> Vec<Entry> {
    let none = Vec::new();
    let old = before.map_or(&none, |before| &before.standbys);
    let active = |view: &RoleView| view.active.as_ref().map(|active| active.server_id);
    let was_active = before.and_then(active);
    let find = |all: &[StandbyView], key: &str| all.iter().find(|standby| standby.session.key == key).cloned();
    let entry = |event, weight, text: String| Entry::new(now, Some(&after.role), event, weight, text);
    let mut entries = Vec::new();
    for standby in &after.standbys {
        let session = &standby.session;
        let known = find(old, &session.key);
        if known.is_none() {
            let again = if was_active == Some(session.server_id) { " is no longer active, and" } else { "" };
            let rank = standby.rank.map_or(String::new(), |rank| format!(", rank {rank}"));
            entries
                .push(entry("standby", Weight::News, format!("{}{again} stands by{rank}", name(session))).of(session));
        }
        let stood = known.map(|known| known.chance.standing);
        let (standing, why) = (standby.chance.standing, &standby.chance.why);
        match standing {
            Standing::Blocked if stood != Some(standing) => {
                entries.push(
                    entry("blocked", Weight::Trouble, format!("{} cannot win: {why}", name(session))).of(session),
                );
            }
            Standing::Waits if stood != Some(standing) => {
                entries.push(entry("waits", Weight::News, format!("{} has to wait: {why}", name(session))).of(session));
            }
            Standing::Perhaps if stood != Some(standing) => {
                let text = format!("{} could win, perhaps: {why}", name(session));
                entries.push(entry("perhaps", Weight::News, text).of(session));
            }
            Standing::Now | Standing::Ready if stood == Some(Standing::Blocked) => {
                entries
                    .push(entry("unblocked", Weight::Good, format!("{} could win again", name(session))).of(session));
            }
            _ => {}
        }
    }
    let is_active = |session: &SessionView| active(after) == Some(session.server_id);
    let gone =
        |standby: &&StandbyView| find(&after.standbys, &standby.session.key).is_none() && !is_active(&standby.session);
    for standby in old.iter().filter(gone) {
        entries.push(entry("gone", Weight::News, format!("{} is gone", name(&standby.session))).of(&standby.session));
    }
    entries
}
