#!/usr/bin/env bash
# Tests under one sanitizer: scripts/sanitize.sh thread|address short|whole
#
# Short is what `make test` has time for: of the wire tests those in which threads meet, on one
# reactor. Whole is for `make sanitize`: all of them, on both.
#
# Each sanitizer has a build folder of its own, and the C library's allocator instead of jemalloc,
# since it must see every allocation.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

export SPILLWAY_PLAIN_MALLOC=1
export SWIFT_BACKTRACE=enable=no
usage() {
  echo "usage: sanitize.sh thread|address short|whole" >&2
  exit 2
}
# These work on plain values or read source files only.
plain="HousePlanTests ConfigurationTests UnitsTests LoadKitTests LoadEngineTests"
harness="loadtest LoadEngine LoadKit admission-sim"
wire='^WireTests\.WireTests/'
case ${1:-} in
  thread)
    # What threads share. A connection belongs to one worker for its life: of the wire tests only
    # those count in which threads meet, over reloads, drains, names, pools, counters and storms.
    SPILLWAY_WITHOUT="$plain $harness HTTPCodecTests RoutingTests FuzzTests"
    tests='^(TelemetryTests|ReactorTests|TLSTests|UpstreamTests|EdgeTests|ProcessTests)\.'
    tests+='|^AdmissionTests\.StressTests'
    met='([A-Za-z0-9]*(Reload|Storm)|Drain|Observation|Count|Name|Pool|ConnectionLimit|LongRequest)'
    short=("any:$tests" "epoll:$wire${met}Tests/")
    whole=("any:$tests" "epoll:$wire" "io_uring:$wire")
    export TSAN_OPTIONS="halt_on_error=1 ${TSAN_OPTIONS:-}"
    scratch=.build-tsan ;;
  address)
    # All that have raw pointers.
    SPILLWAY_WITHOUT="$plain $harness AdmissionTests Simulation ProcessTests spillway demo"
    [ "${2:-}" = whole ] || SPILLWAY_WITHOUT+=" WireTests"
    tests='^(TelemetryTests|ReactorTests|TLSTests|HTTPCodecTests|RoutingTests|UpstreamTests'
    tests+='|EdgeTests|FuzzTests)\.'
    short=("any:$tests")
    whole=("any:$tests" "epoll:$wire" "io_uring:$wire")
    # The Swift runtime keeps metadata for the life of the process: leaks are counted elsewhere,
    # by the soak run's gauges.
    export ASAN_OPTIONS="detect_leaks=0 ${ASAN_OPTIONS:-}"
    scratch=.build-asan ;;
  *) usage ;;
esac
case ${2:-} in
  short) shards=("${short[@]}") ;;
  whole)
    shards=("${whole[@]}")
    # All wire tests under a sanitizer take their time.
    export SPILLWAY_TEST_LIMIT=3600 ;;
  *) usage ;;
esac
export SPILLWAY_WITHOUT
swift build --build-tests --sanitize="$1" --scratch-path "$scratch"
scripts/run-tests.sh "$scratch/debug" "${shards[@]}"
