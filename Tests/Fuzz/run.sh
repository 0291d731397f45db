#!/usr/bin/env bash
# Fuzzes every parser of bytes from outside for a bounded time: run.sh [seconds per target, 30 by default].
# New inputs go to .build-fuzz; a crash is left there too and ends the run with an error.
set -euo pipefail

cd "$(dirname "$0")"
seconds=${1:-30}
scratch=$PWD/.build-fuzz
# The crash handler can hang under libFuzzer, and the fuzzer needs the C library's own allocator.
export SWIFT_BACKTRACE=enable=no SPILLWAY_PLAIN_MALLOC=1

swift build -c release --sanitize=fuzzer --scratch-path "$scratch"
binaries=$(swift build -c release --sanitize=fuzzer --scratch-path "$scratch" --show-bin-path)

for target in request response chunked trailers h2 fields trace hello proxy admin path regex configuration service load registry; do
  dictionary=$PWD/http.dict
  if [ -e "$PWD/$target.dict" ]; then dictionary=$PWD/$target.dict; fi
  found=$scratch/found/$target
  mkdir -p "$found"
  echo "fuzzing $target for $seconds s"
  if ! "$binaries/Fuzz${target^}" -max_total_time="$seconds" -max_len=4096 -timeout=5 \
    -rss_limit_mb=512 -print_final_stats=1 -verbosity=0 -dict="$dictionary" \
    -artifact_prefix="$found/" "$found" "$PWD/corpus/$target"; then
    echo "fuzzing $target failed; the input is in $found" >&2
    exit 1
  fi
done
