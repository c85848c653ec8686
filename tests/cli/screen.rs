//! The full-screen view of `coordha watch`, drawn without a terminal.

#[path = "../../src/bin/coordha/watch/model.rs"]
mod model;
#[path = "../../src/bin/coordha/watch/view.rs"]
mod view;
#[path = "../../src/bin/coordha/words.rs"]
#[expect(dead_code, reason = "the command has more figures")]
mod words;

use coordha::inspect::{Chance, Kind, RoleView, SessionView, StandbyView, Standing, Tenure, TermView};
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use self::model::{Entry, Model, Moment};
use self::view::{Screen, draw};

fn at(ms: u64) -> Moment {
    Moment { mono_ms: ms, unix_ms: ms }
}

fn session(id: i64, is_active: bool) -> SessionView {
    let key = if is_active { "r/session/worker".to_owned() } else { format!("r/session/worker-{id}") };
    SessionView {
        key,
        role: "worker".into(),
        is_active,
        kind: Kind::Coordha,
        server_id: id,
        address: format!("10.0.0.{id}:1"),
        host_name: format!("h{id}"),
        version: "2.5.0".into(),
        stopping: false,
        lease: id,
        record_lease: id,
        lease_left: None,
        create_revision: id,
        mod_revision: 40 + id,
        priority: Some(0),
        hold_ms: Some(4000),
        ttl_ms: Some(60_000),
    }
}

fn standby(id: i64, standing: Standing) -> StandbyView {
    StandbyView { session: session(id, false), rank: Some(0), chance: Chance { standing, why: "so it is".into() } }
}

/// The role with this active one, whose term was renewed so often, and a standby.
fn role(active: Option<i64>, renewals: u64, standbys: Vec<StandbyView>) -> RoleView {
    let active = active.map(|id| session(id, true));
    let term = active.as_ref().map(|active| TermView {
        tenure: Tenure::Held,
        token: active.mod_revision,
        hold_ms: 4000,
        renewals,
        server_id: active.server_id,
        pid: None,
        mod_revision: active.mod_revision + i64::try_from(renewals).unwrap(),
        is_current: true,
        lasted_ms: renewals * 1000,
    });
    RoleView { role: "worker".into(), revision: 50, active, term, standbys, strangers: Vec::new() }
}

fn drawn(model: &Model, events: &[Entry], health: &[String], now: Moment) -> String {
    let mut terminal = Terminal::new(TestBackend::new(100, 20)).unwrap();
    let screen = Screen { title: "etcd://x  r", model, events, health, now, scroll: 0 };
    terminal.draw(|frame| _ = draw(frame, &screen)).unwrap();
    terminal.backend().to_string()
}

/// The lines of a screen of this size, and how far it is scrolled.
fn lines(model: &Model, events: &[Entry], (width, height): (u16, u16), scroll: u16, now: Moment) -> (Vec<String>, u16) {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let health = ["10.0.0.9:2379  3.6.1  leader".to_owned()];
    let screen = Screen { title: "etcd://x  r", model, events, health: &health, now, scroll };
    let mut used = 0;
    terminal.draw(|frame| used = draw(frame, &screen)).unwrap();
    // What has no cell has no text.
    let shown = if width == 0 { String::new() } else { terminal.backend().to_string() };
    (shown.lines().map(|line| line.trim_matches('"').trim_end().to_owned()).collect(), used)
}

#[test]
fn a_small_screen_shows_what_matters_most() {
    let mut model = Model::default();
    let named = |name: &str, active: Option<i64>| RoleView { role: name.into(), ..role(active, 0, Vec::new()) };
    let mut roles = vec![named("alpha", Some(1)), named("beta", Some(2)), named("gamma", None)];
    roles[0].standbys = vec![standby(2, Standing::Ready)];
    let events = model.see(50, roles, at(0));
    let (small, _) = lines(&model, &events, (20, 5), 0, at(0));
    assert_eq!(small[..3], ["gamma NOBODY", "alpha 10.0.0.1:1  1", "beta 10.0.0.2:1  NO"]);
    assert!(small[4].starts_with("00:00:00.000 gamma:"), "{small:?}");
    assert_eq!(lines(&model, &events, (20, 1), 0, at(0)).0, ["gamma NOBODY"]);
    let narrow = lines(&model, &events, (39, 20), 0, at(0)).0;
    assert_eq!(narrow[1], "alpha 10.0.0.1:1  1 standby");
    assert_eq!(lines(&model, &events, (40, 4), 0, at(4000)).0[1], "alpha 10.0.0.1:1 NOT RENEWED");
    model.lost("it is gone", at(1));
    assert_eq!(lines(&model, &events, (20, 1), 0, at(1)).0, ["NO ANSWER: it is gon"]);
    assert_eq!(lines(&Model::default(), &[], (20, 1), 0, at(1)).0, ["no role yet"]);
}

