#!/usr/bin/env bash
# Ten times the traffic: at what `make run` started, or at an edge and a service of its own.
#
#   scripts/load.sh load|demo
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

what=${1:-load}
output=.build/loadtest/$what
swift build -c release --product loadtest
swift build -c release --product spillway
loadtest=$(swift build -c release --show-bin-path)/loadtest
mkdir -p "$output"

# The service of `make run`, reached through its edge.
is_running() {
  [ "$what" = load ] && is_taken 7004 \
    && curl -fsS -m 2 -o /dev/null http://127.0.0.1:8080/browse 2>/dev/null
}

status=0
if is_running; then
  echo "load: what make run started, at http://127.0.0.1:8080"
  page=$output/run.html
  "$loadtest" run loadtest/scenarios/load.yaml --target http://127.0.0.1:8080 \
    --direct http://127.0.0.1:7003 --backend http://127.0.0.1:7004 \
    --json "$output/run.json" --html "$page" || status=$?
else
  echo "$what: an edge and a service of its own"
  page=$output/suite.html
  "$loadtest" suite "$what" --scenarios loadtest/scenarios \
    --output "$output" || status=$?
fi

case $status in
  0) verdict="every expectation was met" ;;
  1) verdict="some expectations were not met, see above" ;;
  3) verdict="this run cannot be believed, see above" ;;
  *) echo "$what: the run could not begin" >&2; exit "$status" ;;
esac
cat <<TEXT

$what: $verdict
The report with plots: file://$root/$page
TEXT
# A demonstration has shown what it has to show, whatever came of it.
[ "$what" = demo ] || exit "$status"
