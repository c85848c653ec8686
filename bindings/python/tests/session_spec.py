"""Sessions and the body of a term, with threads."""

from __future__ import annotations

import logging
import pickle
import select
import threading
from typing import Any, Callable

import pytest

import coordha
import support
from coordha import EventKind, Reason, Role, Until


def _raised(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.exc_info]


def a_term_is_won_made_ready_and_left_in_order(store: support.Store) -> None:
    seen: list[coordha.Event] = []
    with coordha.Session(**store.keys()) as session:
        for term in session.terms(on_event=seen.append):
            with term:
                assert (session.role, session.is_active, term.held) == (Role.ACTIVATING, False, True)
                term.ready()
                assert session.is_active and session.holds(term.token) and 0 < session.remaining_ms <= 5000
                assert session.fencing_token == term.token and not term.is_ending
                session.request_stop()
                assert not session.is_active
                assert term.ending()
                assert term.is_ending and term.held and term.reason == Reason.STOP
        assert session.role == Role.ENDED
    kinds = [event.kind for event in seen if event.kind not in support.NOISE]
    before = [EventKind.REGISTERED, EventKind.STANDBY]
    of_term = [EventKind.ACTIVATE, EventKind.ACTIVE, EventKind.DEACTIVATE, EventKind.TERM_ENDED]
    assert kinds == [*before, *of_term, EventKind.ENDED]
    assert all(event.role_name == "queue" and event.at_ms > 0 and event.text in repr(event) for event in seen)


def a_standby_takes_over_and_names_the_holder(store: support.Store) -> None:
    first = coordha.Session(**store.keys(activation_auto=True))
    first.wait(Until.ACTIVE, support.LIMIT)
    token, server_id = first.fencing_token, first.server_id
    with coordha.Session(**store.keys(address="127.0.0.1:7001", activation_auto=True)) as second:
        holder = support.wait_until(lambda: second.holder, "the holder is known")
        assert (holder.address, holder.server_id, holder.token) == ("127.0.0.1:7000", server_id, token)
        assert holder == first.holder and hash(holder) == hash(first.holder)
        first.close()
        second.wait(Until.ACTIVE, support.LIMIT)
        assert second.fencing_token > token


@pytest.mark.parametrize("is_ready", [False, True])
def an_exception_in_the_body_is_logged_once_and_ends_the_term(
    store: support.Store, caplog: pytest.LogCaptureFixture, is_ready: bool
) -> None:
    tokens: list[int] = []
    reasons: list[Reason | None] = []
    with coordha.Session(**store.keys()) as session:
        for term in session.terms():
            with term:
                tokens.append(term.token)
                if len(tokens) == 1:
                    if is_ready:
                        term.ready()
                    raise ValueError("no such thing")
                session.request_stop()
            reasons.append(term.reason)
    assert tokens[0] < tokens[1]
    assert reasons == [Reason.RESIGN if is_ready else Reason.ACTIVATION_FAILED, Reason.STOP]
    (record,) = _raised(caplog)
    assert record.exc_info and "no such thing" in str(record.exc_info[1]) and record.name == "coordha"


def an_on_event_that_raises_is_logged_once_and_ends_the_term(
    local: support.Store, caplog: pytest.LogCaptureFixture
) -> None:
    reasons: list[Reason | None] = []

    with coordha.Session(**local.keys()) as session:
        for term in session.terms(on_event=lambda event: support.fail_at_first(event, reasons)):
            with term:
                term.ready()
                if reasons:
                    session.request_stop()
                assert term.ending(support.LIMIT)
            reasons.append(term.reason)
    assert reasons == [Reason.RESIGN, Reason.STOP]
    assert [str(record.exc_info[1]) for record in _raised(caplog) if record.exc_info] == ["no room"]


def a_body_that_returns_early_resigns_and_one_that_was_never_ready_has_failed(local: support.Store) -> None:
    reasons: list[Reason | None] = []
    with coordha.Session(**local.keys()) as session:
        for term in session.terms():
            with term:
                if not reasons:
                    term.ready()
                if len(reasons) == 2:
                    session.request_stop()
            reasons.append(term.reason)
    assert reasons == [Reason.RESIGN, Reason.ACTIVATION_FAILED, Reason.STOP]


def a_term_that_nobody_entered_is_given_back(local: support.Store) -> None:
    reasons: list[Reason | None] = []
    with coordha.Session(**local.keys()) as session:
        before = None
        for term in session.terms():
            if before is not None:
                reasons.append(before.reason)
                session.request_stop()
            before = term
    assert reasons == [Reason.ACTIVATION_FAILED]


