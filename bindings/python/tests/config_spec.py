"""Bad configuration fails at the call, with key, value and what is allowed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import coordha
import support


@pytest.mark.parametrize("key", coordha.Config.arguments())
def a_bad_value_of_each_key_is_refused_by_name(key: str) -> None:
    with pytest.raises(coordha.ConfigError) as caught:
        coordha.Config().set(key, "bad\x07")
    error = caught.value
    assert (error.code, error.name, error.key) == (201 + 1, "CONFIG_VALUE", key)
    assert error.allowed and key in str(error)
    assert error.value == ("***" if key.endswith("password") else "bad\\u{7}")


def an_unknown_keyword_argument_is_a_type_error_that_knows_better(local: support.Store) -> None:
    for wrong, meant in [
        ("lease_ttl", "lease_ttl_ms"),
        ("LEASE_TTL_MS", "lease_ttl_ms"),
        ("lease.ttl_ms", "lease_ttl_ms"),
        ("active_standby_enabled", "active_standby"),
        ("store_etcd_tls_enabled", "store_etcd_tls"),
    ]:
        words = re.escape(f"unexpected keyword argument '{wrong}'; did you mean {meant}?")
        with pytest.raises(TypeError, match=f"{words}$"):
            coordha.Session(**local.keys(**{wrong: 60000}))
    with pytest.raises(TypeError, match="unexpected keyword argument 'ON_EVENT'") as caught:
        coordha.Session(**local.keys(ON_EVENT=print))
    assert "lease_ttl_ms" in str(caught.value) and "." not in str(caught.value)


@pytest.mark.parametrize(
    ("argument", "value", "words"),
    [
        ("lease_ttl_ms", "60000", "lease_ttl_ms must be int, not str"),
        ("lease_ttl_ms", 60000.0, "lease_ttl_ms must be int, not float"),
        ("priority", True, "priority must be int, not bool"),
        ("active_standby", 1, "active_standby must be bool, not int"),
        ("active_standby", "true", "active_standby must be bool, not str"),
        ("address", None, "address must be str, not NoneType"),
        ("role", b"queue", "role must be str, not bytes"),
        ("on_event", "print", "on_event must be callable, not str"),
    ],
)
def a_value_of_a_wrong_type_is_a_type_error(local: support.Store, argument: str, value: object, words: str) -> None:
    with pytest.raises(TypeError, match=words):
        coordha.Session(**local.keys(**{argument: value}))


def a_value_out_of_range_tells_the_range() -> None:
    with pytest.raises(coordha.ConfigError) as caught:
        coordha.Session(role="queue", address="127.0.0.1:1", lease_ttl_ms=5)
    error = caught.value
    assert (error.key, error.value) == ("lease.ttl_ms", "5")
    assert error.allowed == "a whole number of ms from 2000 to 300000"
    assert (error.retriable, error.fatal) == (False, False)


def a_number_beyond_any_machine_word_is_a_value_that_is_not_allowed() -> None:
    with pytest.raises(coordha.ConfigError):
        coordha.Config(priority=10**40)


def what_is_missing_and_what_contradicts_is_told(local: support.Store) -> None:
    with pytest.raises(coordha.ConfigError) as caught:
        coordha.Session(role="queue")
    assert (caught.value.name, caught.value.key) == ("CONFIG_MISSING", "address")
    with pytest.raises(coordha.ConfigError) as caught:
        coordha.Session(**local.keys(lease_ttl_ms=2000, election_hold_ms=5000))
    assert caught.value.name == "CONFIG_CONFLICT"


def a_config_is_a_value_that_sessions_copy(local: support.Store) -> None:
    config = coordha.Config(**local.keys(store_etcd_user="u"))
    config.set("store.etcd.password", "secret")
    config.set("lease.ttl_ms", 30000)
    assert (config.get("lease.ttl_ms"), config.get("no.such"), config.get("priority")) == ("30000", None, "0")
    assert "secret" not in repr(config) and "30000" in repr(config)
    config.check()
    with coordha.Session(config, role="other") as session:
        assert session.role_name == "other"
    assert config.get("role") == "queue"


def a_key_set_by_hand_has_to_be_known_and_of_its_type() -> None:
    config = coordha.Config()
    with pytest.raises(coordha.ConfigError) as caught:
        config.set("leese.ttl_ms", 1)
    assert (caught.value.name, caught.value.key) == ("CONFIG_KEY", "leese.ttl_ms")
    with pytest.raises(TypeError, match="must be int, not bool"):
        config.set("lease.ttl_ms", True)


def a_time_limit_is_not_negative_nor_a_text(local: support.Store) -> None:
    with coordha.Session(**local.keys()) as session:
        for timeout in (-1.0, float("nan")):
            with pytest.raises(coordha.InvalidArgumentError) as caught:
                session.next_event(timeout)
            assert caught.value.allowed
        with pytest.raises(TypeError):
            session.next_event("1")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            session.holds("1")  # type: ignore[arg-type]


def sources_have_an_order_and_errors_name_their_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "coordha.yaml"
    file.write_text("coordha:\n  lease.ttl_ms: 20000\n  priority: 2\n  root: file\n")
    monkeypatch.setenv("COORDHA_PRIORITY", "3")
    config = coordha.Config(root="program")
    config.set_default("lease.ttl_ms", 10000)
    config.set_default("election.hold_ms", "4000")
    config.load_yaml(file)
    config.load_env()
    found = [config.get(key) for key in ("root", "priority", "lease.ttl_ms", "election.hold_ms")]
    assert found == ["program", "3", "20000", "4000"]
    file.write_text("coordha:\n  priority: much\n")
    with pytest.raises(coordha.ConfigError, match="coordha.yaml") as caught:
        config.load_yaml(str(file))
    assert (caught.value.name, caught.value.key, caught.value.value) == ("CONFIG_VALUE", "priority", "much")
    with pytest.raises(coordha.ConfigError) as caught:
        config.load_yaml(tmp_path / "none.yaml")
    assert caught.value.name == "CONFIG_FILE"
    monkeypatch.setenv("COORDHA_PRIORITI", "3")
    with pytest.raises(coordha.ConfigError, match="COORDHA_PRIORITI"):
        config.load_env()
    with pytest.raises(TypeError):
        config.load_yaml(7)  # type: ignore[arg-type]
    with pytest.raises(coordha.InvalidArgumentError):
        config.load_yaml(None)


def milvus_names_count_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "milvus.yaml").write_text(
        "rootCoord: {port: 53100, enableActiveStandby: true}\n"
        "etcd: {rootPath: mine, auth: {enabled: true, userName: u, password: geheim}}\n"
    )
    monkeypatch.setenv("MILVUSCONF", str(tmp_path))
    monkeypatch.setenv("ETCD_META_SUB_PATH", "there")
    config = coordha.Config(role="rootcoord")
    config.load_yaml(None, milvus=True)
    config.load_env(milvus=True)
    assert (config.get("address"), config.get("root")) == (":53100", "mine/there")
    lines = {line["key"]: line for line in json.loads(config.dump(json=True))}
    assert lines["active_standby.enabled"]["value"] == "true" and lines["active_standby.enabled"]["source"] == "file"
    assert lines["root"]["place"].endswith("ETCD_META_SUB_PATH")
    assert "geheim" not in config.dump() and lines["store.etcd.password"]["value"] == "***"
    monkeypatch.setenv("ROOT_COORD_ENABLE_ACTIVE_STANDBY", "yes")
    with pytest.raises(coordha.ConfigValueError) as caught:
        config.load_env(milvus=True)
    assert (caught.value.key, caught.value.value) == ("rootCoord.enableActiveStandby", "yes")
