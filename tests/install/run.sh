#!/usr/bin/env bash
# Installs coordha into fresh folders, as a distribution and as a user would, and builds a C project of two files against each:
# by pkg-config and by CMake, shared and static, C99 and C++17; and one in C++, with coordha.hpp. Each program is run. And
# the command, with its manual pages and completions.
set -euo pipefail
cd "$(dirname "$0")"

root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
passed=0
sources=(main.c coordinator.c)

fail() {
    echo "install: FAILED: $*" >&2
    exit 1
}

passes() {
    passed=$((passed + 1))
    echo "install: ok: $1"
}

# builds_and_runs <what> <folder of the library> <compiler and its flags> -- <flags of the library>
builds_and_runs() {
    local what=$1 lib=$2 program=$root/program
    shift 2
    local compile=() libs=()
    while [[ $1 != -- ]]; do compile+=("$1") && shift; done
    libs=("${@:2}")
    "${compile[@]}" -Wall -Wextra -Werror -pedantic -I. "${sources[@]}" -o "$program" -x none "${libs[@]}" ||
        fail "$what does not build"
    version=$(LD_LIBRARY_PATH=$lib "$program") || fail "$what does not run"
    [[ $version == "$wanted" ]] || fail "$what says $version, not $wanted"
    passes "$what"
}

# by_pkg_config <what> <lib>
by_pkg_config() {
    local language name
    export PKG_CONFIG_PATH=$2/pkgconfig PKG_CONFIG_LIBDIR=
    for language in "cc -x c -std=c99" "c++ -x c++ -std=c++17"; do
        for name in coordha coordha-static; do
            [[ $(pkg-config --modversion $name) == "$wanted" ]] || fail "$name.pc has another version"
            # shellcheck disable=SC2046,SC2086 # flags are words
            builds_and_runs "$1, pkg-config $name, ${language##* }" "$2" $language $(pkg-config --cflags $name) -- \
                $(pkg-config --libs $name)
        done
    done
    sources=(main.cpp standby.cpp)
    for name in coordha coordha-static; do
        # shellcheck disable=SC2046 # flags are words
        builds_and_runs "$1, pkg-config $name, coordha.hpp" "$2" c++ -std=c++17 $(pkg-config --cflags $name) -- \
            $(pkg-config --libs $name)
    done
    sources=(main.c coordinator.c)
}

# by_cmake <what> <prefix>
by_cmake() {
    local build=$root/cmake program
    cmake -S . -B "$build" -DWANTED="$wanted" -DCMAKE_PREFIX_PATH="$2" --log-level=ERROR >"$root/log" 2>&1 ||
        fail "$1, CMake: $(cat "$root/log")"
    cmake --build "$build" >"$root/log" 2>&1 || fail "$1, CMake: $(cat "$root/log")"
    for program in c_coordha c_static cxx_coordha cxx_static hpp_coordha hpp_static; do
        [[ $("$build/$program") == "$wanted" ]] || fail "$1, CMake, $program"
        passes "$1, CMake $program"
    done
    rm -rf "$build"
}

# looks_right <lib>: names, links, SONAME, exports.
looks_right() {
    local file=$1/libcoordha.so.$wanted stranger
    [[ $(readlink -f "$1/libcoordha.so") == "$(readlink -f "$file")" ]] || fail "libcoordha.so is no link to $file"
    readelf -d "$file" | grep >/dev/null 'SONAME.*\[libcoordha\.so\.0\]' || fail "the SONAME is wrong"
    [[ -e $1/libcoordha.so.0 ]] || fail "there is no libcoordha.so.0"
    stranger=$(nm -D --defined-only "$file" | awk '$3 !~ /^ha_/ { print $3 }')
    [[ -z $stranger ]] || fail "the shared library exports more than ha_*: $stranger"
    passes "names, links, SONAME and exports in ${1#"$root"/}"
}