#[test]
fn no_size_is_too_small_and_nothing_is_scrolled_out_of_sight() {
    let mut model = Model::default();
    let standbys = (2..30).map(|id| standby(id, Standing::Blocked)).collect();
    let events = model.see(50, vec![role(Some(1), 0, standbys)], at(0));
    for size in
        [0, 1, 2, 5, 20, 39, 40, 41, 60].into_iter().flat_map(|width| (0..25).map(move |height| (width, height)))
    {
        for scroll in [0, 7, u16::MAX] {
            lines(&model, &events, size, scroll, at(0));
        }
    }
    let (shown, scroll) = lines(&model, &events, (100, 20), u16::MAX, at(0));
    assert!(shown.iter().any(|line| line.contains("server ID 29")), "{shown:#?}");
    let (again, less) = lines(&model, &events, (100, 20), scroll - 1, at(0));
    assert!(less == scroll - 1 && again != shown, "{again:#?}");
}

#[test]
fn each_height_shows_who_is_active() {
    let mut model = Model::default();
    let events = model.see(50, vec![role(Some(1), 0, vec![standby(2, Standing::Ready)])], at(0));
    for height in 1..25 {
        let shown = lines(&model, &events, (100, height), 0, at(0)).0.join("\n");
        assert!(shown.contains("worker") && shown.contains("10.0.0.1:1"), "{height}: {shown}");
    }
}

#[test]
fn the_bar_drops_and_is_filled_by_a_renewal() {
    let mut model = Model::default();
    model.see(50, vec![role(Some(1), 0, vec![standby(2, Standing::Ready)])], at(0));
    let full = drawn(&model, &[], &[], at(0));
    assert!(full.contains(&"█".repeat(30)) && full.contains("at most 4 s of 4 s"), "{full}");
    let half = drawn(&model, &[], &[], at(2000));
    assert!(half.contains(&format!("{}{}", "█".repeat(15), "░".repeat(15))), "{half}");
    let empty = drawn(&model, &[], &[], at(5000));
    assert!(empty.contains(&"░".repeat(30)) && empty.contains("0 s of 4 s"), "{empty}");
    model.see(51, vec![role(Some(1), 1, vec![standby(2, Standing::Ready)])], at(5000));
    let again = drawn(&model, &[], &[], at(5000));
    assert!(again.contains(&"█".repeat(30)) && again.contains("  4 s of 4 s  since about 1 s"), "{again}");
}

#[test]
fn roles_events_and_etcd_are_on_the_screen() {
    let mut model = Model::default();
    let standbys = vec![standby(2, Standing::Ready), standby(3, Standing::Blocked)];
    let events = model.see(50, vec![role(Some(1), 0, standbys)], at(3_723_004));
    let health = ["10.0.0.9:2379  3.6.1  leader".to_owned()];
    let screen = drawn(&model, &events, &health, at(3_723_004));
    for words in [
        "etcd://x  r  revision 50  01:02:03 UTC",
        "active   10.0.0.1:1  server ID 1  h1  coordha  token 41",
        "standby  10.0.0.2:1  server ID 2  h2  coordha  rank 0",
        "so it is (cannot win)",
        "01:02:03.004 worker: 10.0.0.1:1 (server ID 1, coordha) is active, token 41",
        "10.0.0.9:2379  3.6.1  leader",
        "q quit",
    ] {
        assert!(screen.contains(words), "{words} in\n{screen}");
    }
}

