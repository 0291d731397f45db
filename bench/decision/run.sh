#!/usr/bin/env bash
# Fails when one decision of admission takes more than 100 ns of processor time or allocates.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
export SWIFT_BACKTRACE=enable=no
swift build -c release >/dev/null
cc -O2 -shared -fPIC -o .build/malloc_count.so ../malloc_count.c -ldl
counts=$(mktemp)
trap 'rm -f "$counts"' EXIT
MALLOC_COUNT_FILE=$counts LD_PRELOAD=.build/malloc_count.so .build/release/decision
