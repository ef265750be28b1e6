# `make demo` and `make test` need no other set-up on a new machine.
# Everything that is built or downloaded stays outside the clone, so that a second run is short.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export STREAMKEEP_CACHE ?= $(HOME)/.cache/streamkeep
export CARGO_TARGET_DIR ?= $(STREAMKEEP_CACHE)/target
FAULTS_TARGET_DIR := $(STREAMKEEP_CACHE)/target-faults

# The file that the demo imports, and the URL of its store.
FILE ?= examples/data/parcels.jsonl
URL ?=

# Where `make python`, `make node` and `make jvm` put the packages.
PACKAGES ?= $(CURDIR)/packages

# The factor of the random tests in `make torture`.
EFFORT ?= 20

timed = @start=$$(date +%s); $(2); echo "$(1): $$(( $$(date +%s) - start )) s"

.PHONY: help demo generate python node jvm test matrix test-faces format lint test-rust test-faults test-python test-node test-jvm digests small-benches torture torture-inner bench bench-inner

help: ## Lists the commands.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

demo: ## Imports a log into an embedded store, reads, folds and follows it (FILE=…, URL=…).
	@cargo build --quiet --release -p streamkeep-examples --bin demo
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	"$(CARGO_TARGET_DIR)/release/demo" "$(or $(URL),sqlite:$$folder/demo.db)" "$(FILE)"

generate: ## Writes what follows from generate/surface.json and the version; the tests fail while a file differs.
	@cargo run --quiet --release -p streamkeep-generate

python: ## Builds Python's wheel into PACKAGES.
	python3 -m pip wheel --quiet --no-deps --wheel-dir "$(PACKAGES)" ./bindings-python

node: ## Builds the npm package into PACKAGES.
	mkdir -p "$(PACKAGES)" && cd bindings-node && npm pack --silent --pack-destination "$(PACKAGES)"

jvm: ## Builds the jar for Kotlin and Java into PACKAGES and the local Maven repository.
	mvn --batch-mode --quiet --file bindings-kotlin/pom.xml install -DskipTests -Doutput.folder="$(STREAMKEEP_CACHE)/jvm/package"
	mkdir -p "$(PACKAGES)" && cp "$(STREAMKEEP_CACHE)"/jvm/package/streamkeep-[0-9]*[0-9].jar "$(PACKAGES)"

# Each part has servers of its own, so that what one part leaves behind slows no other.
test: ## Runs the tests of all backends and languages, on a temporary Postgres and MongoDB.
	@start=$$(date +%s); $(MAKE) --no-print-directory format lint; \
	cargo build --release -p streamkeep-tests --bin with-servers; \
	for part in test-rust test-faces test-faults; do \
	"$(CARGO_TARGET_DIR)/release/with-servers" -- $(MAKE) --no-print-directory $$part; done; \
	echo "all tests passed in $$(( $$(date +%s) - start )) s"

matrix: ## Runs the suite on Postgres through PgBouncer in transaction mode, if that is installed.
	@if command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ]; then \
	cargo build --release -p streamkeep-tests --bin with-servers; \
	STREAMKEEP_TEST_MONGODB_URL=none "$(CARGO_TARGET_DIR)/release/with-servers" -- \
	env STREAMKEEP_TEST_POOLER=transaction cargo test --release -p streamkeep-tests --test suite -- '[postgres]'; \
	else echo "matrix: SKIPPED Postgres through PgBouncer: there is no pgbouncer on the path"; fi

test-faces: test-python test-node test-jvm digests small-benches

format: ## Checks the format.
	cargo fmt --all --check

lint: ## Runs the lints.
	$(call timed,lint,cargo clippy --release --workspace --all-targets -- -D warnings; cargo clippy --release -p streamkeep --all-features --all-targets -- -D warnings)

test-rust: ## Tests core, its documentation, the rules, the scenarios and the model.
	$(call timed,test-rust,cargo test --release -p streamkeep --all-features; cargo test --release -p streamkeep-generate -p streamkeep-bindings; cargo test --release -p streamkeep-tests --test suite)
	$(call timed,first program in Rust,examples/rust/test.sh)

test-faults: ## Runs storms, cuts and cancellations, and planted bugs that must make them fail: one extra build.
	$(call timed,test-faults,CARGO_TARGET_DIR="$(FAULTS_TARGET_DIR)" STREAMKEEP_FAULTS=1 cargo test --release -p streamkeep-tests --test faults)

torture: ## Runs the random tests many times as long (EFFORT=20), for hours.
	@cargo build --release -p streamkeep-tests --bin with-servers
	@STREAMKEEP_EFFORT=$(EFFORT) "$(CARGO_TARGET_DIR)/release/with-servers" -- $(MAKE) --no-print-directory torture-inner

torture-inner:
	$(call timed,model,cargo test --release -p streamkeep-tests --test suite -- model:)
	@for part in storm cuts:: cancel; do \
	CARGO_TARGET_DIR="$(FAULTS_TARGET_DIR)" STREAMKEEP_FAULTS=1 \
	cargo test --release -p streamkeep-tests --test faults -- --skip planted:: $$part; done
	$(call timed,exits of Python,bindings-python/test.sh tests/test_exits.py)

test-python: ## Tests the Python face, from its wheel.
	$(call timed,test-python,bindings-python/test.sh)

test-node: ## Tests the Node face, from its tarball.
	$(call timed,test-node,bindings-node/test.sh)

test-jvm: ## Tests the Kotlin and Java faces, from their jar.
	$(call timed,test-jvm,bindings-kotlin/test.sh)

digests: ## Imports a log from five faces into three databases, moves it between them, and compares the digests.
	$(call timed,digests,tests/digest/all.sh $(FILE))

small-benches: ## Checks that the benchmark of each language runs, on SQLite.
	$(call timed,small-benches,tests/bench/faces.py sqlite: --small)

bench_rust = "$(CARGO_TARGET_DIR)/release/streamkeep-bench"
# The data of a temporary server need not be dropped.
keep = $(if $(STREAMKEEP_TEST_MONGODB_URL),,KEEP=--keep)

bench: ## Prints benchmarks: Rust as ratios to the raw driver, then each language as ratios to Rust.
	@cargo build --quiet --release -p streamkeep-bench -p streamkeep-tests --bin streamkeep-bench --bin with-servers
	@echo SQLite; $(bench_rust) sqlite:; echo; tests/bench/faces.py sqlite:
	@"$(CARGO_TARGET_DIR)/release/with-servers" -- $(MAKE) --no-print-directory $(keep) bench-inner

bench-inner:
	@[ -z "$${STREAMKEEP_TEST_POSTGRES_URL:-}" ] || { \
	echo; echo Postgres; $(bench_rust) "$$STREAMKEEP_TEST_POSTGRES_URL"; echo; tests/bench/faces.py "$$STREAMKEEP_TEST_POSTGRES_URL"; }
	@[ -z "$${STREAMKEEP_TEST_MONGODB_URL:-}" ] || { \
	echo; echo MongoDB; $(bench_rust) "$$STREAMKEEP_TEST_MONGODB_URL" $(KEEP); echo; tests/bench/faces.py "$$STREAMKEEP_TEST_MONGODB_URL" --rounds 3; }

comma := ,
