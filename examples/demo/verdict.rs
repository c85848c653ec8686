//! The closing line of a store, and what is wrong with its numbers.

use std::ops::Range;

use crate::check;
use crate::record::Record;
use crate::story::{FAR_HOLD_MS, HOLD_MS};

/// A takeover of the story.
struct Expected {
    name: &'static str,
    /// How long it may take. What lies beyond is no slow machine: it was not taken over in the way that is shown.
    ms: Range<i64>,
}

/// In the order of the story; the last is on etcd alone.
const TAKEOVERS: [Expected; 3] = [
    // With a proof of death nobody waits for the hold time, and after an orderly end neither.
    Expected { name: "kill", ms: 0..HOLD_MS },
    Expected { name: "leave", ms: 0..HOLD_MS },
    // Without, 1.25 H since the last renewal, which is less than H old where its writer is active. And a second for the
    // ranks of the dead, the commits and the machine.
    Expected { name: "host_loss", ms: FAR_HOLD_MS / 4..FAR_HOLD_MS * 5 / 4 + 1000 },
];

fn takeovers_on(store: &str) -> &'static [Expected] {
    if store == "etcd" { &TAKEOVERS } else { &TAKEOVERS[..2] }
}

pub(crate) fn line(store: &str, record: &Record) -> String {
    let times: Vec<String> = TAKEOVERS
        .iter()
        .zip(&record.takeovers)
        .map(|(expected, takeover)| format!(" {}_takeover_ms={}", expected.name, takeover.ms()))
        .collect();
    let (here, far) = times.split_at(times.len().min(2));
    format!(
        "demo store={store}{} ids={} duplicates={} overlaps={}{}",
        here.concat(),
        record.ids.count(),
        record.ids.duplicates,
        check::overlaps(&record.terms()).len(),
        far.concat(),
    )
}

pub(crate) fn line_in_turns(names: &[&str], record: &Record) -> String {
    let led = |name: &&&str| record.terms().iter().any(|term| term.process == **name);
    format!(
        "demo languages={} takeovers={} ids={} duplicates={} overlaps={}",
        names.iter().filter(led).count(),
        record.takeovers.len(),
        record.ids.count(),
        record.ids.duplicates,
        check::overlaps(&record.terms()).len(),
    )
}

/// What must not be where each one leads in turn, in words.
pub(crate) fn wrongs_in_turns(names: &[&str], record: &Record) -> Vec<String> {
    let mut wrongs = always_wrong(record);
    for name in names {
        if !record.terms().iter().any(|term| term.process == *name) {
            wrongs.push(format!("{name} was never active"));
        }
    }
    for takeover in record.takeovers.iter().filter(|takeover| !(0..HOLD_MS).contains(&takeover.ms())) {
        wrongs.push(format!("a takeover took {} ms, not 0 to {HOLD_MS}", takeover.ms()));
    }
    wrongs
}

/// What must not be, in words.
pub(crate) fn wrongs(store: &str, record: &Record) -> Vec<String> {
    let mut wrongs = always_wrong(record);
    let expected = takeovers_on(store);
    let (there, wanted) = (record.takeovers.len(), expected.len());
    if there != wanted {
        wrongs.push(format!("there were {there} takeovers, not {wanted}"));
    }
    for (Expected { name, ms }, takeover) in expected.iter().zip(&record.takeovers) {
        if !ms.contains(&takeover.ms()) {
            wrongs.push(format!("the {name} takeover took {} ms, not {} to {}", takeover.ms(), ms.start, ms.end));
        }
    }
    wrongs
}

