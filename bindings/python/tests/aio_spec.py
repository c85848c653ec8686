"""Sessions and the body of a term, in an event loop."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import Awaitable, Coroutine
from typing import Any, Callable

import pytest

import coordha
import support
from coordha import EventKind, Reason, Role, Until, aio


def _run(body: Coroutine[Any, Any, None]) -> None:
    """Runs it in a loop that complains of what is slow or left over, within the limit."""
    asyncio.run(asyncio.wait_for(body, support.LIMIT), debug=True)


def a_term_is_won_made_ready_and_left_in_order(store: support.Store) -> None:
    seen: list[coordha.Event] = []

    async def body() -> None:
        async with aio.Session(**store.keys()) as session:
            async for term in session.terms(on_event=seen.append):
                async with term:
                    assert (session.role, session.is_active) == (Role.ACTIVATING, False)
                    term.ready()
                    assert session.is_active and term.held
                    done = await term.txn().if_revision("app/n", 0).put("app/n", "1").commit()
                    read = await session.txn(term.token).get("app/n").commit(10.0)
                    assert read.kvs[0].mod_revision == done.revision
                    with pytest.raises(coordha.CompareFailedError) as caught:
                        await term.txn().if_value("app/n", "2").commit()
                    assert caught.value.results.kvs[0].value == b"1"
                    session.request_stop()
                    await term.ending()
                    assert term.held and term.reason == Reason.STOP
        assert session.closed and session.role == Role.ENDED

    _run(body())
    assert [event.kind for event in seen if event.kind in (10, 11, 14, 15, 99)] == [10, 11, 14, 15, 99]


@pytest.mark.parametrize("is_ready", [False, True])
def an_exception_in_the_body_is_logged_once_and_ends_the_term(
    store: support.Store, caplog: pytest.LogCaptureFixture, is_ready: bool
) -> None:
    reasons: list[Reason | None] = []

    async def body() -> None:
        async with aio.Session(**store.keys()) as session:
            async for term in session.terms():
                async with term:
                    if reasons:
                        session.request_stop()
                        continue
                    if is_ready:
                        term.ready()
                    raise ValueError("no such thing")
                reasons.append(term.reason)

    _run(body())
    assert reasons == [Reason.RESIGN if is_ready else Reason.ACTIVATION_FAILED]
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["no such thing"]


def an_on_event_that_raises_is_logged_once_and_ends_the_term(
    local: support.Store, caplog: pytest.LogCaptureFixture
) -> None:
    reasons: list[Reason | None] = []

    async def body() -> None:
        async with aio.Session(**local.keys()) as session:
            async for term in session.terms(on_event=lambda event: support.fail_at_first(event, reasons)):
                async with term:
                    term.ready()
                    if reasons:
                        session.request_stop()
                    await term.ending()
                reasons.append(term.reason)

    _run(body())
    assert reasons == [Reason.RESIGN, Reason.STOP]
    assert [str(record.exc_info[1]) for record in caplog.records if record.exc_info] == ["no room"]


def a_lost_term_cancels_the_block_and_nothing_else(etcd: support.Store, caplog: pytest.LogCaptureFixture) -> None:
    reasons: list[Reason | None] = []

    async def body() -> None:
        async with aio.Session(**etcd.keys()) as session:
            async for term in session.terms():
                async with term:
                    term.ready()
                    if reasons:
                        session.request_stop()
                    else:
                        await asyncio.to_thread(etcd.delete, session.active_key)
                        with pytest.raises(asyncio.CancelledError):
                            await asyncio.Event().wait()
                        await asyncio.sleep(0)
                        raise asyncio.CancelledError
                reasons.append(term.reason)
                task = asyncio.current_task()
                assert task is not None and (sys.version_info < (3, 11) or task.cancelling() == 0)

    _run(body())
    assert reasons == [Reason.KEY_DELETED, Reason.STOP]
    assert [record for record in caplog.records if record.exc_info] == []


def an_activation_that_hangs_is_cancelled(local: support.Store) -> None:
    reasons: list[Reason | None] = []

    async def body() -> None:
        async with aio.Session(**local.keys(activation_timeout_ms=100)) as session:
            async for term in session.terms():
                async with term:
                    if reasons:
                        session.request_stop()
                    else:
                        await asyncio.Event().wait()
                reasons.append(term.reason)

    _run(body())
    assert reasons == [Reason.ACTIVATION_TIMEOUT, Reason.STOP]


def a_drain_that_hangs_is_cancelled_when_its_limit_is_over(local: support.Store) -> None:
    async def body() -> None:
        async with aio.Session(**local.keys(deactivation_timeout_ms=100)) as session:
            async for term in session.terms():
                async with term:
                    term.ready()
                    session.request_stop()
                    await asyncio.Event().wait()
                assert not term.held

    _run(body())


def a_cancel_from_outside_goes_through_and_the_role_is_released(store: support.Store) -> None:
    async def lead(active: asyncio.Event) -> None:
        async with aio.Session(**store.keys()) as session:
            async for term in session.terms():
                async with term:
                    term.ready()
                    active.set()
                    await term.ending()

    async def body() -> None:
        active = asyncio.Event()
        task = asyncio.create_task(lead(active))
        await active.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with aio.Session(**store.keys(activation_auto=True, address="127.0.0.1:7001")) as session:
            await session.wait(Until.ACTIVE, 30)

    _run(body())


def ready_after_a_stop_is_fenced_and_no_failure(local: support.Store, caplog: pytest.LogCaptureFixture) -> None:
    async def body() -> None:
        async with aio.Session(**local.keys()) as session:
            async for term in session.terms():
                async with term:
                    session.request_stop()
                    term.ready()
                    raise AssertionError("it must not be ready")

    _run(body())
    assert [record for record in caplog.records if record.exc_info] == []


def terms_raise_what_ended_the_session(store: support.Store) -> None:
    async def body() -> None:
        async with aio.Session(**store.keys(activation_auto=True)) as first:
            await first.wait(Until.ACTIVE, support.LIMIT)
            with pytest.raises(coordha.UsageError):
                first.terms()
            keys = store.keys(active_standby=False, exclusive_wait_ms=0, address="127.0.0.1:7001")
            async with aio.Session(**keys) as second:
                with pytest.raises(coordha.RoleHeldError):
                    async for _ in second.terms():
                        raise AssertionError("the role is held")
                with pytest.raises(coordha.UsageError):
                    second.terms()
                with pytest.raises(coordha.UsageError):
                    await second.next_event()

    _run(body())


def events_are_read_and_answered_by_hand(store: support.Store) -> None:
    kinds: list[EventKind] = []

    async def body() -> None:
        async with aio.Session(**store.keys()) as session:
            async for event in session.events():
                if event.kind not in support.NOISE:
                    kinds.append(event.kind)
                if event.kind == EventKind.ACTIVATE:
                    session.activation_done(event.token)
                    session.request_stop()
                elif event.kind == EventKind.DEACTIVATE:
                    session.deactivation_done(event.token)
            with pytest.raises(coordha.EndedError):
                await session.next_event()
            await session.stop(1.0)

    _run(body())
    assert kinds[0] == EventKind.REGISTERED and kinds[-1] == EventKind.ENDED


def a_cancelled_read_loses_no_event(local: support.Store) -> None:
    async def body() -> None:
        async with aio.Session(**local.keys(activation_auto=True)) as session:
            kinds: list[EventKind] = []
            while EventKind.ACTIVE not in kinds:
                # Cancelled at every possible instant: before it begins, while it waits, and with its event in hand.
                task = asyncio.ensure_future(session.next_event())
                for _ in range(len(kinds) % 3):
                    await asyncio.sleep(0)
                task.cancel()
                try:
                    kinds.append((await task).kind)
                except asyncio.CancelledError:
                    kinds.append((await session.next_event()).kind)
            assert kinds[:2] == [EventKind.REGISTERED, EventKind.STANDBY]
            assert kinds.index(EventKind.ACTIVATE) < kinds.index(EventKind.ACTIVE)

    _run(body())


def close_ends_all_that_waits(local: support.Store) -> None:
    async def read(session: aio.Session) -> None:
        while True:
            await session.next_event()

    async def body() -> None:
        session = aio.Session(**local.keys(election_paused=True))
        waits: list[Awaitable[Any]] = [
            read(session),
            session.wait(Until.ACTIVE),
            session.wait(Until.TERM_ENDING),
        ]
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        await asyncio.sleep(0)
        await session.close()
        await session.close()
        errors = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(error) for error in errors] == [coordha.ClosedError, coordha.ClosedError, type(None)]
        calls: list[Callable[[], Awaitable[Any]]] = [session.next_event, session.wait, session.stop]
        for call in calls:
            with pytest.raises(coordha.ClosedError):
                await call()

    _run(body())


def use_after_close_is_an_error(store: support.Store) -> None:
    async def body() -> None:
        session = aio.Session(**store.keys(activation_auto=True))
        await session.wait(Until.ACTIVE, support.LIMIT)
        token, txn = session.fencing_token, session.txn(session.fencing_token)
        await session.close()
        session.request_stop()
        assert session.closed and not session.is_active and not session.holds(token) and session.is_ending(token)
        calls: list[Callable[[], Any]] = [
            session.resign, session.pause, session.resume, session.fileno, lambda: session.set_priority(1),
            lambda: session.activation_done(token), lambda: session.deactivation_done(token), lambda: session.holder,
            lambda: session.active_key, lambda: session.role_name, lambda: session.txn(token),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(coordha.ClosedError):
                call()
        with pytest.raises(coordha.FencedError):
            await txn.put("app/late", "x").commit()
        with pytest.raises(coordha.ClosedError):
            await session.events().__anext__()
        observer = aio.Observer(role="queue", store_url=store.url, root=store.root)
        await observer.close()
        await observer.close()
        with pytest.raises(coordha.ClosedError):
            await observer.next_event()

    _run(body())


def waiting_has_limits(local: support.Store) -> None:
    async def body() -> None:
        async with aio.Session(**local.keys(election_paused=True)) as session:
            with pytest.raises(coordha.TimeoutError):
                await session.wait(Until.ACTIVE, 0.01)

    _run(body())


def a_session_belongs_to_one_loop(local: support.Store) -> None:
    with pytest.raises(RuntimeError):
        aio.Session(**local.keys())

    async def body() -> None:
        async with aio.Session(**local.keys()) as session:
            errors: list[BaseException] = []

            def elsewhere() -> None:
                try:
                    asyncio.run(session.wait())
                except coordha.UsageError as error:
                    errors.append(error)

            thread = threading.Thread(target=elsewhere)
            thread.start()
            await asyncio.to_thread(thread.join)
            assert len(errors) == 1

    _run(body())


def many_sessions_wait_without_a_thread_each(local: support.Store) -> None:
    async def body() -> None:
        before = threading.active_count()
        sessions = [aio.Session(**local.keys(role=f"role{n}", activation_auto=True)) for n in range(30)]
        await asyncio.gather(*(session.wait(Until.ACTIVE, support.LIMIT) for session in sessions))
        assert threading.active_count() <= before + 1, "the log's thread, and no other"
        await asyncio.gather(*(session.close() for session in sessions))

    logging.getLogger("coordha").setLevel(logging.NOTSET)
    _run(body())
