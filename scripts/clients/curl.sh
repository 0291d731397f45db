#!/usr/bin/env bash
# The exchanges that every client makes, with curl: curl.sh BASE VERSION [OPTION...]
#
# VERSION is what %{http_version} shall be. Prints "ok", or "bad: ..." and ends with status 1.
set -euo pipefail

base=$1 version=$2
shift 2
ask() { curl -sS -m 30 --noproxy '*' "$@"; }
options=("$@")
bad() { echo "bad: $*"; exit 1; }

[ "$(ask "${options[@]}" -o /dev/null -w '%{size_download} %{http_version}' "$base/bytes/100000")" = "100000 $version" ] \
  || bad "100,000 bytes, or not HTTP/$version"
[ "$(ask "${options[@]}" -o /dev/null -w '%{size_download}' "$base/chunks/50")" = 50000 ] || bad "50 chunks"
[ "$(ask "${options[@]}" -o /dev/null -w '%{http_code}' "$base/status/204")" = 204 ] || bad "204"
[ "$(ask "${options[@]}" -o /dev/null -w '%{http_code}' "$base/status/404")" = 404 ] || bad "404"
[ "$(ask "${options[@]}" -I -o /dev/null -w '%{http_code}' "$base/bytes/10")" = 200 ] || bad "HEAD"
head -c 300000 /dev/zero | ask "${options[@]}" -T - -H 'Expect: 100-continue' "$base/echo" >"${TMPDIR:-/tmp}/curl.$$"
grep -q '"bodyBytes":300000' "${TMPDIR:-/tmp}/curl.$$" || { rm -f "${TMPDIR:-/tmp}/curl.$$"; bad "300,000 bytes sent"; }
rm -f "${TMPDIR:-/tmp}/curl.$$"
# curl 7.88 answers only the first of several URLs over a cleartext HTTP/2 connection.
case " ${options[*]} " in
  *" --http2-prior-knowledge "*) ;;
  *) [ "$(ask "${options[@]}" "$base/bytes/10?[1-50]" | wc -c)" = 500 ] || bad "50 requests on one connection" ;;
esac
echo ok
