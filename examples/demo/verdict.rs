//! The closing line of a store, and what is wrong with its numbers.

use crate::check;
use crate::record::Record;

/// The takeovers, in the order of the story; the last is on etcd alone.
const TAKEOVERS: [&str; 3] = ["kill", "leave", "host_loss"];

pub(crate) fn line(store: &str, record: &Record) -> String {
    let times: Vec<String> = TAKEOVERS
        .iter()
        .zip(&record.takeovers)
        .map(|(name, takeover)| format!(" {name}_takeover_ms={}", takeover.ms()))
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

/// What must not be, in words.
pub(crate) fn wrongs(record: &Record) -> Vec<String> {
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
    let takeovers = record.takeovers.len();
    if takeovers < 2 {
        wrongs.push(format!("there were {takeovers} takeovers, not 2 or more"));
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
        assert_eq!(wrongs(&record), [""; 0]);
    }

    #[test]
    fn every_wrong_number_is_named() {
        type Spoil = fn(&mut Record);
        let spoilt: [(&str, Spoil); 6] = [
            ("active at once", |r| r.lives[0].ended_ms = Some(105)),
            ("token", |r| r.lives[2] = life("a", 2, 203, 300)),
            ("handed out before", |r| r.id(4, 51)),
            ("below", |r| r.id(3, 51)),
            ("no ID", |r| r.ids = check::Ids::default()),
            ("takeovers, not 2", |r| r.takeovers.clear()),
        ];
        for (word, spoil) in spoilt {
            let mut record = good();
            spoil(&mut record);
            let wrongs = wrongs(&record);
            assert_eq!(wrongs.len(), 1, "{word}: {wrongs:?}");
            assert!(wrongs[0].contains(word), "{word}: {wrongs:?}");
        }
    }
}
