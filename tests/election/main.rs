//! The election core by itself: what each session does, step by step, against a simulated store.

mod exclusive;
mod milvus;
mod refused;
mod world;

use coordha::election::{Event, Reason, Request, Role, Settings, StoreRequest};
use coordha::error::ErrorKind;
use coordha::kv::Op;
use world::{Fate, MS, World, settings};

const ACTIVE: &str = "by-dev/meta/session/rootcoord";
const TERM: &str = "by-dev/meta/ha/rootcoord/term";

/// One active session and one standby, settled.
fn pair() -> (World, usize, usize) {
    let mut world = World::new();
    let a = world.start(settings(1));
    world.until("active", |w| w.holds(a));
    let b = world.start(settings(2));
    world.until("standby", |w| w.status(b).role == Role::Standby);
    world.pass(5000 * MS);
    (world, a, b)
}

fn ended_terms(world: &World, node: usize) -> Vec<Reason> {
    let reason = |event: &Event| match event {
        Event::TermEnded { reason, .. } => Some(*reason),
        _ => None,
    };
    world.nodes[node].log.iter().filter_map(reason).collect()
}

fn acquisition(request: &StoreRequest) -> bool {
    matches!(request, StoreRequest::Txn(txn) if txn.success.len() == 2
        && matches!(&txn.success[0], Op::Put { key, .. } if key == ACTIVE.as_bytes()))
}

#[test]
fn the_first_session_of_a_new_store_becomes_active_at_once() {
    let mut world = World::new();
    let a = world.start(settings(1));
    let took = world.until("active", |w| w.status(a).role == Role::Active);
    assert!(took < 100 * MS, "{took:?}");
}

#[test]
fn a_standby_takes_over_after_a_kill_when_a_quarter_more_than_the_hold_time_has_passed() {
    let mut world = World::new();
    let a = world.start(settings(1));
    world.until("active", |w| w.holds(a));
    let b = world.start(settings(2));
    world.until("standby", |w| w.status(b).role == Role::Standby);
    world.pass(5000 * MS);
    world.kill(a);
    let took = world.until("takeover", |w| w.holds(b));
    assert!(took > 1000 * MS && took < 1400 * MS, "{took:?}");
}

#[test]
fn many_sessions_that_start_at_once_get_a_number_each_and_are_not_long_in_each_others_way() {
    let mut world = World::new();
    // Random enough, and the same in every run.
    let id = |n: u128| n.wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    for n in 1..=100 {
        world.start(Settings { session_id: id(n), ..settings(n) });
    }
    world.until("all have one", |w| (0..100).all(|node| w.status(node).server_id != 0));
    let ids: std::collections::BTreeSet<_> = (0..100).map(|node| world.status(node).server_id).collect();
    assert_eq!(ids.len(), 100);
    let sent = |node: usize| {
        let of_ids = |request: &&StoreRequest| {
            matches!(request, StoreRequest::Txn(txn)
                if matches!(&txn.success[0], Op::Put { key, .. } if key == b"by-dev/meta/session/id"))
        };
        world.nodes[node].sent.iter().filter(of_ids).count()
    };
    let tries: usize = (0..100).map(sent).sum();
    assert!(tries < 100 * 20, "{tries} tries");
}

#[test]
fn a_session_that_waits_for_its_next_try_at_a_number_ends_at_once_when_it_is_stopped() {
    let mut world = World::new();
    for n in 1..=100 {
        world.start(Settings { release_timeout: 100 * MS, ..settings(n) });
    }
    let waits = |w: &World, node: usize| {
        w.status(node).server_id == 0 && w.nodes[node].core.next_timer().is_some_and(|at| at.since(w.now) > 200 * MS)
    };
    world.until("one waits long", |w| (0..100).any(|node| waits(w, node)));
    let node = (0..100).find(|node| waits(&world, *node)).unwrap();
    world.ask(node, Request::Stop).unwrap();
    let took = world.until("ended", |w| w.status(node).role == Role::Ended);
    assert!(took < 10 * MS, "{took:?}");
    assert_eq!(world.nodes[node].log.last(), Some(&Event::Ended(None)));
}

#[test]
fn a_store_that_says_that_it_was_restored_ends_a_holder_and_a_standby() {
    let (mut world, a, b) = pair();
    world.fate = Box::new(|_, request| match request {
        StoreRequest::Txn(_) => Fate::Regressed,
        _ => Fate::Answer,
    });
    for node in [a, b] {
        world.until("ended", |w| w.status(node).role == Role::Ended);
        let Some(Event::Ended(Some(error))) = world.nodes[node].log.last() else { panic!("no error") };
        assert_eq!(error.kind(), ErrorKind::Regressed);
    }
    assert_eq!(ended_terms(&world, a), [Reason::Regressed]);
}

