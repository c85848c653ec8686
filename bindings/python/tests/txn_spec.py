"""Guarded transactions."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import coordha
import support
from coordha import Until


@pytest.fixture
def session(store: support.Store) -> Iterator[coordha.Session]:
    with coordha.Session(**store.keys(activation_auto=True)) as session:
        session.wait(Until.ACTIVE, support.LIMIT)
        yield session


def what_is_put_is_read_again(session: coordha.Session) -> None:
    txn = session.txn(session.fencing_token)
    done = txn.put("app/a", "1").put(b"app/\x00b", bytearray(b"\xff")).put_leased("app/c", b"").commit()
    read = session.txn(txn.token).get("app/a").get_prefix(b"app/", limit=2).get("app/none").commit(10.0)
    assert [(kv.key, kv.value) for kv in read.kvs] == [(b"app/a", b"1"), (b"app/\x00b", b"\xff"), (b"app/a", b"1")]
    assert all(kv.mod_revision == done.revision for kv in read.kvs) and read.revision >= done.revision
    assert "app/a" in repr(read) and "app/a" in repr(read.kvs[0])
    session.txn(txn.token).delete("app/a").delete_prefix("app/c").commit()
    left = session.txn(txn.token).get_prefix("app/").commit()
    assert [kv.key for kv in left.kvs] == [b"app/\x00b"]


def a_failed_compare_brings_the_present_values(session: coordha.Session) -> None:
    token = session.fencing_token
    done = session.txn(token).if_revision("app/n", 0).put("app/n", "1").commit()
    with pytest.raises(coordha.CompareFailedError) as caught:
        session.txn(token).if_revision("app/n", 0).put("app/n", "2").commit()
    (present,) = caught.value.results.kvs
    assert (present.key, present.value, present.mod_revision) == (b"app/n", b"1", done.revision)
    session.txn(token).if_value("app/n", "1").put("app/n", "2").commit()


def a_transaction_of_another_term_is_fenced(session: coordha.Session) -> None:
    for token in (0, session.fencing_token - 1, session.fencing_token + 1):
        with pytest.raises(coordha.FencedError):
            session.txn(token).put("app/x", "x").commit()


def a_transaction_serves_once(session: coordha.Session) -> None:
    txn = session.txn(session.fencing_token).put("app/x", "x")
    txn.commit()
    for again in (txn.commit, lambda: txn.put("app/y", "y")):
        with pytest.raises(coordha.UsageError) as caught:
            again()
        assert caught.value.name == "STATE"


def the_first_wrong_key_is_the_error_of_the_commit(session: coordha.Session) -> None:
    token = session.fencing_token
    bad = {
        "INVALID_ARGUMENT": [
            session.txn(token).put("", "x").put("y" * 5000, ""),
            session.txn(token).put(session.active_key, "x"),
            session.txn(token).put("app/x", "1").put("app/x", "2"),
            session.txn(token).if_revision("app/x", -1),
            session.txn(token).get_prefix("app/", -1),
        ],
        "TOO_LARGE": [session.txn(token).put("y" * 5000, "x"), session.txn(token).put("app/x", b"x" * (1 << 20))],
    }
    for name, txns in bad.items():
        for txn in txns:
            with pytest.raises(coordha.Error) as caught:
                txn.commit()
            assert caught.value.name == name


def wrong_types_fail_at_the_call(session: coordha.Session) -> None:
    txn = session.txn(session.fencing_token)
    with pytest.raises(TypeError, match="bytes or str, not int"):
        txn.put("app/x", 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        txn.if_revision("app/x", "1")  # type: ignore[arg-type]
    with pytest.raises(UnicodeEncodeError):
        txn.put("app/\ud800", "x")
    with pytest.raises(TypeError):
        session.txn(1.5)  # type: ignore[arg-type]
    with pytest.raises(coordha.TimeoutError):
        txn.commit(0)
