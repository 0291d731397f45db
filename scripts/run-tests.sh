#!/usr/bin/env bash
# Runs the tests of a build in several processes at a time.
#
#   scripts/run-tests.sh BUILD-FOLDER SHARD...
#
# A shard is REACTOR:FILTER, the reactor that the wire tests of it stand on (epoll, io_uring, any) and
# a regular expression of tests. Wire tests run one after the other within a process and wait more
# than they work, so processes beside each other need half the time. Each writes a log of its own,
# printed when it has ended.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
export SWIFT_BACKTRACE=enable=no

# A test that hangs fails the run then, in seconds. Tests bound their own waits; what they cannot
# bound is how long they wait for a thread.
limit=${SPILLWAY_TEST_LIMIT:-1500}
runner=$1/spillwayPackageTests.xctest
shift
shards=("$@")
logs=$(mktemp -d)
pids=()
stop() {
  trap - EXIT
  [ ${#pids[@]} -eq 0 ] || kill "${pids[@]}" 2>/dev/null || true
  rm -rf "$logs"
}
trap stop EXIT
trap 'exit 1' INT TERM

for index in "${!shards[@]}"; do
  WIRE_TESTS_REACTOR=${shards[index]%%:*} timeout "$limit" \
    "$runner" --testing-library swift-testing --filter "${shards[index]#*:}" \
    >"$logs/$index" 2>&1 &
  pids+=($!)
done

failed=0
for index in "${!shards[@]}"; do
  printf '\n-- %s\n' "${shards[index]}"
  status=0
  wait "${pids[index]}" || status=$?
  cat "$logs/$index"
  # Without a single test a filter is wrong.
  if ((status == 0)) && ! grep -q "Test run with [1-9]" "$logs/$index"; then status=99; fi
  if ((status != 0)); then
    echo "error: tests ended with status $status: ${shards[index]}"
    failed=1
  fi
done
pids=()
exit "$failed"
