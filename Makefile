# coordha: `make help` lists the targets. This file alone knows the names of the artifacts and the SONAME.

SHELL         := bash
.SHELLFLAGS   := -euo pipefail -c
.DEFAULT_GOAL := build
.NOTPARALLEL:

VERSION    := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
SONAME     := libcoordha.so.0
TARGET     := $(or $(CARGO_TARGET_DIR),target)
SHARED     := $(TARGET)/release/libcoordha.so
ARCHIVE    := $(TARGET)/static/libcoordha.a
COMMAND    := $(TARGET)/static/coordha
# What a C program links beside the archive; the install test proves it.
STATIC_LIBS := -lgcc_s -lutil -lrt -lpthread -lm -ldl -lc

DESTDIR    ?=
PREFIX     ?= /usr/local
LIBDIR     ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
BINDIR     ?= $(PREFIX)/bin
DATADIR    ?= $(PREFIX)/share
# Where Debian has the sources of Go packages.
GODIR      ?= $(PREFIX)/share/gocode/src/coordha.test/coordha
# Where Debian and Fedora have wheels. What is importable is left to pip, which knows the environments.
WHEELDIR   ?= $(PREFIX)/share/python-wheels
STRIP      ?= strip

N     ?= 100000
SEED  ?=
BAD   ?=
SESSIONS ?=
TESTS ?=
WRITE ?=
ONLY  ?=
# Seconds for each fuzz target.
FUZZ_S  ?= 10
LIBRARY ?=
# Takeovers of each kind.
ROUNDS ?=

# Most tests wait for a store or a clock, and not for a core.
export RUST_TEST_THREADS ?= $(shell cores=$$(nproc); echo $$((cores > 4 ? cores : 4)))

BENCH := $(TARGET)/bench
SIZES := $(patsubst %,$(BENCH)/sizes/%.so,capi capi+etcd capi+local capi+etcd+tls)

LANGUAGES := cpp-test go-test python-test python-sdist scenarios demo-languages

SIM := cargo test --locked --quiet --profile sim --no-default-features --features testkit

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: setup
setup: ## Install what building and testing need (Debian packages, Go) and is missing
	@tools/setup.sh test

.PHONY: build
build: ## Build the shared library, the archive and the command
	@tools/setup.sh build
	cargo rustc --locked --release --lib --features capi --crate-type cdylib -- -C link-arg=-Wl,-soname,$(SONAME)
	cargo rustc --locked --profile static --lib --features capi --crate-type staticlib
	@$(MAKE) --no-print-directory command

.PHONY: command
command: ## Build the command coordha alone
	cargo build --locked --profile static --features cli --bin coordha

.PHONY: demo
demo: build ## Three coordinators, a kill -9, a takeover: on the embedded store, then on a real etcd
	@tools/setup.sh demo
	cargo build --locked --profile static --example coordinator --example demo
	mkdir -p $(TARGET)/demo
	ln -sf ../release/$(notdir $(SHARED)) $(TARGET)/demo/$(SONAME)
	$(CC) -std=c99 -O2 -Wall -Wextra -Iinclude examples/c/coordinator.c -o $(TARGET)/demo/coordinator \
		-L$(TARGET)/demo -l:$(SONAME) -Wl,-rpath,'$$ORIGIN' $$(pkg-config --cflags --libs libmicrohttpd) -pthread
	@$(TARGET)/static/examples/demo --c $(TARGET)/demo/coordinator --rust $(TARGET)/static/examples/coordinator --out $(TARGET)/demo

.PHONY: test
test: ## All tests: build, lint, unit, simulation, exploration, conformance, real etcd, install, every language, sanitizers, fuzzing
	@tools/test.sh setup etcd build install-test abi lint check check-old explore "explore BAD=all" "explore SESSIONS=3" \
		sim "sim BAD=all" $(LANGUAGES) valgrind sanitize fuzz miri deploy-test metrics-test

.PHONY: check
check: ## The tests of `cargo test` alone; TESTS=<name> narrows them
	cargo test --locked --all-features -- $(TESTS)

.PHONY: milvus
milvus: etcd ## Of these, the tests in one election with Milvus: the Go peer of each family of releases; TESTS=<name>
	@tools/milvus.sh $(TESTS)

.PHONY: busy
busy: etcd ## The same on a machine that is busy and stands still now and then: what takes its quickness for granted fails; ONLY=<program of tests>
	cargo test --locked --all-features --no-run
	@tools/busy.py -- cargo test --locked --all-features $(if $(ONLY),--test $(ONLY)) -- $(TESTS)