#[test]
fn an_orderly_stop_hands_over_at_once() {
    let mut world = World::new();
    let a = world.start(settings(1));
    world.until("active", |w| w.holds(a));
    let b = world.start(settings(2));
    world.until("standby", |w| w.status(b).role == Role::Standby);
    world.pass(5000 * MS);
    world.ask(a, Request::Stop).unwrap();
    assert!(!world.holds(a));
    let took = world.until("takeover", |w| w.holds(b));
    assert!(took < 10 * MS, "{took:?}");
    world.until("ended", |w| w.status(a).role == Role::Ended);
    assert_eq!(world.nodes[a].log.last(), Some(&Event::Ended(None)));
    assert!(world.nodes[a].log.iter().any(|e| matches!(e, Event::TermEnded { reason: Reason::Stop, .. })));
}

#[test]
fn a_read_from_before_a_lost_acquisition_does_not_hide_that_it_may_have_won() {
    let mut world = World::new();
    let a = world.start(Settings { reread: 50 * MS, ..settings(1) });
    world.fate = Box::new(|_, request| if acquisition(request) { Fate::LoseReply } else { Fate::Answer });
    world.nodes[a].watch_silent = true;
    world.until("the campaign", |w| w.nodes[a].sent.iter().any(acquisition));
    world.hold_up_last_request(200 * MS);
    let sent = world.nodes[a].sent.len();
    world.until("a read", |w| w.nodes[a].sent.len() > sent);
    // The read sees the store before the acquisition, and its answer comes after that one's limit of H / 4.
    world.delay = 230 * MS;
    world.until("the limit", |w| w.nodes[a].log.iter().any(|e| matches!(e, Event::Degraded(_))));
    world.delay = MS;
    world.ask(a, Request::Stop).unwrap();
    world.until("ended", |w| w.status(a).role == Role::Ended);
    assert_eq!(world.nodes[a].log.last(), Some(&Event::Ended(None)));
    let term = world.store.get(TERM.as_bytes()).unwrap().value.clone();
    let term = String::from_utf8(term).unwrap();
    assert!(term.contains(r#""State":"released""#), "{term}");
}

#[test]
fn a_leaver_ends_its_lease_after_the_next_term_has_begun() {
    let revoked = |w: &World, node: usize| {
        let mut sent = w.nodes[node].sent.iter();
        sent.any(|request| matches!(request, StoreRequest::Revoke { .. }))
    };
    let (mut world, a, b) = pair();
    world.ask(a, Request::Stop).unwrap();
    world.until("takeover", |w| w.holds(b));
    assert!(!revoked(&world, a));
    let took = world.until("ended", |w| w.status(a).role == Role::Ended);
    assert!(revoked(&world, a) && took < 100 * MS, "{took:?}");
    // With nobody to make way for, it waits for nothing.
    world.ask(b, Request::Stop).unwrap();
    let took = world.until("ended", |w| w.status(b).role == Role::Ended);
    assert!(revoked(&world, b) && took < 10 * MS, "{took:?}");
}

#[test]
fn the_lease_of_the_active_is_revoked_and_the_standby_takes_over_without_the_wait() {
    let (mut world, a, b) = pair();
    world.revoke_lease_of(a);
    let took = world.until("takeover", |w| w.holds(b) || w.holds(a) && w.status(a).token > 100);
    assert!(took < 500 * MS, "{took:?}");
    assert_eq!(ended_terms(&world, a), [Reason::LeaseLost]);
    world.until("registered again", |w| w.status(a).role == Role::Standby);
    world.kill(b);
    world.until("back", |w| w.holds(a));
}

#[test]
fn a_standby_whose_lease_was_revoked_registers_again_and_can_still_win() {
    let (mut world, a, b) = pair();
    world.revoke_lease_of(b);
    world.pass(1000 * MS);
    assert_eq!(world.status(b).role, Role::Standby);
    world.kill(a);
    world.until("takeover", |w| w.holds(b));
}

#[test]
fn a_deleted_active_key_ends_the_term_at_once() {
    let (mut world, a, b) = pair();
    let before = world.status(a).token;
    world.write(Op::delete(ACTIVE));
    world.until("lost", |w| !w.holds(a));
    assert_eq!(ended_terms(&world, a), [Reason::KeyDeleted]);
    let took = world.until("new term", |w| w.holds(a) || w.holds(b));
    assert!(took < 500 * MS, "{took:?}");
    assert!(world.status(a).token.max(world.status(b).token) > before);
}

#[test]
fn a_deleted_or_garbled_term_record_is_mended_by_the_next_renewal() {
    let (mut world, a, b) = pair();
    let token = world.status(a).token;
    world.write(Op::delete(TERM));
    world.pass(3000 * MS);
    world.write(Op::put(TERM, "{", 0));
    world.pass(3000 * MS);
    assert!(world.holds(a) && world.status(a).token == token);
    world.kill(a);
    let took = world.until("takeover", |w| w.holds(b));
    assert!(took < 1400 * MS, "{took:?}");
}

#[test]
fn a_winner_that_never_hears_of_it_finds_out_and_renews_before_it_acts() {
    let (mut world, a, b) = pair();
    world.kill(a);
    let mut lost = false;
    world.fate = Box::new(move |node, request| {
        if node == b && acquisition(request) && !std::mem::replace(&mut lost, true) {
            Fate::LoseReply
        } else {
            Fate::Answer
        }
    });
    let took = world.until("takeover", |w| w.holds(b));
    assert!(took < 2000 * MS, "{took:?}");
    let sent = world.nodes[b].sent.iter().filter(|r| acquisition(r)).count();
    assert_eq!(sent, 1);
}

#[test]
fn a_cut_off_holder_stops_before_the_standby_starts_and_comes_back_as_a_standby() {
    let (mut world, a, b) = pair();
    world.fate = Box::new(move |node, _| if node == a { Fate::LoseRequest } else { Fate::Answer });
    world.nodes[a].watch_silent = true;
    world.until("takeover", |w| w.holds(b));
    assert_eq!(ended_terms(&world, a), [Reason::Expired]);
    let log = &world.nodes[a].log;
    assert!(log.iter().any(|e| matches!(e, Event::Jeopardy { .. })));
    assert!(log.iter().any(|e| matches!(e, Event::Degraded(e) if e.kind() == ErrorKind::Unavailable)));
    let sent = world.nodes[a].sent.len();
    world.pass(10_000 * MS);
    let rate = (world.nodes[a].sent.len() - sent) / 10;
    assert!(rate < 25, "{rate} requests a second while cut off");
    world.fate = Box::new(|_, _| Fate::Answer);
    world.nodes[a].watch_silent = false;
    world.until("recovered", |w| w.nodes[a].log.contains(&Event::Recovered));
    world.kill(b);
    world.until("takes over again", |w| w.holds(a));
}

#[test]
fn replies_that_are_lost_make_the_holder_stop_although_the_store_hears_it() {
    let (mut world, a, b) = pair();
    world.fate = Box::new(move |node, _| if node == a { Fate::LoseReply } else { Fate::Answer });
    world.until("stopped", |w| !w.holds(a));
    assert_eq!(ended_terms(&world, a), [Reason::Expired]);
    world.until("takeover", |w| w.holds(b));
}

#[test]
fn keepalives_that_are_never_answered_end_the_term_for_good() {
    let (mut world, a, b) = pair();
    let token = world.status(a).token;
    world.fate = Box::new(move |node, request| match request {
        StoreRequest::KeepAlive { .. } if node == a => Fate::LoseReply,
        _ => Fate::Answer,
    });
    world.until("stopped", |w| !w.holds(a));
    world.until("somebody", |w| w.holds(a) || w.holds(b));
    assert!(world.status(a).token.max(world.status(b).token) > token);
}

#[test]
fn two_hundred_standbys_need_few_campaigns() {
    let mut world = World::new();
    let a = world.start(settings(1));
    world.until("active", |w| w.holds(a));
    for n in 2..202 {
        world.start(settings(n));
    }
    world.until("all stand by", |w| (1..201).all(|n| w.status(n).role == Role::Standby));
    world.pass(3000 * MS);
    for node in &mut world.nodes {
        node.sent.clear();
    }
    world.kill(a);
    let took = world.until("takeover", |w| (1..201).any(|n| w.holds(n)));
    assert!(took < 1500 * MS, "{took:?}");
    world.pass(1000 * MS);
    let sent = world.nodes.iter().flat_map(|n| &n.sent).filter(|r| acquisition(r)).count();
    assert!((1..=3).contains(&sent), "{sent} campaigns");
}

#[test]
fn a_standby_does_not_wait_for_a_dead_one_that_was_started_again_at_its_address() {
    let (mut world, a, b) = pair();
    let c = world.start(settings(3));
    world.until("standby", |w| w.status(c).role == Role::Standby);
    world.kill(a);
    world.until("takeover", |w| w.holds(b));
    let mut again = settings(1);
    again.session_id = 4;
    let again = world.start(again);
    world.until("standby", |w| w.status(again).role == Role::Standby);
    let dead = format!("{ACTIVE}-1");
    assert!(world.store.get(dead.as_bytes()).is_some());
    world.ask(b, Request::Stop).unwrap();
    let took = world.until("takeover", |w| w.holds(c));
    assert!(took < 10 * MS, "{took:?}");
}

#[test]
fn a_failed_activation_leaves_the_turn_to_the_next() {
    let mut world = World::new();
    let by_hand = |n| Settings { auto: false, ..settings(n) };
    let a = world.start(Settings { priority: 9, ..by_hand(1) });
    world.until("activating", |w| w.status(a).role == Role::Activating);
    let b = world.start(settings(2));
    world.until("standby", |w| w.status(b).role == Role::Standby);
    let token = world.status(a).token;
    let failed = coordha::error::Error::new(ErrorKind::ActivationFailed, "no disk");
    world.ask(a, Request::ActivationDone { token, result: Err(failed) }).unwrap();
    assert!(!world.holds(a));
    let late = world.ask(a, Request::ActivationDone { token, result: Ok(()) });
    assert_eq!(late.unwrap_err().kind(), ErrorKind::Fenced);
    world.ask(a, Request::DeactivationDone { token }).unwrap();
    let took = world.until("takeover", |w| w.holds(b));
    assert!(took < 500 * MS, "{took:?}");
    assert_eq!(ended_terms(&world, a), [Reason::ActivationFailed]);
}

#[test]
fn an_exclusive_session_waits_for_the_holder_and_then_fails_with_its_address() {
    let mut world = World::new();
    let exclusive = |n| Settings { active_standby: false, ..settings(n) };
    let a = world.start(exclusive(1));
    world.until("active", |w| w.holds(a));
    let b = world.start(exclusive(2));
    world.until("ended", |w| w.status(b).role == Role::Ended);
    let Some(Event::Ended(Some(error))) = world.nodes[b].log.last() else {
        panic!("{:?}", world.nodes[b].log);
    };
    assert_eq!(error.kind(), ErrorKind::RoleHeld);
    assert_eq!(error.detail("holder_address"), Some("10.0.0.1:53100"));
    assert_eq!(world.store.leases().count(), 1);
    assert!(world.holds(a));
}

#[test]
fn an_exclusive_session_restarts_on_its_address_after_a_kill() {
    let mut world = World::new();
    let exclusive = |n| Settings { active_standby: false, ..settings(n) };
    let a = world.start(exclusive(1));
    world.until("active", |w| w.holds(a));
    world.pass(3000 * MS);
    world.kill(a);
    let b = world.start(Settings { address: "10.0.0.1:53100".into(), ..exclusive(2) });
    let took = world.until("active again", |w| w.holds(b));
    assert!(took < 1400 * MS, "{took:?}");
}

#[test]
fn garbage_in_the_next_server_id_ends_the_session_with_its_key() {
    let mut world = World::new();
    world.write(Op::put("by-dev/meta/session/id", "many", 0));
    let a = world.start(settings(1));
    world.until("ended", |w| w.status(a).role == Role::Ended);
    let Some(Event::Ended(Some(error))) = world.nodes[a].log.last() else {
        panic!("{:?}", world.nodes[a].log);
    };
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert_eq!(error.detail("key"), Some("by-dev/meta/session/id"));
    assert_eq!(world.store.leases().count(), 0);
}

#[test]
fn a_resigned_session_stands_by_and_the_other_takes_over() {
    let (mut world, a, b) = pair();
    world.ask(a, Request::Resign { standby: 5000 * MS }).unwrap();
    let took = world.until("takeover", |w| w.holds(b));
    assert!(took < 10 * MS, "{took:?}");
    assert_eq!(world.status(a).role, Role::Standby);
}

/// One active session and two standbys, of which the second is ranked first for a moment; then `last` says the priorities.
fn next_after(last: [i32; 2]) -> usize {
    let (mut world, a, b) = pair();
    let c = world.start(settings(3));
    world.until("standby", |w| w.status(c).role == Role::Standby);
    for priorities in [[0, 7], last] {
        for (node, priority) in [b, c].into_iter().zip(priorities) {
            world.ask(node, Request::SetPriority(priority)).unwrap();
        }
        world.pass(1000 * MS);
    }
    world.ask(a, Request::SetPriority(9)).unwrap();
    world.ask(a, Request::Resign { standby: 60_000 * MS }).unwrap();
    world.until("takeover", |w| w.holds(b) || w.holds(c));
    assert_eq!(ended_terms(&world, a), [Reason::Resign], "no priority costs a term");
    if world.holds(b) { 2 } else { 3 }
}

#[test]
fn a_new_priority_changes_who_is_next_and_among_equals_the_older_keeps_its_place() {
    assert_eq!(next_after([0, 7]), 3);
    assert_eq!(next_after([8, 7]), 2);
    assert_eq!(next_after([-1, -1]), 2);
    assert_eq!(next_after([5, 5]), 2);
}

#[test]
fn a_silent_watch_is_made_good_by_the_re_read() {
    let (mut world, a, b) = pair();
    world.nodes[b].watch_silent = true;
    world.ask(a, Request::Stop).unwrap();
    let took = world.until("takeover", |w| w.holds(b));
    assert!(took < 3100 * MS, "{took:?}");
}

#[test]
fn a_compacted_store_is_waited_for_and_a_strangers_put_is_taken_after_the_wait() {
    let (mut world, a, b) = pair();
    world.write(Op::put(ACTIVE, "stranger", 0));
    world.until("lost", |w| !w.holds(a));
    assert_eq!(ended_terms(&world, a), [Reason::Superseded]);
    let took = world.until("taken", |w| w.holds(a) || w.holds(b));
    assert!(took < 1500 * MS, "{took:?}");
    let foreign = |e: &Event| matches!(e, Event::Foreign { key, .. } if key == ACTIVE.as_bytes());
    assert!(world.nodes[b].log.iter().any(foreign));
}

#[test]
fn a_vacant_record_of_one_who_knew_less_does_not_shorten_the_wait() {
    let mut world = World::new();
    let long = Settings { hold: 4000 * MS, ..settings(1) };
    let a = world.start(long);
    world.until("active", |w| w.holds(a));
    let b = world.start(settings(2));
    world.until("standby", |w| w.status(b).role == Role::Standby);
    world.pass(5000 * MS);
    world.nodes[a].watch_silent = true;
    world.fate = Box::new(move |node, _| if node == a { Fate::LoseRequest } else { Fate::Answer });
    world.write(Op::delete(ACTIVE));
    let vacant =
        format!(r#"{{"State":"vacant","Token":0,"HoldMs":1000,"Renewals":0,"SessionID":"{:032x}","ServerID":0}}"#, 0);
    world.write(Op::put(TERM, vacant, 0));
    // The world fails where two hold the role at once.
    let took = world.until("takeover", |w| w.holds(b));
    assert!(took > 4900 * MS && took < 5300 * MS, "{took:?}");
}

#[test]
fn a_member_key_that_cannot_be_written_again_does_not_cost_the_term() {
    let (mut world, a, _) = pair();
    let token = world.status(a).token;
    let member = format!("{ACTIVE}-{}", world.status(a).server_id);
    world.fate = Box::new(move |node, request| match request {
        StoreRequest::Txn(txn) if node == a && txn.success.len() == 1 => match &txn.success[0] {
            Op::Put { key, .. } if *key == member.as_bytes() => Fate::LoseRequest,
            _ => Fate::Answer,
        },
        _ => Fate::Answer,
    });
    let member = format!("{ACTIVE}-{}", world.status(a).server_id);
    world.write(Op::delete(member));
    world.pass(10_000 * MS);
    assert!(world.holds(a) && world.status(a).token == token);
}

#[test]
fn a_term_record_marked_as_released_names_its_token_even_before_the_first_renewal() {
    let mut world = World::new();
    let a = world.start(settings(1));
    world.until("active", |w| w.holds(a));
    let token = world.status(a).token;
    world.revoke_lease_of(a);
    let state = |w: &World| {
        let value = w.store.get(TERM.as_bytes()).unwrap().value.clone();
        serde_json::from_slice::<serde_json::Value>(&value).unwrap()
    };
    world.until("released", |w| state(w)["State"] == "released");
    assert_eq!(state(&world)["Token"], token);
}
