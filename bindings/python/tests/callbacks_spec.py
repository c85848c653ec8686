"""The callback front end."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

import coordha
import support
from coordha import PENDING, EventKind, Reason, Until


def _raised(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [str(record.exc_info[1]) for record in caplog.records if record.exc_info]


def callbacks_run_in_order_on_a_thread_of_the_library(store: support.Store) -> None:
    calls: list[tuple[str, Any, EventKind, int]] = []
    threads = set()

    def note(name: str) -> Any:
        def call(session: coordha.Session, event: coordha.Event) -> None:
            calls.append((name, session, event.kind, event.token))
            threads.add(threading.get_ident())
            if event.kind == EventKind.ACTIVATE:
                session.txn(event.token).put("app/loaded", "yes").commit()

        return call

    keys = store.keys(on_activate=note("activate"), on_deactivate=note("deactivate"), on_event=note("event"))
    with coordha.Session(**keys) as session:
        session.wait(Until.ACTIVE, support.LIMIT)
        for call in (session.next_event, lambda: next(session.terms()), session.fileno):
            with pytest.raises(coordha.UsageError) as caught:
                call()
            assert caught.value.name == "STATE"
        session.stop(support.LIMIT)
    assert all(call[1] is session for call in calls) and threading.get_ident() not in threads
    of_term = [(name, kind) for name, _, kind, _ in calls if kind in (10, 11, 14, 15, 99)]
    assert of_term == [
        ("activate", EventKind.ACTIVATE),
        ("event", EventKind.ACTIVE),
        ("deactivate", EventKind.DEACTIVATE),
        ("event", EventKind.TERM_ENDED),
        ("event", EventKind.ENDED),
    ]


def a_callback_may_answer_later(local: support.Store) -> None:
    tokens: list[int] = []

    def later(session: coordha.Session, event: coordha.Event) -> coordha.Answer:
        tokens.append(event.token)
        return PENDING

    with coordha.Session(**local.keys(on_activate=later, on_deactivate=later)) as session:
        support.wait_until(lambda: tokens, "on_activate")
        session.activation_done(tokens[0])
        assert session.is_active
        session.request_stop()
        support.wait_until(lambda: len(tokens) == 2, "on_deactivate")
        assert session.holds(tokens[0])
        session.deactivation_done(tokens[1])
        session.wait(Until.ENDED, support.LIMIT)


def a_callback_that_raises_is_logged_once_and_ends_the_activation(
    local: support.Store, caplog: pytest.LogCaptureFixture
) -> None:
    reasons: list[Reason | None] = []

    def activate(session: coordha.Session, event: coordha.Event) -> None:
        if not reasons:
            raise ValueError("cannot load")

    def deactivate(session: coordha.Session, event: coordha.Event) -> None:
        reasons.append(event.reason)
        raise ValueError("cannot drain")

    with coordha.Session(**local.keys(on_activate=activate, on_deactivate=deactivate)) as session:
        session.wait(Until.ACTIVE, support.LIMIT)
        session.stop(support.LIMIT)
    assert reasons == [Reason.ACTIVATION_FAILED, Reason.STOP]
    assert _raised(caplog) == ["cannot load", "cannot drain", "cannot drain"]
    assert "on_activate raised" in caplog.text and "Traceback" in caplog.text and "callbacks_spec.py" in caplog.text


def an_on_event_that_raises_ends_the_activation(local: support.Store, caplog: pytest.LogCaptureFixture) -> None:
    ended = threading.Event()
    reasons: list[Reason | None] = []

    def event(session: coordha.Session, event: coordha.Event) -> None:
        if event.kind == EventKind.ACTIVE and not reasons:
            raise ValueError("no room")
        if event.kind == EventKind.TERM_ENDED:
            reasons.append(event.reason)
            ended.set()

    with coordha.Session(**local.keys(on_activate=lambda *_: None, on_event=event)) as session:
        assert ended.wait(support.LIMIT)
        session.wait(Until.ACTIVE, support.LIMIT)
    assert reasons[0] == Reason.RESIGN
    assert _raised(caplog) == ["no room"]


def an_answer_that_is_none_of_the_two_is_a_failure(local: support.Store, caplog: pytest.LogCaptureFixture) -> None:
    answers: list[Any] = [True]
    keys = local.keys(on_activate=lambda *_: answers.pop() if answers else None)
    with coordha.Session(**keys) as session:
        session.wait(Until.ACTIVE, support.LIMIT)
    assert _raised(caplog) == ["on_activate must return None or coordha.PENDING, not bool"]


def waiting_in_a_callback_is_refused_and_closing_is_not(local: support.Store) -> None:
    names: list[str] = []

    def activate(session: coordha.Session, event: coordha.Event) -> None:
        for call in (session.wait, session.stop):
            with pytest.raises(coordha.UsageError) as caught:
                call()
            names.append(caught.value.name)
        session.close()
        names.append(str(session.closed))

    assert coordha.Session(**local.keys(on_activate=activate))
    support.wait_until(lambda: len(names) == 3, "on_activate")
    assert names == ["IN_CALLBACK", "IN_CALLBACK", "True"]


def callbacks_without_on_activate_need_activation_auto(local: support.Store) -> None:
    with pytest.raises(coordha.InvalidArgumentError):
        coordha.Session(**local.keys(on_event=print))
    seen: list[coordha.Event] = []
    keys = local.keys(on_event=lambda _, event: seen.append(event), activation_auto=True)
    with coordha.Session(**keys) as session:
        session.wait(Until.ACTIVE, support.LIMIT)
    assert EventKind.ACTIVE in [event.kind for event in seen]


def a_slow_callback_holds_nobody_up(local: support.Store, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "coordha")
    go_on = threading.Event()
    keys = local.keys(on_activate=lambda *_: go_on.wait(support.LIMIT) and None)
    with coordha.Session(**keys) as slow:
        with coordha.Session(**local.keys(role="index", activation_auto=True)) as quick:
            quick.wait(Until.ACTIVE, support.LIMIT)
        go_on.set()
        slow.wait(Until.ACTIVE, support.LIMIT)


def a_callback_may_use_its_session_before_the_start_has_returned(local: support.Store) -> None:
    names: list[str] = []
    for number in range(50):
        keys = local.keys(on_event=lambda session, _: names.append(session.role_name), activation_auto=True)
        with coordha.Session(**{**keys, "role": f"role{number}"}) as session:
            session.wait(Until.REGISTERED, support.LIMIT)
    assert {f"role{number}" for number in range(50)} == set(names)