/// What must never be.
fn always_wrong(record: &Record) -> Vec<String> {
    let terms = record.terms();
    let mut wrongs = Vec::new();
    for (one, other) in check::overlaps(&terms) {
        wrongs.push(format!("two were active at once: {one:?}, {other:?}"));
    }
    for (one, next) in check::tokens_gone_back(&terms) {
        wrongs.push(format!("the token did not grow: {one:?}, then {next:?}"));
    }
    let ids = &record.ids;
    if ids.duplicates > 0 {
        wrongs.push(format!("{} IDs were handed out before", ids.duplicates));
    }
    if ids.disordered > 0 {
        wrongs.push(format!("{} IDs were below the one before", ids.disordered));
    }
    if ids.count() == 0 {
        wrongs.push("no ID was handed out".to_owned());
    }
    wrongs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::EventLine;
    use crate::record::{Life, Takeover};

    fn life(name: &'static str, token: i64, from_ms: i64, to_ms: i64) -> Life {
        let mut life = Life::new(name, 0);
        let line = format!("event at_ms={from_ms} kind=ACTIVE token={token} server_id=1 text=");
        life.events.push(EventLine::parse(&line).unwrap());
        life.ended_ms = Some(to_ms);
        life
    }

    fn good() -> Record {
        let mut record = Record::new(0);
        record.lives = vec![life("a", 1, 0, 100), life("b", 2, 104, 200), life("a", 3, 203, 300)];
        record.takeovers = [(100, 104), (200, 203)].map(|(from_ms, to_ms)| Takeover { from_ms, to_ms }).into();
        for id in [1, 2, 4] {
            record.id(id, 50);
        }
        record
    }

    #[test]
    fn the_closing_line_has_its_numbers_in_order() {
        let mut record = good();
        let expected = "demo store=local kill_takeover_ms=4 leave_takeover_ms=3 ids=3 duplicates=0 overlaps=0";
        assert_eq!(line("local", &record), expected);
        record.takeovers.push(Takeover { from_ms: 0, to_ms: 1240 });
        let expected = "demo store=etcd kill_takeover_ms=4 leave_takeover_ms=3 ids=3 duplicates=0 overlaps=0 host_loss_takeover_ms=1240";
        assert_eq!(line("etcd", &record), expected);
    }

    #[test]
    fn right_numbers_are_found_right() {
        let mut record = good();
        assert_eq!(wrongs("local", &record), [""; 0]);
        for ms in [250, 1000, 1250, 2249] {
            record.takeovers.truncate(2);
            record.takeovers.push(Takeover { from_ms: 0, to_ms: ms });
            assert_eq!(wrongs("etcd", &record), [""; 0]);
        }
    }

    #[test]
    fn a_takeover_that_is_missing_too_slow_or_too_quick_is_named() {
        let spoilt = [
            ("local", vec![4], "1 takeovers, not 2"),
            ("local", vec![4, 3, 1240], "3 takeovers, not 2"),
            ("etcd", vec![4, 3], "2 takeovers, not 3"),
            ("local", vec![5000, 3], "the kill takeover took 5000 ms, not 0 to 5000"),
            ("local", vec![4, 60_000], "the leave takeover took 60000 ms"),
            ("local", vec![4, -1], "the leave takeover took -1 ms"),
            ("etcd", vec![4, 3, 2250], "the host_loss takeover took 2250 ms, not 250 to 2250"),
            ("etcd", vec![4, 3, 4], "the host_loss takeover took 4 ms"),
        ];
        for (store, times, words) in spoilt {
            let mut record = good();
            record.takeovers = times.iter().map(|ms| Takeover { from_ms: 100, to_ms: 100 + ms }).collect();
            let wrongs = wrongs(store, &record);
            assert_eq!(wrongs.len(), 1, "{words}: {wrongs:?}");
            assert!(wrongs[0].contains(words), "{words}: {wrongs:?}");
        }
    }

    #[test]
    fn each_must_have_been_active() {
        let record = good();
        assert_eq!(line_in_turns(&["a", "b"], &record), "demo languages=2 takeovers=2 ids=3 duplicates=0 overlaps=0");
        assert_eq!(wrongs_in_turns(&["a", "b"], &record), [""; 0]);
        assert_eq!(line_in_turns(&["a", "c"], &record), "demo languages=1 takeovers=2 ids=3 duplicates=0 overlaps=0");
        assert_eq!(wrongs_in_turns(&["a", "c"], &record), ["c was never active"]);
    }

    #[test]
    fn every_wrong_number_is_named() {
        type Spoil = fn(&mut Record);
        let spoilt: [(&str, Spoil); 5] = [
            ("active at once", |r| r.lives[0].ended_ms = Some(105)),
            ("token", |r| r.lives[2] = life("a", 2, 203, 300)),
            ("handed out before", |r| r.id(4, 51)),
            ("below", |r| r.id(3, 51)),
            ("no ID", |r| r.ids = check::Ids::default()),
        ];
        for (word, spoil) in spoilt {
            let mut record = good();
            spoil(&mut record);
            let wrongs = wrongs("local", &record);
            assert_eq!(wrongs.len(), 1, "{word}: {wrongs:?}");
            assert!(wrongs[0].contains(word), "{word}: {wrongs:?}");
        }
    }
}
