#!/usr/bin/env bash
# A few thousand requests with h2load, all of which must succeed: h2load.sh BASE [OPTION...]
set -euo pipefail

base=$1
shift
said=$(h2load -n 4000 -c 20 "$@" "$base/bytes/1000" 2>&1) || { echo "bad: $(tail -n 1 <<<"$said")"; exit 1; }
grep -q '4000 succeeded, 0 failed, 0 errored, 0 timeout' <<<"$said" && grep -q '4000 2xx' <<<"$said" \
  || { echo "bad: $(grep '^requests:' <<<"$said")"; exit 1; }
echo ok
