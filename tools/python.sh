#!/usr/bin/env bash
# Makes a new virtual environment of what tools/python.txt pins, from PyPI, where it is not there yet.
#
#   tools/python.sh <folder>
set -euo pipefail
folder=$1
pins=$(cd "$(dirname "$0")" && pwd)/python.txt

# Last, so that an environment that was left half made is made again; and so is one that was moved or copied: its programs
# would run the Python of the old place.
stamp=$folder/made.txt
{ echo "$folder" && cat "$pins"; } | cmp -s - "$stamp" && exit
echo "python: makes $folder from PyPI: builds, tests and checks the Python package"
rm -rf "$folder"
"${PYTHON:-python3}" -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary :all: \
    --requirement "$pins"
{ echo "$folder" && cat "$pins"; } >"$stamp"
