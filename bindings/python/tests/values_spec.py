"""Numbers, names and families are those of the C header; the stub knows the keys that there are."""

from __future__ import annotations

import ast
import pickle
from enum import IntEnum

import pytest

import coordha
import support
from coordha import _errors


@pytest.mark.parametrize(
    ("enumeration", "prefix"),
    [
        (coordha.EventKind, "HA_EVENT_"),
        (coordha.Reason, "HA_REASON_"),
        (coordha.Role, "HA_ROLE_"),
        (coordha.Until, "HA_UNTIL_"),
    ],
)
def enumerations_have_the_numbers_of_the_header(enumeration: type[IntEnum], prefix: str) -> None:
    assert {member.name: member.value for member in enumeration} == support.header(prefix)


def each_error_code_has_a_class_of_its_own_in_its_family() -> None:
    families = {1: "Usage", 2: "Config", 3: "Role", 4: "Store", 9: "Library"}
    codes = support.header("HA_ERR_")
    # It only bounds what programs number themselves; the library says ACTIVATION_FAILED, with theirs as a detail.
    del codes["APPLICATION"]
    assert len(codes) > 30
    for name, code in codes.items():
        error = _errors.make_error(code, name, "words", {"key": "k", "value": "v", "allowed": "a"}, True, False)
        kind = getattr(coordha, name.title().replace("_", "") + "Error")
        assert type(error) is kind and kind.code == code and kind.__name__ in coordha.__all__
        assert kind.__bases__[0] is getattr(coordha, f"{families[code // 100]}Error"), name
        assert (error.code, error.name, error.key, error.value, error.allowed) == (code, name, "k", "v", "a")
        assert (error.retriable, error.fatal, str(error)) == (True, False, f"words [{name}]")


def errors_of_usual_kinds_are_those_of_python_too() -> None:
    assert issubclass(coordha.TimeoutError, TimeoutError)
    assert issubclass(coordha.PermissionError, PermissionError)
    assert issubclass(coordha.InvalidArgumentError, ValueError)


@pytest.mark.parametrize("kind", [coordha.FencedError, coordha.TimeoutError, coordha.InvalidArgumentError])
def an_error_survives_pickling(kind: type[coordha.Error]) -> None:
    error = _errors.make_error(kind.code, "NAME", "over", {"key": "k"}, False, False)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), copy.args, copy.key) == (kind, error.args, "k")


def every_key_is_named_with_its_type() -> None:
    tree = ast.parse((support.PACKAGE / "_keys.py").read_text())
    keys = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Keys")
    fields = [node for node in keys.body if isinstance(node, ast.AnnAssign)]
    stubbed = {ast.unparse(field.target): ast.unparse(field.annotation) for field in fields}
    assert set(stubbed) == set(coordha.Config.arguments().values())
    for argument, kind in stubbed.items():
        for value, of_kind in ((True, "bool"), (7, "int"), ("x", "str")):
            try:
                coordha.Config(**{argument: value})  # type: ignore[arg-type]
                is_taken = True
            except coordha.ConfigError:
                is_taken = True
            except TypeError:
                is_taken = False
            assert is_taken == (kind == of_kind), (argument, value)
