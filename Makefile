# Countersign: the commands that matter. `make` alone lists them.
.DEFAULT_GOAL := help
.PHONY: help build run serve check fmt lint unit tools test backends test-long fuzz bench peers targets instructions

CARGO ?= cargo
# How many packets test-long sends into the engine, how many random zones it serves, how many histories of power losses
# it plays, and how often it kills the server; a plain `make test` does a hundredth to a tenth of that.
PACKETS ?= 2000000
ZONES ?= 240
HISTORIES ?= 3000
KILLS ?= 200
# How many random histories of key changes `make test` plays, and how many test-long does.
WORLDS ?= 10000
WORLDS_LONG ?= 100000
# How long `make fuzz` runs, in seconds.
FUZZ_SECONDS ?= 60
TARGET ?= engine

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

build: ## the release binary, target/release/countersign
	$(CARGO) build --release

run: build ## the lab: example. on 127.0.0.1:5300, beside a simulated NS1 and below a parent zone
	@exec target/release/countersign lab

serve: build ## our server alone: example. on 127.0.0.1:5300, with keys of another provider from a file
	@exec target/release/countersign serve --zone example.=zones/example.zone --listen 127.0.0.1:5300 \
		--keys keys --external-keys keys/example-provider.keys --state state

check: fmt lint unit ## formatting, lints, and the tests that need no outside tool

fmt:
	$(CARGO) fmt --check

lint:
	$(CARGO) clippy --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --no-deps --quiet

# Tests that judge us by other people's programs have `interop_` in their path.
unit:
	$(CARGO) test -- --skip interop_

tools: ## install what the tests compare with (Debian packages; starts none of their daemons) and NS1's Python clients
	@tests/tools/ensure
	@tests/tools/ensure-python >/dev/null

# A little optimisation: the build takes two minutes longer, and the histories a fifth of their time.
test: tools fmt lint ## everything: formatting, lints, every test, real resolvers and servers included
	CARGO_PROFILE_TEST_OPT_LEVEL=1 COUNTERSIGN_WORLDS=$(WORLDS) $(CARGO) test

backends: ## the tests of signing and answering with both libraries that can sign (aws-lc-rs needs a C compiler)
	$(CARGO) test --lib -- dnssec:: answer::
	$(CARGO) test --lib --features aws-lc-rs -- dnssec:: answer::

test-long: tools ## the same with millions of packets, hundreds of random zones, thousands of power losses
	COUNTERSIGN_PACKETS=$(PACKETS) COUNTERSIGN_ZONES=$(ZONES) COUNTERSIGN_HISTORIES=$(HISTORIES) \
		COUNTERSIGN_KILLS=$(KILLS) COUNTERSIGN_WORLDS=$(WORLDS_LONG) $(CARGO) test --release -- --include-ignored

fuzz: ## fuzz TARGET (engine or master) for FUZZ_SECONDS (needs cargo-fuzz; stable toolchain)
	@command -v cargo-fuzz >/dev/null || { echo 'cargo-fuzz is missing: cargo install cargo-fuzz'; exit 1; }
	cd tests/fuzz && $(CARGO) fuzz run -s none --fuzz-dir . $(TARGET) -- -max_total_time=$(FUZZ_SECONDS)

bench: ## measure the parts with criterion, and print the table (see benches/README.md)
	$(CARGO) bench --bench answering --bench signing --bench lookup --bench loading --bench changing
	@benches/table.py

peers: ## measure the whole beside NSD, Knot and PowerDNS in one run
	benches/peers.py

targets: ## whether the ratios to NSD, Knot and PowerDNS are what they are meant to be, a verdict a line
	benches/targets.py

instructions: ## count the instructions of hot answers (valgrind); more than a tenth more than before fails
	$(CARGO) bench --bench instructions
