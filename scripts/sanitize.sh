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
# The targets with shared memory, raw pointers or sockets. HousePlanTests reads source files only,
# and ConfigurationTests and UnitsTests work on plain values.
targets='TelemetryTests|ReactorTests|TLSTests|HTTPCodecTests|RoutingTests|UpstreamTests|EdgeTests|WireTests|ProcessTests'

case ${1:-} in
  thread)
    # One thread works in these two, and floods and rules of frames are about one connection each:
    # the address sanitizer runs them.
    targets=${targets/HTTPCodecTests|RoutingTests|/}
    skipped='WireTests/HTTP2(Abuse|Rules)Tests/'
    export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"
    scratch=.build-tsan ;;
  address)
    # The Swift runtime keeps metadata for the life of the process: leaks are counted elsewhere,
    # by the soak run's gauges.
    export ASAN_OPTIONS="detect_leaks=0 ${ASAN_OPTIONS:-}"
    scratch=.build-asan ;;
  *)
    echo "usage: sanitize.sh thread|address" >&2
    exit 2 ;;
esac
swift test --sanitize="$1" --scratch-path "$scratch" --filter "^($targets)\." \
  --skip "${skipped:-^$}"
