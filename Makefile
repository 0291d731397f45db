# Spillway: two commands matter, `make run` and `make test`. `make help` lists the rest.

SHELL := /bin/bash
# How long each fuzz target runs, in seconds.
FUZZ_SECONDS ?= 20
# Scenarios, rounds and further options of the side-by-side measurement.
BENCH_SCENARIOS ?= h1,reject-h1,shed-h1,open-h1,large,latency,idle
BENCH_ROUNDS ?= 7
BENCH_FLAGS ?=
# Options of the load suite, such as names of scenarios and --against nginx --against haproxy.
SUITE_FLAGS ?=
# Seeds of each scenario, and names of some where not all shall run.
SIMULATE_SEEDS ?= 3
SIMULATE_FLAGS ?=
SWIFT_SOURCES := Sources Tests loadtest Package.swift

.DEFAULT_GOAL := help
.PHONY: help run load demo suite test build setup lint format sanitize smoke fuzz bench abuse simulate decision instructions allocations soak leave clients clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## Install what is missing, build, start demo services and the edge, say what to try
	@scripts/setup.sh run
	@scripts/run.sh

load: ## Ten times the traffic at what make run started, or at an edge of its own
	@scripts/setup.sh run
	@scripts/load.sh load

demo: ## The whole story in a minute: 1x, 10x, 1x, and a report with plots
	@scripts/setup.sh run
	@scripts/load.sh demo

suite: ## Every load scenario at the edge, and at the peers named in SUITE_FLAGS
	@scripts/setup.sh run
	swift build -c release --product loadtest
	swift build -c release --product spillway
	@.build/release/loadtest suite $(SUITE_FLAGS)

test: ## Everything CI runs: lint, tests, sanitizers, smoke run, allocations, packaging
	@scripts/setup.sh test
	@scripts/test.sh

setup: ## Install missing system packages for run and test
	@scripts/setup.sh test

build: ## Release build of the edge and the demo service
	@scripts/setup.sh run
	swift build -c release --product spillway
	swift build -c release --product demo

lint: ## Check the format of every Swift file
	swift format lint --strict --recursive $(SWIFT_SOURCES)

format: ## Format every Swift file in place
	swift format --in-place --recursive $(SWIFT_SOURCES)

sanitize: ## All tests of threads, pointers and sockets under both sanitizers
	@scripts/setup.sh test
	@scripts/sanitize.sh thread whole
	@scripts/sanitize.sh address whole

smoke: build ## Drive the release binary through start, reload and drain
	@scripts/smoke.sh

fuzz: ## Fuzz each parser for FUZZ_SECONDS
	@Tests/Fuzz/run.sh $(FUZZ_SECONDS)

bench: ## Measure beside nginx, HAProxy and other peers that are found
	@scripts/setup.sh bench
	swift build -c release --product spillway
	@bench/bench.py --scenarios $(BENCH_SCENARIOS) --rounds $(BENCH_ROUNDS) \
	  --peer bench/spillway.json --bin spillway=.build/release/spillway \
	  --peer bench/spillway-epoll.json --bin spillway-epoll=.build/release/spillway $(BENCH_FLAGS)

abuse: ## Hostile clients, and dropped handshakes: what they cost the edge and a polite client
	@scripts/setup.sh bench
	swift build -c release --product spillway
	@bench/abuse.py $(ABUSE_FLAGS)

simulate: ## Run admission through every scenario of overload; fails when a goal is missed
	swift build -c release --product admission-sim
	@.build/release/admission-sim --seeds $(SIMULATE_SEEDS) $(SIMULATE_FLAGS)

decision: ## Measure one decision of admission: nanoseconds and allocations
	@bench/decision/run.sh

instructions: ## Count user-space instructions per proxied request (callgrind)
	@scripts/setup.sh instructions
	swift build -c release --product spillway
	@bench/instructions.sh

allocations: ## Fail when a proxied request allocates in steady state
	@scripts/setup.sh test
	swift build -c release --product spillway
	@bench/allocations.sh

soak: build ## Mixed traffic with faults, then check that nothing leaked
	@scripts/setup.sh bench
	@bench/soak.py $(SOAK_FLAGS)

leave: build ## Reload, upgrade and end under load: no request may be lost
	@scripts/setup.sh bench
	@bench/leave.py

clients: build ## Real clients and TLS scanners: installs what it can, prints what works
	@scripts/clients.sh $(CLIENTS_FLAGS)

clean: ## Remove all build products
	rm -rf .build .build-tsan .build-asan Tests/Fuzz/.build
