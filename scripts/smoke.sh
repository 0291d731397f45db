#!/usr/bin/env bash
# Drives the real binary: start, proxy, reload, refuse a bad file, drain under a slow request.
#
#   scripts/smoke.sh [DIRECTORY]      where `spillway` and `demo` are (default: the release build)
#
# Both reactors, with and without the supervising parent. Waits for conditions, never for time.
# What curl prints is read to its end: `grep -q` would end early and make curl fail at its pipe.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
products=${1:-$(swift build -c release --show-bin-path)}

work=$(mktemp -d)
demo=
edge=
clean_up() {
  # By SIGTERM at first: `make run` has processes of its own.
  [ -z "$edge" ] || { kill -TERM "$edge" 2>/dev/null && sleep 1; } || true
  for process in $edge $demo; do kill -KILL "$process" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$work"
}
trap clean_up EXIT

fail() {
  echo "smoke: $*" >&2
  [ ! -s "$work/edge.log" ] || { echo "smoke: the edge said:" >&2; tail -n 20 "$work/edge.log" >&2; }
  exit 1
}

mapfile -t ports < <(free_ports 3)
demo_port=${ports[0]} edge_port=${ports[1]} admin_port=${ports[2]}
edge_url="http://127.0.0.1:$edge_port"
admin_url="http://127.0.0.1:$admin_port"

write_config() { # write_config STATUS-OF-/answer
  cat >"$work/new.yaml" <<YAML
listeners: [{name: public, address: "127.0.0.1:$edge_port"}]
admin: {address: "127.0.0.1:$admin_port"}
workers: 2
stateDirectory: $work/state
drain: {grace: 100ms, deadline: 30s}
accessLog: {output: "file:$work/access.log", sample: {default: 1}}
services: [{name: demo, endpoints: ["127.0.0.1:$demo_port"]}]
routes:
  - {name: answer, match: {path: /answer}, respond: {status: $1, body: "here\n"}, policies: {auth: none}}
  - {name: all, match: {pathPrefix: /}, upstream: {service: demo}, policies: {auth: none, timeoutMs: 10000}}
YAML
  mv "$work/new.yaml" "$work/edge.yaml"
}

version() { curl -fsS "$admin_url/admin/config-version" | python3 -c 'import json, sys; print(json.load(sys.stdin)["configVersion"])'; }
status_of() { curl -sS -o /dev/null -w '%{http_code}' "$@"; }
is_status() { [ "$(status_of "$2")" = "$1" ]; }
has_new_version() { [ "$(version)" != "$1" ]; }
is_sent() { grep -q '^> GET /sleep' "$work/slow.trace"; }
has_refused() { curl -fsS "$admin_url/metrics" | grep '^spillway_config_reloads_total{outcome="refused"} [1-9]'; }
is_ready_or_ended() { has_ended "$edge" || is_status 200 "$admin_url/readyz"; }

run_once() { # run_once REACTOR [OPTION]
  local reactor=$1 before slow status
  shift
  mkdir -p "$work/state"
  write_config 503
  "$products/spillway" check "$work/edge.yaml" >/dev/null || fail "check refuses a good file"

  if [ "$reactor" = default ]; then
    "$products/spillway" run --config "$work/edge.yaml" "$@" >"$work/edge.log" 2>&1 &
  else
    SPILLWAY_REACTOR=$reactor "$products/spillway" run --config "$work/edge.yaml" "$@" >"$work/edge.log" 2>&1 &
  fi
  edge=$!
  wait_until 30 "the edge is ready" is_ready_or_ended || fail "not ready"
  if has_ended "$edge"; then fail "the edge ended at start"; fi

  # Proxied: with and without a body, the fields that an edge adds, a body of some size.
  [ "$(status_of "$edge_url/hello")" = 200 ] || fail "GET /hello is not 200"
  curl -fsS "$edge_url/hello" | grep '"service":"smoke"' >/dev/null || fail "GET /hello did not reach the service"
  head -c 300000 /dev/zero | curl -fsS -T - "$edge_url/echo" >"$work/echo"
  grep -q '"bodyBytes":300000' "$work/echo" || fail "a chunked body arrived wrong: $(cat "$work/echo")"
  grep -qi '"x-forwarded-for"' "$work/echo" || fail "no X-Forwarded-For: $(cat "$work/echo")"
  [ "$(curl -fsS "$edge_url/bytes/1000000" | wc -c)" = 1000000 ] || fail "a large body arrived wrong"
  [ "$(curl -fsS "$edge_url/chunks/100" | wc -c)" = 100000 ] || fail "a chunked answer arrived wrong"
  [ "$(status_of "$edge_url/status/418")" = 418 ] || fail "the service's status was not relayed"

  # Local: a route that answers by itself, and metrics that know about all of it.
  [ "$(status_of "$edge_url/answer")" = 503 ] || fail "the answering route is not 503"
  curl -fsS "$admin_url/metrics" | grep '^spillway_' >/dev/null || fail "no metrics"

  # A reload takes effect without a restart; a bad file changes nothing.
  before=$(version)
  write_config 410
  kill -HUP "$edge"
  wait_until 10 "the configuration version changes" has_new_version "$before" || fail "SIGHUP did not reload"
  [ "$(status_of "$edge_url/answer")" = 410 ] || fail "the reloaded route still answers as before"
  before=$(version)
  echo 'listeners: nonsense' >"$work/edge.yaml"
  if "$products/spillway" check "$work/edge.yaml" >/dev/null 2>&1; then fail "check accepts a bad file"; fi
  kill -HUP "$edge"
  wait_until 10 "the bad file is refused" has_refused || fail "no refused reload is counted"
  grep -q 'edge\.yaml:1:' "$work/edge.log" || fail "the log does not say where the bad file is wrong"
  [ "$(status_of "$edge_url/answer")" = 410 ] || fail "a bad file took effect"
  [ "$(version)" = "$before" ] || fail "a bad file became a version"

  # SIGTERM: the request on its way is finished, then the process ends with status 0.
  : >"$work/slow.trace"
  curl -sS -v -o "$work/slow" -w '%{http_code}' "$edge_url/sleep/1000" >"$work/slow.status" 2>"$work/slow.trace" &
  slow=$!
  wait_until 10 "the slow request is sent" is_sent || fail "the slow request was not sent"
  kill -TERM "$edge"
  wait "$slow" || fail "the slow request was cut off by the drain"
  [ "$(cat "$work/slow.status")" = 200 ] || fail "the slow request got $(cat "$work/slow.status")"
  wait_until 30 "the edge ends" has_ended "$edge" || fail "SIGTERM did not end the edge"
  status=0
  wait "$edge" || status=$?
  edge=
  [ "$status" = 0 ] || fail "a drained edge ended with status $status"
  grep -q '"route":"all"' "$work/access.log" || fail "the access log has no line of the route"
  rm -rf "$work/state" "$work/access.log"
  echo "smoke: reactor $reactor ${*:-supervised}: passed"
}