#[test]
fn a_store_that_does_not_answer_is_told_once_and_misses_no_renewal() {
    let mut model = Model::default();
    model.see(50, vec![role(Some(1), 0, Vec::new())], at(0));
    let told: Vec<&str> = model.lost("it is gone", at(100)).iter().map(|entry| entry.event).collect();
    assert_eq!(told, ["store_lost"]);
    assert!(model.lost("it is gone", at(200)).is_empty());
    assert!(drawn(&model, &[], &[], at(200)).contains("NO ANSWER: it is gone"));
    assert!(model.tick(at(10_000)).is_empty());
    let back: Vec<&str> =
        model.see(50, vec![role(Some(1), 0, Vec::new())], at(10_000)).iter().map(|entry| entry.event).collect();
    assert_eq!(back, ["store_back"]);
    assert!(model.tick(at(10_001)).is_empty());
}

#[test]
fn renewals_are_missed_at_half_the_hold_time_and_at_its_end() {
    let mut model = Model::default();
    model.see(50, vec![role(Some(1), 0, Vec::new())], at(0));
    let events = |model: &mut Model, ms| model.tick(at(ms)).iter().map(|entry| entry.event).collect::<Vec<_>>();
    assert_eq!(model.next_tick_ms(at(0)), Some(2000));
    assert!(events(&mut model, 1999).is_empty());
    assert_eq!(events(&mut model, 2000), ["renewal_missed"]);
    assert!(events(&mut model, 3999).is_empty());
    assert_eq!(events(&mut model, 4000), ["hold_over"]);
    assert_eq!(model.next_tick_ms(at(4000)), None);
    let again = model.see(51, vec![role(Some(1), 1, Vec::new())], at(4100));
    assert_eq!(again.iter().map(|entry| entry.event).collect::<Vec<_>>(), ["renewed"]);
}

#[test]
fn a_takeover_is_told_as_it_is() {
    let mut model = Model::default();
    model.see(50, vec![role(Some(1), 0, vec![standby(2, Standing::Ready)])], at(0));
    let events = model.see(60, vec![role(Some(2), 0, vec![standby(1, Standing::Ready)])], at(10));
    let told: Vec<(&str, Option<i64>)> = events.iter().map(|entry| (entry.event, entry.server_id)).collect();
    assert_eq!(told, [("active", Some(2)), ("standby", Some(1))]);
    assert!(events[1].text.contains("is no longer active, and stands by"), "{events:?}");
    let gone = model.see(61, vec![role(Some(2), 0, Vec::new())], at(20));
    assert_eq!(gone.iter().map(|entry| entry.event).collect::<Vec<_>>(), ["gone"]);
    let empty = model.see(62, Vec::new(), at(30));
    assert_eq!(empty.iter().map(|entry| entry.event).collect::<Vec<_>>(), ["inactive", "role_gone"]);
    assert!(drawn(&model, &[], &[], at(30)).contains("no role below this root yet"));
}

#[test]
fn the_page_shows_the_screen_as_it_is() {
    let mut model = Model::default();
    model.see(60, vec![role(Some(1), 71, vec![standby(2, Standing::Ready)])], at(3_722_000));
    let mut events = model.see(61, vec![role(Some(1), 72, vec![standby(2, Standing::Ready)])], at(3_723_004));
    events.extend(model.see(
        62,
        vec![role(Some(1), 72, vec![standby(2, Standing::Ready), standby(3, Standing::Ready)])],
        at(3_723_404),
    ));
    let health = ["10.0.0.9:2379  3.6.16  leader  0.1 MiB  answered in 2 ms".to_owned()];
    let mut terminal = Terminal::new(TestBackend::new(96, 16)).unwrap();
    let title = "coordha watch  etcd://10.0.0.9:2379  by-dev/meta";
    let screen = Screen { title, model: &model, events: &events, health: &health, now: at(3_724_004), scroll: 0 };
    terminal.draw(|frame| _ = draw(frame, &screen)).unwrap();
    let shown = terminal.backend().to_string();
    let lines: Vec<&str> = shown.lines().map(|line| line.trim_matches('"').trim_end()).collect();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/command.md")).unwrap();
    let (before, rest) = page.split_once("<!-- screen -->\n").unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let made = format!("{before}<!-- screen -->\n```\n{}\n```\n<!-- end -->{after}", lines.join("\n"));
    crate::bless::check("docs/command.md", &made);
}