.PHONY: check-old
check-old: ## The tests on a real etcd once more, on Debian's 3.4
	COORDHA_TEST_ETCD=3.4 cargo test --locked --all-features --test faults --test etcd_store --test sessions

.PHONY: install-test
install-test: build ## Install into fresh folders and build C programs against that: pkg-config, CMake, C99, C++17
	@tests/install/run.sh

.PHONY: cpp-test
cpp-test: setup build ## The C++ header: gcc and clang, and its tests on both stores under ASan, UBSan and LSan
	@tests/cpp/run.sh

.PHONY: sanitize
sanitize: setup build etcd ## The scenarios with C and C++ under ASan, UBSan and LSan; LIBRARY=1: the library too; ONLY=<name>
	@LIBRARY=$(LIBRARY) tools/sanitize.sh $(if $(ONLY),--only $(ONLY))

.PHONY: valgrind
valgrind: setup build ## A session started and stopped a thousand times in C, under valgrind
	@tools/valgrind.sh

.PHONY: fuzz
fuzz: setup ## The fuzz targets, each for a while: FUZZ_S=<seconds each> ONLY=<target>
	@FUZZ_S=$(FUZZ_S) tools/fuzz.sh $(ONLY)

.PHONY: miri
miri: ## Miri over the unit tests that do no I/O, where a nightly toolchain has it
	@tools/miri.sh

.PHONY: deploy-test
deploy-test: setup ## The Helm chart, Compose file, Dockerfiles and systemd unit: lint, render, schemas, what must be refused
	@tools/deploy.sh

.PHONY: go-test
go-test: setup build etcd ## The Go package: lints, tests with -race on both stores, the archive, a user's project
	@tools/go-test.sh

.PHONY: metrics-test
metrics-test: setup ## The metrics, the alerts and the dashboard, by promtool
	@tools/promtool.sh

.PHONY: abi
abi: ## Compare the ABI of the shared library with the one that programs were built for
	@tools/abi.sh

.PHONY: lint
lint: ## rustfmt, clippy, rustdoc, doxygen, ruff, cargo-deny, gofmt, go vet, shellcheck: warnings are errors
	@tools/setup.sh python
	@tools/python.sh $(PYTHON_VENV)
	@tools/lint.sh

.PHONY: sim
sim: ## Simulated takeovers: N=<how many> SEED=<number>; BAD=all: the known-bad cores must be caught
	$(SIM) --test sim -- $(if $(BAD),--bad $(BAD),--takeovers $(N)) $(if $(SEED),--seed $(SEED))

.PHONY: explore
explore: ## Explore the core exhaustively within its bounds; SESSIONS=3; BAD=all: the known-bad cores must be caught
	$(SIM) --test explore -- $(if $(BAD),--bad $(BAD),--full) $(if $(SESSIONS),--sessions $(SESSIONS)) $(if $(SEED),--seed $(SEED))

.PHONY: bench
bench: build etcd $(if $(ONLY),$(if $(filter sizes,$(ONLY)),$(SIZES)),$(SIZES)) ## The benchmarks, with etcd's own election recipe beside them; WRITE=1: into docs/performance.md
	mkdir -p $(BENCH)/sizes
	$(STRIP) --strip-unneeded -o $(BENCH)/sizes/whole.so $(SHARED)
	if tools/go.sh version >/dev/null; then \
		tools/go.sh -C benches/peer build -trimpath -o $(abspath $(BENCH))/peer .; \
	fi
	cargo bench --locked --all-features --bench performance -- $(if $(WRITE),--write) $(ONLY)

.PHONY: bench-bindings
bench-bindings: setup build etcd python ## What a call, an event, a session and an import cost in each language; ONLY=<part>; WRITE=1
	@tools/languages.sh benches >$(TARGET)/benches
	@readarray -t programs <$(TARGET)/benches; cargo bench --locked --quiet --all-features --bench bindings -- "$${programs[@]}" \
		$(if $(WRITE),--write) $(ONLY)

.PHONY: bench-run
bench-run: setup etcd ## Takeovers of `coordha run`, beside etcdctl and a session as Milvus's; ROUNDS=<how many> ONLY=<part>; WRITE=1
	mkdir -p $(BENCH)
	if tools/go.sh version >/dev/null; then \
		tools/go.sh -C tests/milvus/peer build -trimpath -o $(abspath $(BENCH))/milvuspeer .; \
	fi
	cargo bench --locked --quiet --all-features --bench run -- $(if $(WRITE),--write) $(if $(ROUNDS),--rounds $(ROUNDS)) $(ONLY)