"$products/demo" --port "$demo_port" --name smoke 2>/dev/null &
demo=$!
wait_until 10 "the demo service answers" is_status 200 "http://127.0.0.1:$demo_port/" || fail "no demo service"

# `make run` without its builds, on ports that are free here: what it prints must be true.
run_quickstart() {
  local line answer status
  "$products/spillway" check examples/quickstart.yaml >/dev/null || fail "check refuses the quickstart example"
  mapfile -t ports < <(free_ports 6)
  # Behind & bash ignores SIGINT, which is what Ctrl-C sends.
  SPILLWAY_RUN_PORTS="${ports[*]}" env --default-signal=INT scripts/run.sh "$work/bin" >"$work/edge.log" 2>&1 &
  edge=$!
  has_invited() { has_ended "$edge" || grep '^Edit ' "$work/edge.log"; }
  wait_until 30 "make run says what to try" has_invited || fail "make run says nothing"
  if has_ended "$edge"; then fail "make run ended"; fi

  # Each line of curl as it is printed, without what stands behind it.
  for entry in orders/7:200 orders/echo:x-request-id catalog/bytes:200 legacy:410; do
    line=$(grep -m 1 "^  curl .*${entry%%:*}" "$work/edge.log" | sed 's/^  //; s/   .*//') ||
      fail "make run prints no curl line of ${entry%%:*}"
    answer=$($line 2>/dev/null | tr -d '\0') || fail "this printed line fails: $line"
    grep -q "${entry##*:}" <<<"$answer" || fail "this printed line gives no ${entry##*:}: $line"
  done
  for line in $(grep -oE 'http://[0-9.:]+/(metrics|readyz)' "$work/edge.log"); do
    [ "$(status_of "$line")" = 200 ] || fail "$line, as printed, is not 200"
  done

  # A second one finds the port taken and says by whom.
  status=0
  answer=$(SPILLWAY_RUN_PORTS="${ports[*]}" scripts/run.sh "$work/bin" 2>&1) || status=$?
  [ "$status" = 1 ] || fail "a second make run ended with $status"
  grep -q "port ${ports[0]} is taken, the edge needs it" <<<"$answer" || fail "a second make run said: $answer"

  kill -INT "$edge"
  wait_until 30 "make run ends" has_ended "$edge" || fail "Ctrl-C does not end make run"
  status=0
  wait "$edge" || status=$?
  edge=
  [ "$status" = 0 ] || fail "make run ended with status $status after Ctrl-C"
  ! is_taken "${ports[0]}" || fail "make run left the edge behind"
  ! is_taken "${ports[2]}" || fail "make run left a service behind"
  echo "smoke: quickstart: passed"
}

# The harness is not built in release here: its service is simulated as well by a debug build.
mkdir "$work/bin"
ln -s "$products/spillway" "$products/demo" "$work/bin/"
harness=$products/loadtest
[ -x "$harness" ] || harness=$(swift build --show-bin-path)/loadtest
[ -x "$harness" ] || fail "the harness is not built: swift build --product loadtest"
ln -s "$harness" "$work/bin/"

run_once io_uring
run_once epoll --no-supervise
run_once default --no-supervise
# It works twice in a row.
run_quickstart
run_quickstart
