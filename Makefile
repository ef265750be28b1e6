# Two commands do all set-up on a fresh machine: `make demo` and `make test`.
# Everything built or fetched stays outside the clone, so that a second run is short.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

export STREAMKEEP_CACHE ?= $(HOME)/.cache/streamkeep
export CARGO_TARGET_DIR ?= $(STREAMKEEP_CACHE)/target
FAULTS_TARGET_DIR := $(STREAMKEEP_CACHE)/target-faults

# What the demo imports, and where to.
FILE ?= examples/data/parcels.jsonl
URL ?=

# How many times as long random tests go on in `make torture`.
EFFORT ?= 20

timed = @start=$$(date +%s); $(2); echo "$(1): $$(( $$(date +%s) - start )) s"

.PHONY: help demo test matrix test-inner format lint test-rust test-faults test-python test-node test-jvm digests small-benches torture torture-inner bench bench-inner

help: ## Lists the commands.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

demo: ## Imports a log into an embedded store, reads, folds and follows it (FILE=…, URL=…).
	@cargo build --quiet --release -p streamkeep-examples --bin demo
	@folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; \
	"$(CARGO_TARGET_DIR)/release/demo" "$(or $(URL),sqlite:$$folder/demo.db)" "$(FILE)"

test: ## Passes the tests of all backends and languages. Starts a throw-away Postgres and MongoDB.
	@start=$$(date +%s); cargo build --release -p streamkeep-tests --bin with-servers; \
	"$(CARGO_TARGET_DIR)/release/with-servers" -- $(MAKE) --no-print-directory test-inner; \
	echo "all tests passed in $$(( $$(date +%s) - start )) s"

matrix: ## Passes the suite on Postgres through PgBouncer in transaction mode, where that is installed.
	@if command -v pgbouncer >/dev/null || [ -x /usr/sbin/pgbouncer ]; then \
	cargo build --release -p streamkeep-tests --bin with-servers; \
	STREAMKEEP_TEST_MONGODB_URL=none "$(CARGO_TARGET_DIR)/release/with-servers" -- \
	env STREAMKEEP_TEST_POOLER=transaction cargo test --release -p streamkeep-tests --test suite -- '[postgres]'; \
	else echo "matrix: SKIPPED Postgres through PgBouncer: there is no pgbouncer on the path"; fi

test-inner: format lint test-rust test-python test-node test-jvm digests small-benches test-faults

format: ## The format is as agreed.
	cargo fmt --all --check

lint: ## The lints are as agreed.
	$(call timed,lint,cargo clippy --release --workspace --all-targets -- -D warnings; cargo clippy --release -p streamkeep --all-features --all-targets -- -D warnings)

test-rust: ## Core, its documentation, the behaviour suite, scenarios, the model.
	$(call timed,test-rust,cargo test --release -p streamkeep --all-features; cargo test --release -p streamkeep-tests --test suite)
	$(call timed,first program in Rust,examples/rust/test.sh)

test-faults: ## Storms, cuts and cancellations, each with planted bugs that must turn it red: one extra build.
	$(call timed,test-faults,CARGO_TARGET_DIR="$(FAULTS_TARGET_DIR)" STREAMKEEP_FAULTS=1 cargo test --release -p streamkeep-tests --test faults)

torture: ## The random tests, many times as long (EFFORT=20): models, storms, cuts, cancellations. Hours.
	@cargo build --release -p streamkeep-tests --bin with-servers
	@STREAMKEEP_EFFORT=$(EFFORT) "$(CARGO_TARGET_DIR)/release/with-servers" -- $(MAKE) --no-print-directory torture-inner

torture-inner:
	$(call timed,model,cargo test --release -p streamkeep-tests --test suite -- model:)
	@for part in storm cuts:: cancel; do \
	CARGO_TARGET_DIR="$(FAULTS_TARGET_DIR)" STREAMKEEP_FAULTS=1 \
	cargo test --release -p streamkeep-tests --test faults -- --skip planted:: $$part; done

test-python: ## The Python face, from its wheel.
	$(call timed,test-python,bindings-python/test.sh)

test-node: ## The Node face, from its tarball.
	$(call timed,test-node,bindings-node/test.sh)

test-jvm: ## The Kotlin and Java faces, from their jar.
	$(call timed,test-jvm,bindings-kotlin/test.sh)

digests: ## The same log through three databases from five faces, and from one database to the next: equal digests.
	$(call timed,digests,tests/digest/all.sh $(FILE))

small-benches: ## The bench of each language runs, on SQLite.
	$(call timed,small-benches,tests/bench/faces.py sqlite: --small)

bench_rust = "$(CARGO_TARGET_DIR)/release/streamkeep-bench"
# What is made on a server that is thrown away need not be dropped.
keep = $(if $(STREAMKEEP_TEST_MONGODB_URL),,KEEP=--keep)

bench: ## The figures, as ratios to the raw driver from Rust, then of each language as ratios to Rust's.
	@cargo build --quiet --release -p streamkeep-bench -p streamkeep-tests --bin streamkeep-bench --bin with-servers
	@echo SQLite; $(bench_rust) sqlite:; echo; tests/bench/faces.py sqlite:
	@"$(CARGO_TARGET_DIR)/release/with-servers" -- $(MAKE) --no-print-directory $(keep) bench-inner

bench-inner:
	@[ -z "$${STREAMKEEP_TEST_POSTGRES_URL:-}" ] || { \
	echo; echo Postgres; $(bench_rust) "$$STREAMKEEP_TEST_POSTGRES_URL"; echo; tests/bench/faces.py "$$STREAMKEEP_TEST_POSTGRES_URL"; }
	@[ -z "$${STREAMKEEP_TEST_MONGODB_URL:-}" ] || { \
	echo; echo MongoDB; $(bench_rust) "$$STREAMKEEP_TEST_MONGODB_URL" $(KEEP); echo; tests/bench/faces.py "$$STREAMKEEP_TEST_MONGODB_URL" --rounds 3; }

comma := ,