def ready_after_a_stop_is_fenced_and_no_failure(local: support.Store, caplog: pytest.LogCaptureFixture) -> None:
    with coordha.Session(**local.keys()) as session:
        for term in session.terms():
            with term:
                session.request_stop()
                term.ready()
                raise AssertionError("it must not be ready")
        assert term.reason == Reason.STOP
    assert _raised(caplog) == []


def an_interrupt_goes_through_and_the_role_is_released(store: support.Store) -> None:
    with pytest.raises(KeyboardInterrupt), coordha.Session(**store.keys(lease_ttl_ms=60000)) as session:
        for term in session.terms():
            with term:
                term.ready()
                raise KeyboardInterrupt
    with coordha.Session(**store.keys(activation_auto=True, address="127.0.0.1:7001")) as session:
        session.wait(Until.ACTIVE, 30)


def a_lost_term_ends_and_is_not_held(etcd: support.Store) -> None:
    reasons: list[Reason | None] = []
    with coordha.Session(**etcd.keys()) as session:
        for term in session.terms():
            with term:
                term.ready()
                if reasons:
                    session.request_stop()
                    break
                etcd.delete(session.active_key)
                assert term.ending(support.LIMIT)
                assert not term.held
                with pytest.raises(coordha.FencedError):
                    term.txn().put("app/late", b"x").commit()
            reasons.append(term.reason)
    assert reasons == [Reason.KEY_DELETED]


def the_end_of_a_term_is_seen_by_other_threads(local: support.Store) -> None:
    with coordha.Session(**local.keys()) as session:
        for term in session.terms():
            with term:
                assert term.ending(0.0) is False
                term.ready()
                found: list[bool] = []
                thread = threading.Thread(target=lambda: found.append(term.ending(support.LIMIT)))
                thread.start()
                session.request_stop()
                thread.join(support.LIMIT)
                assert found == [True]


def an_exclusive_session_ends_with_who_holds_the_role(store: support.Store) -> None:
    with coordha.Session(**store.keys(activation_auto=True)) as first:
        first.wait(Until.ACTIVE, support.LIMIT)
        keys = store.keys(active_standby=False, exclusive_wait_ms=0, address="127.0.0.1:7001")
        with coordha.Session(**keys) as second:
            with pytest.raises(coordha.RoleHeldError) as caught:
                next(second.terms())
            assert caught.value.fatal and caught.value.details["holder_address"] == "127.0.0.1:7000"
            with pytest.raises(coordha.RoleHeldError):
                second.wait(Until.ENDED, support.LIMIT)


def events_are_read_and_answered_by_hand(store: support.Store) -> None:
    kinds = []
    with coordha.Session(**store.keys()) as session:
        for event in session.events():
            if event.kind not in support.NOISE:
                kinds.append(event.kind)
            if event.kind == EventKind.ACTIVATE:
                failed = {"failed": "not today", "code": 10001} if kinds.count(event.kind) == 1 else {}
                session.activation_done(event.token, **failed)  # type: ignore[arg-type]
            elif event.kind == EventKind.ACTIVE:
                with pytest.raises(coordha.UsageError) as caught:
                    session.deactivation_done(event.token)
                assert caught.value.name == "STATE"
                session.resign(standby=0.001) if kinds.count(event.kind) == 1 else session.request_stop()
            elif event.kind == EventKind.DEACTIVATE:
                if event.reason == Reason.ACTIVATION_FAILED:
                    assert event.error and event.error.details["code"] == "10001" and "not today" in event.error.message
                session.deactivation_done(event.token)
                # It may have ended meanwhile.
                with pytest.raises((coordha.FencedError, coordha.EndedError)):
                    session.deactivation_done(event.token)
        with pytest.raises(coordha.EndedError):
            session.next_event()
    assert kinds.count(EventKind.TERM_ENDED) == 3 and kinds[-1] == EventKind.ENDED


def the_descriptor_tells_of_events(local: support.Store) -> None:
    with coordha.Session(**local.keys()) as session:
        assert select.select([session], [], [], support.LIMIT)[0] == [session]
        while True:
            try:
                session.next_event(0)
            except coordha.TimeoutError:
                break


