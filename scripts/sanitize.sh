#!/usr/bin/env bash
# Tests under one sanitizer: scripts/sanitize.sh thread|address
#
# Each has a build folder of its own, and the C library's allocator instead of jemalloc, since a
# sanitizer must see every allocation.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

export SPILLWAY_PLAIN_MALLOC=1
export SWIFT_BACKTRACE=enable=no
# HousePlanTests reads source files only, and ConfigurationTests and UnitsTests work on plain values.
case ${1:-} in
  thread)
    # What threads share. A connection belongs to one worker for its life: of the wire tests only
    # those count in which threads meet, over reloads, drains, names, pools, counters and storms.
    tests='^(TelemetryTests|ReactorTests|TLSTests|UpstreamTests|EdgeTests|ProcessTests)\.'
    tests+='|^WireTests\.WireTests/([A-Za-z0-9]*(Reload|Storm)|Drain|Observation|Count|Name|Pool'
    tests+='|ConnectionLimit|LongRequest)Tests/'
    export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"
    scratch=.build-tsan ;;
  address)
    # All that have raw pointers or sockets; whole processes are the thread sanitizer's.
    tests='^(TelemetryTests|ReactorTests|TLSTests|HTTPCodecTests|RoutingTests|UpstreamTests'
    tests+='|EdgeTests|WireTests|FuzzTests)\.'
    # Two minutes of waiting for limits to grow and times to pass, on paths that the others take, too.
    skipped='(AdmissionCalm|LimitStatus|HTTP2Care)Tests'
    # The Swift runtime keeps metadata for the life of the process: leaks are counted elsewhere,
    # by the soak run's gauges.
    export ASAN_OPTIONS="detect_leaks=0 ${ASAN_OPTIONS:-}"
    scratch=.build-asan ;;
  *)
    echo "usage: sanitize.sh thread|address" >&2
    exit 2 ;;
esac
swift test --sanitize="$1" --scratch-path "$scratch" --filter "$tests" \
  ${skipped:+--skip "$skipped"}
