//! A process that forks while it has a session.

use std::io::{Read, Write};
use std::time::Duration;

use coordha::error::ErrorKind;
use coordha::kv::Revision;
use coordha::session::{EventKind, Observer, Role, Session, Until};
use fork::Fork;
use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, waitpid};

use crate::world::{PATIENCE, Place, stop};

/// What a session answers where the role is held, and where it is not. No lock is taken: another thread may have had it
/// at the fork.
fn answers(session: &Session, token: Revision) -> [bool; 6] {
    [
        session.is_active(),
        session.holds(token),
        session.fencing_token() == token,
        session.remaining() > Duration::ZERO,
        !session.is_ending(token),
        session.role() == Role::Active,
    ]
}

/// Whether each is refused because of the fork.
fn refusals(session: &Session, token: Revision) -> [bool; 8] {
    let limit = Some(Duration::ZERO);
    [
        session.next_event(limit).map(drop),
        session.wait(Until::Ended, limit),
        session.stop(limit),
        session.activation_done(token, Ok(())),
        session.deactivation_done(token),
        session.pause(),
        session.txn(token).commit(limit).map(drop),
        session.txn(token).submit(1, None),
    ]
    .map(|answer| answer.is_err_and(|error| error.kind() == ErrorKind::Forked))
}

/// What `work` gives in a forked child, which then goes without a trace.
fn in_child<const N: usize>(work: impl FnOnce() -> [bool; N]) -> [bool; N] {
    let (mut reader, mut writer) = std::io::pipe().unwrap();
    let Fork::Parent(pid) = fork::fork().unwrap() else {
        // One that hangs, maybe at a lock, is ended.
        nix::unistd::alarm::set(60);
        let _ = writer.write_all(&work().map(u8::from));
        let _ = kill_process(getpid(), Signal::KILL);
        unreachable!("it is dead");
    };
    drop(writer);
    let mut said = [0; N];
    reader.read_exact(&mut said).unwrap();
    let (_, status) = waitpid(Pid::from_raw(pid), WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.terminating_signal(), Some(Signal::KILL.as_raw()), "it came to its end");
    said.map(|byte| byte == 1)
}

#[test]
fn f47_a_forked_child_of_an_active_process_is_not_active() {
    let place = Place::new();
    let (session, token) = place.active(1);
    assert_eq!(answers(&session, token), [true; 6]);
    assert_eq!(in_child(|| answers(&session, token)), [false; 6]);
    assert_eq!(answers(&session, token), [true; 6], "the parent is not concerned");
    stop(&session);
}

#[test]
fn the_metrics_of_a_forked_child_begin_with_nothing() {
    let place = Place::new();
    let (session, _) = place.active(1);
    let of_a_session = || coordha::metrics::text().contains("coordha_session_active{");
    let of_a_build = || coordha::metrics::text().contains("coordha_build_info{");
    assert_eq!(in_child(|| [of_a_build(), of_a_session()]), [true, false]);
    assert_eq!([of_a_build(), of_a_session()], [true, true], "the parent is not concerned");
    stop(&session);
}

#[test]
fn a_forked_child_has_no_part_in_an_observer() {
    let place = Place::new();
    let config = crate::observer::config(&place.url());
    let observer = Observer::start(&config).unwrap();
    assert_eq!(observer.next_event(Some(PATIENCE)).unwrap().address(), None);
    let refused = in_child(|| {
        observer.request_stop();
        drop(observer.clone());
        let limit = Some(Duration::ZERO);
        [
            observer.next_event(limit).map(drop),
            observer.current().map(drop),
            observer.event_fd().map(drop),
            Observer::start(&config).map(drop),
        ]
        .map(|answer| answer.is_err_and(|error| error.kind() == ErrorKind::Forked))
    });
    assert_eq!(refused, [true; 4]);
    let (session, token) = place.active(1);
    assert_eq!(observer.next_event(Some(PATIENCE)).unwrap().token(), token);
    stop(&session);
}

#[test]
fn f47_a_forked_child_is_refused_whatever_it_asks_and_cannot_end_its_parents_session() {
    let place = Place::new();
    let (session, token) = place.active(1);
    assert_eq!(in_child(|| refusals(&session, token)), [true; 8]);
    in_child(|| {
        session.request_stop();
        session.clone().close();
        drop(session.clone());
        []
    });
    assert_eq!(answers(&session, token), [true; 6]);
    session.request_stop();
    let ended = crate::world::leave(&session);
    assert_eq!(ended.kind(), EventKind::Ended);
}
