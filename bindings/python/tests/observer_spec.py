"""Who is active, seen from outside."""

from __future__ import annotations

import asyncio
import builtins
import pydoc
import select
import threading
from typing import TYPE_CHECKING

import pytest

import coordha
import support
from coordha import EventKind, Until, aio

if TYPE_CHECKING:
    from coordha._keys import Keys


def _keys(store: support.Store) -> Keys:
    return {"role": "queue", "store_url": store.url, "root": store.root}


def an_observer_sees_terms_come_and_go_by_growing_token(store: support.Store) -> None:
    with coordha.Observer(**_keys(store)) as observer:
        assert observer.next_event(support.LIMIT).holder is None
        assert observer.current() is None and observer.role_name == "queue"
        tokens = []
        for port in (7000, 7001, 7002):
            with coordha.Session(**store.keys(address=f"127.0.0.1:{port}", activation_auto=True)) as session:
                session.wait(Until.ACTIVE, support.LIMIT)
                event = observer.next_event(support.LIMIT)
                while event.holder is None or event.address != f"127.0.0.1:{port}":
                    event = observer.next_event(support.LIMIT)
                assert (event.kind, event.server_id) == (EventKind.HOLDER, session.server_id)
                assert observer.current() == event.holder
                tokens.append(event.token)
        assert tokens == sorted(set(tokens))
        assert select.select([observer], [], [], support.LIMIT)[0]


def a_slow_reader_gets_the_newest_and_is_told_what_it_missed(local: support.Store) -> None:
    with coordha.Observer(**_keys(local)) as observer:
        for _ in range(3):
            with coordha.Session(**local.keys(activation_auto=True)) as session:
                session.wait(Until.ACTIVE, support.LIMIT)
                support.wait_until(observer.current, "it is seen")
        support.wait_until(lambda: observer.current() is None, "nobody is active")
        event = observer.next_event(support.LIMIT)
        assert event.holder is None and event.missed > 0


def an_observer_that_is_stopped_or_closed_gives_no_more(local: support.Store) -> None:
    observer = coordha.Observer(**_keys(local))
    thread = threading.Thread(target=lambda: list(observer.events()), daemon=True)
    thread.start()
    observer.request_stop()
    thread.join(support.LIMIT)
    assert not thread.is_alive()
    with pytest.raises(coordha.EndedError):
        observer.next_event()
    observer.close()
    observer.close()
    observer.request_stop()
    for call in (observer.next_event, observer.current, observer.fileno, lambda: observer.role_name):
        with pytest.raises(coordha.ClosedError):
            call()
    assert observer.closed


def a_bad_configuration_of_an_observer_is_refused(local: support.Store) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        coordha.Observer(rule="queue")  # type: ignore[call-arg]
    with pytest.raises(coordha.ConfigError) as caught:
        coordha.Observer(store_url=local.url)
    assert caught.value.key == "role"
    for keys in ({"store_url": "local:/proc/nope"}, {"store_etcd_tls": True, "store_etcd_tls_ca": "/proc/nope"}):
        with pytest.raises(coordha.ConfigValueError):
            coordha.Observer(role="queue", **keys)


def the_words_on_an_observer_say_what_the_header_says() -> None:
    words = " ".join(pydoc.plain(pydoc.render_doc(coordha.Observer)).replace("|", " ").split())
    for part in (
        "how many seconds to wait",
        "lower than the highest they have seen",
        "election.reread_ms",
        "from many threads at once",
        "restored from a backup",
        *("EndedError", "RegressedError", "CorruptError", "ClosedError", "ForkedError", "InvalidArgumentError"),
        *("UnavailableError", "AuthError", "PermissionError", "TlsError", "ConfigError", "ResourcesError"),
    ):
        assert part in words, part
    for name in words.replace("`", " ").replace(",", " ").replace(".", " ").replace(";", " ").split():
        assert not name.endswith("Error") or hasattr(coordha, name) or hasattr(builtins, name), name


def a_limit_is_in_seconds_and_not_negative(local: support.Store) -> None:
    with coordha.Observer(**_keys(local)) as observer:
        assert observer.next_event(support.LIMIT).holder is None
        with pytest.raises(coordha.TimeoutError):
            observer.next_event(0)
        with pytest.raises(coordha.InvalidArgumentError):
            observer.next_event(-1)


def an_event_loop_may_observe(store: support.Store) -> None:
    async def body() -> None:
        async with aio.Observer(**_keys(store)) as observer:
            async with aio.Session(**store.keys(activation_auto=True)) as session:
                async for event in observer.events():
                    if event.holder is not None:
                        assert event.server_id == session.server_id
                        assert observer.current() == event.holder
                        break
            assert (await observer.next_event()).holder is None
            task = asyncio.ensure_future(observer.next_event())
            await asyncio.sleep(0)
        with pytest.raises(coordha.ClosedError):
            await task
        assert [event async for event in observer.events()] == []

    asyncio.run(asyncio.wait_for(body(), support.LIMIT), debug=True)


def a_process_that_ends_with_an_observer_ends_in_order(store: support.Store) -> None:
    code = """
observer = coordha.Observer(role="queue", store_url=store, root=root)
threading.Thread(target=lambda: list(observer.events()), daemon=True).start()
child = os.fork()
if child == 0:
    try:
        observer.current()
    except coordha.ForkedError:
        sys.exit(0)
    sys.exit(1)
print(os.waitpid(child, 0)[1])
"""
    ignore = "import warnings; warnings.simplefilter('ignore', DeprecationWarning)"
    assert store.prints(ignore + code) == ["0"]