# Shared libraries with some of the features, to see what each one adds. In a folder of their own: Cargo takes one such
# library for another.
$(BENCH)/sizes/%.so: Cargo.toml Cargo.lock build.rs $(shell find src -name '*.rs')
	mkdir -p $(@D)
	rm -f $(BENCH)/build/release/libcoordha.so $(BENCH)/build/release/deps/libcoordha.so
	cargo rustc --locked --quiet --release --lib --target-dir $(BENCH)/build --no-default-features --features "$(subst +, ,$*)" \
		--crate-type cdylib
	$(STRIP) --strip-unneeded -o $@ $(BENCH)/build/release/libcoordha.so

PYTHON_OUT  := $(abspath $(TARGET))/python
PYTHON_VENV := $(PYTHON_OUT)/venv

.PHONY: python
python: ## Build the Python wheel, into target/python/wheels
	@tools/setup.sh python
	@tools/python.sh $(PYTHON_VENV)
	rm -rf $(PYTHON_OUT)/wheels
	cd bindings/python && CARGO_TARGET_DIR=$(PYTHON_OUT)/cargo $(PYTHON_VENV)/bin/maturin build --quiet --release --locked \
		--interpreter $(PYTHON_VENV)/bin/python --out $(PYTHON_OUT)/wheels

