#!/usr/bin/env bash
# HTTP/2 with nghttp: nghttp.sh BASE
set -euo pipefail

base=$1
bad() { echo "bad: $*"; exit 1; }

# It prints bodies, and says on stderr that the test's authority is unknown to it.
[ "$(nghttp "$base/bytes/100000" 2>/dev/null | wc -c)" = 100000 ] || bad "100,000 bytes"
[ "$(nghttp -m 50 "$base/bytes/10" 2>/dev/null | wc -c)" = 500 ] || bad "50 streams"
[ "$(nghttp "$base/chunks/50" 2>/dev/null | wc -c)" = 50000 ] || bad "50 chunks"
body=$(mktemp)
trap 'rm -f "$body"' EXIT
head -c 300000 /dev/zero >"$body"
nghttp -d "$body" "$base/echo" 2>/dev/null | grep '"bodyBytes":300000' >/dev/null || bad "300,000 bytes sent"
nghttp -nv "$base/status/404" 2>&1 | grep ':status: 404' >/dev/null || bad "404"
echo ok
