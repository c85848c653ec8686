#!/usr/bin/env bash
# Builds a program in each language against a fresh installation of this tree, into <target>/languages:
#
#   tools/languages.sh testers        those of tests/scenarios, and prints the runner's arguments
#   tools/languages.sh coordinators   those of examples/, and prints the demo's arguments
#   tools/languages.sh benches        those of benches/, and prints the benchmark's arguments
set -euo pipefail
cd "$(dirname "$0")/.."

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
out=$target/languages
prefix=$out/prefix
venv=$target/python/venv
mkdir -p "$out"
log=$out/build.log
trap 'status=$?; ((status == 0)) || cat "$log" >&2' EXIT
exec 3>&1 >"$log" 2>&1

make --no-print-directory install PREFIX="$prefix"
"$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall "$target"/python/wheels/*.whl
cc=(cc -std=c11 -O2 -g -Wall -Wextra "-I$prefix/include" "-L$prefix/lib" "-Wl,-rpath,$prefix/lib")
cxx=(c++ -std=c++17 -O2 -g -Wall -Wextra "-I$prefix/include" "-L$prefix/lib" "-Wl,-rpath,$prefix/lib")
go_build() {
    PKG_CONFIG_PATH=$prefix/lib/pkgconfig PKG_CONFIG_LIBDIR='' CGO_ENABLED=1 CGO_LDFLAGS="-Wl,-rpath,$prefix/lib" \
        tools/go.sh -C "$1" build -o "$out/$2" "$3"
}

case $1 in
    testers)
        "${cc[@]}" tests/scenarios/c/tester.c -o "$out/tester-c" -lcoordha -pthread
        "${cxx[@]}" tests/scenarios/cpp/tester.cpp -o "$out/tester-cpp" -lcoordha -pthread
        go_build bindings/go tester-go ./tester
        cargo build --locked --quiet --all-features --example tester
        printf '%s\n' --language "c=$out/tester-c" --language "cpp=$out/tester-cpp" --language "go=$out/tester-go" \
            --language "python=$venv/bin/python $PWD/tests/scenarios/python/tester.py" \
            --language "rust=$target/debug/examples/tester" >&3
        ;;
    coordinators)
        read -ra http < <(pkg-config --cflags --libs libmicrohttpd)
        read -ra httplib < <(pkg-config --cflags --libs cpp-httplib)
        "${cc[@]}" examples/c/coordinator.c -o "$out/coordinator-c" -lcoordha "${http[@]}" -pthread
        "${cxx[@]}" examples/cpp/coordinator.cpp -o "$out/coordinator-cpp" -lcoordha "${httplib[@]}" -pthread
        go_build examples/go coordinator-go ./coordinator
        cargo build --locked --quiet --profile static --example coordinator --example demo
        printf '%s\n' --actor "c=C=$out/coordinator-c" --actor "cpp=C++=$out/coordinator-cpp" \
            --actor "go=Go=$out/coordinator-go" --actor "python=Python=$venv/bin/python $PWD/examples/python/coordinator.py" \
            --actor "rust=Rust=$target/static/examples/coordinator" >&3
        ;;
    benches)
        "${cc[@]}" benches/c/bench.c -o "$out/bench-c" -lcoordha -pthread
        "${cxx[@]}" benches/cpp/bench.cpp -o "$out/bench-cpp" -lcoordha -pthread
        go_build bindings/go bench-go ./bench
        printf '%s\n' --language "C=$out/bench-c" --language "C++=$out/bench-cpp" --language "Go=$out/bench-go" \
            --language "Python=$venv/bin/python $PWD/benches/python/bench.py" \
            --size "\`libcoordha.so\`, stripped=$(realpath "$prefix/lib/libcoordha.so")" \
            --size "Python wheel=$(echo "$target"/python/wheels/*.whl)" \
            --size "Extension in the wheel=$(echo "$venv"/lib/python*/site-packages/coordha/_coordha*.so)" >&3
        ;;
esac
