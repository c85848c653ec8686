#!/usr/bin/env bash
# The manual of a header as HTML, in target/doc/<language>. What Doxygen warns of is an error.
#
#   tools/doxygen.sh c|cpp
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
    c) options=(INPUT=include/coordha.h OPTIMIZE_OUTPUT_FOR_C=YES) ;;
    cpp) options=("INPUT=include/coordha.hpp include/coordha" "FILE_PATTERNS=*.hpp" PREDEFINED=__cpp_exceptions=199711) ;;
    *)
        echo "doxygen: c or cpp?" >&2
        exit 2
        ;;
esac
if ! command -v doxygen >/dev/null; then
    echo "doxygen: SKIPPED the manual of the header: Doxygen is not installed"
    exit 0
fi
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
out=${CARGO_TARGET_DIR:-target}/doc
mkdir -p "$out"
{
    cat tools/doxyfile
    printf '%s\n' "PROJECT_NAME=coordha" "PROJECT_NUMBER=$version" "OUTPUT_DIRECTORY=$out" "HTML_OUTPUT=$1" "${options[@]}"
} | doxygen -
