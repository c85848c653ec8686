#!/usr/bin/env bash
# Installs the Python package as its users have it and runs a project of two files with it, in a new environment of each Python
# from 3.9 on that is found here. Nothing is fetched.
#
#   tests/install/python.sh <environment with the checkers> wheel    what `make install-python` has put into fresh folders
#   tests/install/python.sh <environment with maturin> <file>        a source distribution, which is built first
set -euo pipefail
tools=$(realpath "$1")
what=$2
cd "$(dirname "$0")"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
passed=0
wanted=$(sed -n 's/^version = "\(.*\)"/\1/p' ../../Cargo.toml | head -n 1)

fail() {
    echo "install-python: FAILED: $*" >&2
    exit 1
}

passes() {
    passed=$((passed + 1))
    echo "install-python: ok: $1"
}

# runs_in <python> <what> <arguments of pip install>: a new environment, nothing in it but the package, and the user's program.
runs_in() {
    local venv=$root/venv said
    rm -rf "$venv" "$root/project"
    "$1" -m venv "$venv"
    "$venv/bin/python" -m pip --disable-pip-version-check install --quiet --no-index "${@:3}" >"$root/log" 2>&1 ||
        fail "$2: $(cat "$root/log")"
    cp -r python "$root/project"
    said=$(timeout --foreground 5m "$venv/bin/python" -X dev -W error "$root/project/main.py" \
        "local:$root/store" 2>&1) || fail "$2: $said"
    [[ $said == "coordha $wanted from Python: active, written: True" ]] || fail "$2 says $said"
    passes "$2"
}

# The Pythons found here that are new enough, each once.
pythons() {
    local python
    for python in python3 python3.{9,{10..19}} "${PYENV_ROOT:-$HOME/.pyenv}"/versions/*/bin/python3; do
        # shellcheck disable=SC2016 # it is Python that reads it
        "$python" -c 'import ensurepip, sys, venv
if sys.version_info >= (3, 9): print("%d.%d" % sys.version_info[:2], sys.executable)' 2>/dev/null || true
    done | sort -t. -k2n -u
}

if [[ $what == wheel ]]; then
    make --no-print-directory -C ../.. install-python PREFIX="$root/home" >"$root/log" 2>&1 || fail "$(cat "$root/log")"
    make --no-print-directory -C ../.. install-python DESTDIR="$root/stage" PREFIX=/usr >"$root/log" 2>&1 ||
        fail "$(cat "$root/log")"
    for folder in "$root/home" "$root/stage/usr"; do
        wheels=("$folder"/share/python-wheels/*)
        [[ ${#wheels[*]} == 1 && ${wheels[0]##*/} == "coordha-$wanted-cp39-abi3-"*.whl ]] || fail "${wheels[*]}"
    done
    passes "one wheel for the stable ABI of 3.9"
    while read -r version python; do
        runs_in "$python" "Python $version, by name" --find-links "$root/home/share/python-wheels" coordha
    done < <(pythons)
    ((passed > 1)) || fail "there is no Python 3.9 or newer here"
    runs_in "$tools/bin/python" "by the file" "$root"/stage/usr/share/python-wheels/*.whl
    # What checkers see is what was installed.
    "$tools/bin/python" -m mypy --strict --cache-dir "$root/mypy" --python-executable "$root/venv/bin/python" \
        "$root/project/main.py" >"$root/log" || fail "types: $(cat "$root/log")"
    passes "types"
else
    file=$(realpath "$what")
    PATH=$tools/bin:$PATH "$tools/bin/python" -m pip --disable-pip-version-check wheel --quiet --no-index --no-deps \
        --no-build-isolation --wheel-dir "$root/wheels" "$file" >"$root/log" 2>&1 || fail "$(cat "$root/log")"
    passes "a wheel of ${file##*/}"
    runs_in "$tools/bin/python" "that wheel" "$root"/wheels/*.whl
fi

echo "install-python passed=$passed failed=0"
