"""What is shipped: types that checkers accept and the module keeps, words on everything, and nothing exported."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from pathlib import Path

import pytest

import coordha
import coordha.aio
import support

_PROJECT = support.ROOT / "bindings/python"
_PROGRAMS = ["examples", "benches", "tests/scenarios", "tests/install"]
_CHECKED = [*(support.ROOT / folder / "python" for folder in _PROGRAMS), _PROJECT / "tests"]


def _check(*command: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(_PROJECT / "tests"), "MYPYPATH": str(_PROJECT / "tests")}
    # It would ask whether there is a newer one.
    environment["PYRIGHT_PYTHON_IGNORE_WARNINGS"] = "1"
    done = subprocess.run(command, cwd=_PROJECT, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr


def _package() -> Path:
    return Path(coordha.__file__).parent


def mypy_accepts_the_package_its_tests_and_the_examples() -> None:
    _check(sys.executable, "-m", "mypy", "--strict", "-p", "coordha")
    for folder in _CHECKED:
        _check(sys.executable, "-m", "mypy", "--strict", str(folder))


def pyright_accepts_the_package_and_the_examples() -> None:
    programs = [str(support.ROOT / folder / "python") for folder in ("examples", "tests/scenarios")]
    _check(sys.executable, "-m", "pyright", f"--pythonpath={sys.executable}", "--warnings", "python/coordha", *programs)


def the_package_needs_no_more_than_python_3_9(tmp_path: Path) -> None:
    # Syntax and what the standard library has. `_keys.py` is for checkers alone, as the stub is.
    vermin = [str(Path(sys.executable).with_name("vermin")), "--target=3.9-", "--violations", "--no-tips"]
    files = [str(path) for path in _package().glob("*.py") if path.name != "_keys.py"]
    assert len(files) > 8
    _check(*vermin, *files)
    newer = tmp_path / "newer.py"
    for line in ("match 1:\n    case 1: pass\n", "list(zip([1], [2], strict=True))\n"):
        newer.write_text(line)
        with pytest.raises(AssertionError, match="3.10"):
            _check(*vermin, str(newer))


def the_stub_and_the_module_say_the_same() -> None:
    # mypy's own comparison: names, signatures and kinds, for each module of the package.
    _check(sys.executable, "-m", "mypy.stubtest", "coordha")


def everything_public_has_words() -> None:
    silent = []
    for module in (coordha, coordha.aio, coordha._coordha):
        assert module.__doc__
        for name in [*getattr(module, "__all__", []), *[n for n in vars(module) if n.endswith("Base")]]:
            thing = getattr(module, name)
            if not inspect.isclass(thing):
                continue
            members = {f"{name}.{m}": getattr(thing, m) for m in vars(thing) if not m.startswith("_")}
            routines = {m: v for m, v in members.items() if inspect.isroutine(v) or inspect.isdatadescriptor(v)}
            silent += [m for m, value in {name: thing, **routines}.items() if not inspect.getdoc(value)]
    assert silent == []


def the_extension_exports_nothing_of_the_c_abi_and_sets_no_signal_handler() -> None:
    (extension,) = _package().glob("_coordha*.so")
    symbols = subprocess.run(["nm", "-D", str(extension)], check=True, capture_output=True, text=True).stdout
    lines = [line.split() for line in symbols.splitlines()]
    defined = {words[-1] for words in lines if words[-2] in "TDBRVWi"}
    wanted = {words[-1].split("@")[0] for words in lines if words[-2] == "U"}
    assert "PyInit__coordha" in defined
    assert [name for name in defined if name.startswith("ha_")] == []
    assert not wanted & {"sigaction", "signal"}


def the_wheel_has_types_and_the_version_of_the_library() -> None:
    assert (_package() / "py.typed").exists() and (_package() / "_coordha.pyi").exists()
    manifest = (support.ROOT / "Cargo.toml").read_text()
    assert f'\nversion = "{coordha.__version__}"\n' in manifest