def waiting_has_limits(local: support.Store) -> None:
    with coordha.Session(**local.keys(election_paused=True)) as session:
        session.wait(Until.REGISTERED, support.LIMIT)
        for until, timeout in ((Until.ACTIVE, 0.01), (Until.ENDED, 0)):
            with pytest.raises(coordha.TimeoutError) as caught:
                session.wait(until, timeout)
            assert caught.value.retriable
        session.resume()
        assert next(session.terms())
        session.pause()


def a_session_may_be_waited_for_and_stopped_from_another_thread(store: support.Store) -> None:
    with coordha.Session(**store.keys(activation_auto=True)) as session:
        session.wait(Until.ACTIVE, support.LIMIT)
        waiter = threading.Thread(target=session.wait, daemon=True)
        waiter.start()
        session.stop(support.LIMIT)
        waiter.join(support.LIMIT)
        assert not waiter.is_alive() and not session.is_active


def use_after_close_is_an_error(store: support.Store) -> None:
    session = coordha.Session(**store.keys(activation_auto=True))
    session.wait(Until.ACTIVE, support.LIMIT)
    token = session.fencing_token
    txn = session.txn(token)
    session.close()
    session.close()
    session.request_stop()
    assert session.closed and not session.is_active and not session.holds(token) and session.is_ending(token)
    assert (session.role, session.fencing_token, session.remaining_ms) == (Role.ENDED, 0, 0)
    calls: list[Callable[[], Any]] = [
        session.next_event, session.wait, session.stop, session.resign, session.pause, session.resume, session.fileno,
        lambda: session.set_priority(1), lambda: session.activation_done(token), lambda: session.deactivation_done(token), lambda: session.txn(token),
        lambda: session.holder, lambda: session.active_key, lambda: session.role_name, lambda: list(session.events()),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(coordha.ClosedError):
            call()
    with pytest.raises(coordha.FencedError):
        txn.put("app/late", "x").commit()


def close_ends_calls_that_wait(local: support.Store) -> None:
    session = coordha.Session(**local.keys(election_paused=True))
    errors: list[BaseException] = []

    def read() -> None:
        try:
            while True:
                session.next_event()
        except coordha.Error as error:
            errors.append(error)

    threads = [threading.Thread(target=read, daemon=True) for _ in range(3)]
    for thread in threads:
        thread.start()
    session.close()
    for thread in threads:
        thread.join(support.LIMIT)
    assert [type(error) for error in errors] == [coordha.ClosedError] * 3


def the_same_role_twice_with_one_address_is_refused(local: support.Store) -> None:
    with coordha.Session(**local.keys()):
        with pytest.raises(coordha.UsageError) as caught:
            coordha.Session(**local.keys())
        assert caught.value.name == "ALREADY_STARTED"


def two_roles_live_in_one_process(store: support.Store) -> None:
    with coordha.Session(**store.keys(activation_auto=True)) as one:
        with coordha.Session(**store.keys(activation_auto=True, role="index")) as other:
            one.wait(Until.ACTIVE, support.LIMIT)
            other.wait(Until.ACTIVE, support.LIMIT)
        assert one.is_active and not other.is_active


def a_session_cannot_be_pickled_nor_used_before_it_is_started(local: support.Store) -> None:
    with coordha.Session(**local.keys()) as session:
        with pytest.raises(TypeError, match="pickled"):
            pickle.dumps(session)
        with pytest.raises(coordha.UsageError):
            session.__init__(**local.keys())  # type: ignore[misc]
    bare = coordha.Session.__new__(coordha.Session)
    assert not bare.is_active and bare.role == Role.ENDED
    with pytest.raises(coordha.UsageError) as caught:
        bare.resign()
    assert caught.value.name == "STATE"


def terms_and_activation_auto_exclude_each_other(local: support.Store) -> None:
    with coordha.Session(**local.keys(activation_auto=True)) as session, pytest.raises(coordha.UsageError):
        next(session.terms())


def a_session_that_nobody_holds_any_more_warns_and_lets_its_role_go(store: support.Store) -> None:
    session = coordha.Session(**store.keys(activation_auto=True))
    session.wait(Until.ACTIVE, support.LIMIT)
    with pytest.warns(ResourceWarning, match="unclosed coordha._session.Session of the role 'queue'"):
        del session
    with coordha.Session(**store.keys(activation_auto=True, address="127.0.0.1:7001")) as session:
        session.wait(Until.ACTIVE, support.LIMIT)


def hundreds_of_sessions_start_and_stop(local: support.Store) -> None:
    for _ in range(200):
        coordha.Session(**local.keys()).close()