# completes <script> <words...>: what bash offers for the last word, by the installed completions.
completes() {
    bash -c '. "$1" && shift && COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) && COMP_LINE="$*" COMP_POINT=${#COMP_LINE} &&
        _coordha coordha "${@: -1}" "${@: -2:1}" && printf "%s\n" "${COMPREPLY[@]}"' completes "$@"
}

# has_command <prefix>: the command runs; each subcommand has a manual page with all its options, examples and exit codes;
# the shells' completions know them all.
has_command() {
    local name names option options page file script=$1/share/bash-completion/completions/coordha
    [[ $("$1/bin/coordha" --version) == "coordha $wanted" ]] || fail "coordha is of another version"
    readarray -t names < <("$1/bin/coordha" --help | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on && /^  [a-z]/ { print $1 }')
    [[ ${#names[@]} -ge 9 ]] || fail "coordha --help names ${#names[@]} subcommands"
    grep >/dev/null '^\.TH coordha 1 ' "$1/share/man/man1/coordha.1" || fail "coordha.1 is no manual page"
    bash -n "$script" || fail "the completions for bash do not parse"
    for name in "${names[@]}"; do
        page=$1/share/man/man1/coordha-$name.1
        grep >/dev/null "^\.TH coordha-$name 1 " "$page" || fail "there is no manual page $page"
        readarray -t options < <("$1/bin/coordha" "$name" --help | sed -n 's/^ .* *\(--[a-z-]*\)\( <.*\)\?$/\1/p')
        [[ ${#options[@]} -ge 1 ]] || fail "coordha $name --help names no option"
        for option in EXAMPLES "EXIT STATUS" "${options[@]}"; do
            sed 's/\\-/-/g' "$page" | grep >/dev/null -e "$option" || fail "$page does not tell $option"
        done
        for file in zsh/site-functions/_coordha fish/vendor_completions.d/coordha.fish; do
            grep -q "$name" "$1/share/$file" || fail "$file does not know $name"
        done
        completes "$script" coordha "$name" | grep >/dev/null -x "$name" || fail "bash does not complete $name"
        for option in "${options[@]}"; do
            completes "$script" coordha "$name" "$option" | grep >/dev/null -x -e "$option" || fail "bash does not complete $name $option"
        done
    done
    passes "coordha, ${#names[@]} manual pages and three completions in ${1#"$root"/}"
}

wanted=$(sed -n 's/^version = "\(.*\)"/\1/p' ../../Cargo.toml | head -n 1)

# A distribution: a prefix that is not where the files lie, and a folder of libraries for each machine.
triplet=$(cc -dumpmachine)
make --no-print-directory -C ../.. install DESTDIR="$root/stage" PREFIX=/usr LIBDIR="/usr/lib/$triplet" >"$root/log" 2>&1 ||
    fail "$(cat "$root/log")"
looks_right "$root/stage/usr/lib/$triplet"
has_command "$root/stage/usr"
by_pkg_config "distribution" "$root/stage/usr/lib/$triplet"
by_cmake "distribution" "$root/stage/usr"

# A user.
make --no-print-directory -C ../.. install PREFIX="$root/home" >"$root/log" 2>&1 || fail "$(cat "$root/log")"
looks_right "$root/home/lib"
has_command "$root/home"
by_pkg_config "user" "$root/home/lib"
by_cmake "user" "$root/home"

# Two Rust archives in one program.
rustc --edition 2024 --crate-type staticlib -O -o "$root/libneighbour.a" neighbour.rs
# shellcheck disable=SC2046 # flags are words
builds_and_runs "beside another Rust archive" "$root/home/lib" cc -x c -std=c99 -Wl,-u,neighbour_length \
    $(pkg-config --cflags coordha-static) -- "$root/libneighbour.a" $(pkg-config --libs coordha-static)
nm "$root/program" | grep >/dev/null ' T neighbour_length' || fail "the other archive is not in the program"

echo "install passed=$passed failed=0"