.PHONY: python-test
python-test: setup python etcd ## The tests of the Python package: on a directory, on a real etcd, types, example; TESTS=<name>
	$(PYTHON_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --force-reinstall $(PYTHON_OUT)/wheels/*.whl
	cd bindings/python && $(PYTHON_VENV)/bin/python -X dev -m pytest -q $(if $(TESTS),-k '$(TESTS)')
	$(if $(TESTS),,@tests/install/python.sh $(PYTHON_VENV) wheel)

.PHONY: python-sdist
python-sdist: ## Build the Python source distribution, and of it a wheel as pip would, without the network
	@tools/setup.sh python
	@tools/python.sh $(PYTHON_VENV)
	rm -rf $(PYTHON_OUT)/sdist
	cd bindings/python && $(PYTHON_VENV)/bin/maturin sdist --out $(PYTHON_OUT)/sdist
	cargo fetch --locked --manifest-path bindings/python/Cargo.toml
	@CARGO_NET_OFFLINE=true CARGO_TARGET_DIR=$(PYTHON_OUT)/cargo tests/install/python.sh $(PYTHON_VENV) $(PYTHON_OUT)/sdist/*.tar.gz

.PHONY: languages-test
languages-test: ## Of all tests, those of C++, Go and Python, the scenarios and the demo of all languages
	@tools/test.sh setup etcd build $(LANGUAGES)

.PHONY: scenarios
scenarios: setup build etcd python ## One list of scenarios: every language says the same on every store; ONLY=<name>; BLESS=1
	@tools/languages.sh testers >$(TARGET)/testers
	@readarray -t testers <$(TARGET)/testers; cargo test --locked --quiet --all-features --test scenarios -- "$${testers[@]}" \
		$(if $(ONLY),--only $(ONLY)) $(if $(BLESS),--bless)

.PHONY: demo-languages
demo-languages: setup build etcd python ## A coordinator in each language, in one election: each leads in turn
	@tools/languages.sh coordinators >$(TARGET)/coordinators
	@mkdir -p $(TARGET)/demo-languages
	@readarray -t actors <$(TARGET)/coordinators; $(TARGET)/static/examples/demo --out $(TARGET)/demo-languages "$${actors[@]}"

.PHONY: docs
docs: ## The manual of the Rust API, in target/doc/coordha, and those of the C and C++ headers, in target/doc/c and target/doc/cpp
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --all-features
	@tools/doxygen.sh c
	@tools/doxygen.sh cpp
	@echo "docs rust=$(TARGET)/doc/coordha/index.html$$(command -v doxygen >/dev/null && echo ' c=$(TARGET)/doc/c/index.html cpp=$(TARGET)/doc/cpp/index.html')"

.PHONY: etcd
etcd: ## Build the newer etcds that the tests use, into .etcd
	@tools/etcd.sh

.PHONY: bless
bless: ## Write anew all that is generated: header, configuration page, the pages' examples, ABI baseline
	COORDHA_BLESS=1 cargo test --locked --all-features --test generated
	COORDHA_BLESS=1 cargo test --locked --all-features --test cli -- the_page_shows
	COORDHA_BLESS=1 cargo test --locked --all-features --test ffi -- header nothing_of_the_baseline
	COORDHA_BLESS=1 tools/abi.sh

.PHONY: install
# By sudo, what the user built is installed: root may have no toolchain.
install: $(if $(SUDO_USER),,build) install-command ## Install library, archive, header, pkg-config and CMake files, and the command: PREFIX, LIBDIR, DESTDIR
	install -d $(DESTDIR)$(LIBDIR)/pkgconfig $(DESTDIR)$(LIBDIR)/cmake/coordha $(DESTDIR)$(INCLUDEDIR)
	install -m 755 $(SHARED) $(DESTDIR)$(LIBDIR)/libcoordha.so.$(VERSION)
	$(STRIP) --strip-unneeded $(DESTDIR)$(LIBDIR)/libcoordha.so.$(VERSION)
	ln -sf libcoordha.so.$(VERSION) $(DESTDIR)$(LIBDIR)/$(SONAME)
	ln -sf $(SONAME) $(DESTDIR)$(LIBDIR)/libcoordha.so
	install -m 644 $(ARCHIVE) $(DESTDIR)$(LIBDIR)/libcoordha.a
	install -m 644 include/coordha.h $(DESTDIR)$(INCLUDEDIR)/coordha.h
	install -d $(DESTDIR)$(INCLUDEDIR)/coordha
	install -m 644 include/coordha.hpp $(DESTDIR)$(INCLUDEDIR)/coordha.hpp
	install -m 644 include/coordha/*.hpp $(DESTDIR)$(INCLUDEDIR)/coordha
	$(call fill,coordha.pc,$(LIBDIR)/pkgconfig)
	$(call fill,coordha-static.pc,$(LIBDIR)/pkgconfig)
	$(call fill,coordhaConfig.cmake,$(LIBDIR)/cmake/coordha)
	$(call fill,coordhaConfigVersion.cmake,$(LIBDIR)/cmake/coordha)
	install -d $(DESTDIR)$(GODIR)
	install -m 644 $(filter-out %_test.go,$(wildcard bindings/go/*.go)) $(addprefix bindings/go/,go.mod shim.h README.md) $(DESTDIR)$(GODIR)

.PHONY: install-command
install-command: $(if $(SUDO_USER),,command) ## Of that, the command alone, with its manual pages and its completions for bash, zsh and fish
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(DATADIR)/man/man1 $(DESTDIR)$(DATADIR)/bash-completion/completions \
		$(DESTDIR)$(DATADIR)/zsh/site-functions $(DESTDIR)$(DATADIR)/fish/vendor_completions.d
	install -m 755 $(COMMAND) $(DESTDIR)$(BINDIR)/coordha
	$(STRIP) --strip-unneeded $(DESTDIR)$(BINDIR)/coordha
	$(COMMAND) man --into $(DESTDIR)$(DATADIR)/man/man1
	$(COMMAND) completions bash >$(DESTDIR)$(DATADIR)/bash-completion/completions/coordha
	$(COMMAND) completions zsh >$(DESTDIR)$(DATADIR)/zsh/site-functions/_coordha
	$(COMMAND) completions fish >$(DESTDIR)$(DATADIR)/fish/vendor_completions.d/coordha.fish
	chmod 644 $(DESTDIR)$(DATADIR)/man/man1/coordha*.1 $(DESTDIR)$(DATADIR)/bash-completion/completions/coordha \
		$(DESTDIR)$(DATADIR)/zsh/site-functions/_coordha $(DESTDIR)$(DATADIR)/fish/vendor_completions.d/coordha.fish

.PHONY: install-python
install-python: $(if $(SUDO_USER),,python) ## Install the Python wheel to where pip can be told to look: PREFIX, WHEELDIR, DESTDIR
	install -d $(DESTDIR)$(WHEELDIR)
	install -m 644 $(PYTHON_OUT)/wheels/*.whl $(DESTDIR)$(WHEELDIR)

# Fills a template of deploy/package. Paths are relative to the file's own place, so that the tree may be moved.
fill = sed -e 's|@VERSION@|$(VERSION)|g' -e 's|@SONAME@|$(SONAME)|g' -e 's|@STATIC_LIBS@|$(STATIC_LIBS)|g' \
	-e "s|@LIBDIR@|$$(realpath -m --relative-to=$(2) $(LIBDIR))|g" \
	-e "s|@INCLUDEDIR@|$$(realpath -m --relative-to=$(2) $(INCLUDEDIR))|g" \
	deploy/package/$(1).in >$(DESTDIR)$(2)/$(1)

.PHONY: clean
clean: ## Remove all that was built, the newer etcds and Go too
	rm -rf $(TARGET) .etcd .tools
