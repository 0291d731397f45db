#!/usr/bin/env bash
# Everything CI runs, cheapest answers first. Stops at the first stage that fails and names it.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
export SWIFT_BACKTRACE=enable=no

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# Runs a command. When it fails, what failed is said once more at the very end: the lines that
# name a failure are far up, among thousands of tests that passed.
stage() {
  local name=$1 started=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  if ! "$@" 2>&1 | tee "$log"; then
    printf '\n== What failed\n'
    grep -E "recorded an issue|error:|warning:|Sanitizer|Fatal|unexpected signal| failed after|ended with status" "$log" |
      tail -n 40 || true
    printf '\nmake test: FAILED at: %s\n' "$name" >&2
    exit 1
  fi
  printf '== %s: done in %d s\n' "$name" "$((SECONDS - started))"
}

stage "format" swift format lint --strict --recursive Sources Tests loadtest Package.swift
stage "packaging" scripts/check-packaging.sh
stage "scripts" scripts/check-scripts.sh
stage "debug build, warnings are errors" swift build --build-tests
stage "tests" scripts/run-tests.sh .build/debug \
  'any:^(?!WireTests)' 'epoll:^WireTests\.' 'io_uring:^WireTests\.'
stage "release build of the edge" swift build -c release --product spillway
stage "release build of the demo service" swift build -c release --product demo
stage "smoke run of the release binary" scripts/smoke.sh
stage "clients that are installed" scripts/clients.sh --quick
stage "heap allocations per request" bench/allocations.sh --requests 5000
stage "dashboards in a real Prometheus" scripts/check-dashboards.py
stage "thread sanitizer" scripts/sanitize.sh thread short
stage "address sanitizer" scripts/sanitize.sh address short
printf '\nmake test: everything passed in %d s\n' "$SECONDS"
