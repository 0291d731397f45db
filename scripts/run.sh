#!/usr/bin/env bash
# Builds a release and runs the edge on examples/quickstart.yaml before two demo services and
# a simulated one that can be overloaded.
#
#   scripts/run.sh [DIRECTORY]      where the products are; without it they are built
#
# SPILLWAY_RUN_PORTS: six other ports, on a copy of the example: the edge, its admin interface, the
# services checkout, catalog and shop, and the control API of the last.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

read -r edge_port admin_port checkout_port catalog_port shop_port control_port \
  <<<"${SPILLWAY_RUN_PORTS:-8080 9901 7001 7002 7003 7004}"

for entry in "$edge_port:the edge" "$admin_port:the edge's admin interface" \
  "$checkout_port:the demo service checkout" "$catalog_port:the demo service catalog" \
  "$shop_port:the simulated service shop" "$control_port:the control API of the service shop"; do
  if is_taken "${entry%%:*}"; then
    echo "run: port ${entry%%:*} is taken, ${entry#*:} needs it." >&2
    owner=$(ss -Hltnp "sport = :${entry%%:*}" 2>/dev/null | sed -n 's/.*users:((\(.*\)))/\1/p' || true)
    [ -z "$owner" ] || echo "run: it is held by $owner" >&2
    exit 1
  fi
done

if [ $# -gt 0 ]; then
  products=$1
else
  swift build -c release --product spillway
  swift build -c release --product demo
  swift build -c release --product loadtest
  products=$(swift build -c release --show-bin-path)
fi
mkdir -p .build/quickstart
config=examples/quickstart.yaml
if [ -n "${SPILLWAY_RUN_PORTS:-}" ]; then
  config=.build/quickstart/quickstart.yaml
  sed -e "s/:8080/:$edge_port/" -e "s/:9901/:$admin_port/" -e "s/:7001/:$checkout_port/" \
    -e "s/:7002/:$catalog_port/" -e "s/:7003/:$shop_port/" examples/quickstart.yaml >"$config"
fi

services=()
edge=
stop() {
  trap - EXIT
  # A second Ctrl-C ends the edge without waiting for its requests.
  trap '[ -z "$edge" ] || kill -KILL "$edge" 2>/dev/null || true' INT TERM
  if [ -n "$edge" ]; then
    kill -TERM "$edge" 2>/dev/null || true
    until has_ended "$edge"; do wait "$edge" || true; done
  fi
  [ ${#services[@]} -eq 0 ] || kill "${services[@]}" 2>/dev/null || true
  wait
}
trap stop EXIT
trap 'echo; echo "run: stopping"; exit 0' INT TERM

# Processes that bash starts with & ignore SIGINT, so Ctrl-C reaches this script alone and the
# edge can finish its requests before the services behind it go away.
"$products/demo" --port "$checkout_port" --name checkout &
services+=($!)
"$products/demo" --port "$catalog_port" --name catalog &
services+=($!)
"$products/loadtest" backend loadtest/scenarios/service.yaml \
  --port "$shop_port" --control-port "$control_port" &
services+=($!)
"$products/spillway" run --config "$config" &
edge=$!

is_ready() {
  has_ended "$edge" || curl -fsS -o /dev/null "http://127.0.0.1:$admin_port/readyz"
}
wait_until 30 "the edge is ready" is_ready
if has_ended "$edge"; then
  echo "run: the edge ended at start, see above" >&2
  exit 1
fi

cat <<TEXT

Spillway listens on 127.0.0.1:$edge_port. Try:

  curl -i http://127.0.0.1:$edge_port/v1/orders/7            through the route checkout-orders
  curl -s http://127.0.0.1:$edge_port/v1/orders/echo         what the service sees
  curl -i http://127.0.0.1:$edge_port/v1/catalog/bytes/64    another service
  curl -i http://127.0.0.1:$edge_port/v1/legacy              answered by the edge itself
  make load                                                  in another terminal: ten times what /pay,
                                                             /order, /browse and /prefetch can serve
  .build/release/spillway route $config GET http://127.0.0.1/v1/orders/7

  metrics  http://127.0.0.1:$admin_port/metrics
  admin    http://127.0.0.1:$admin_port/readyz  /healthz  /admin/config-version

Edit $config and watch it reload. Ctrl-C stops everything.

TEXT
status=0
wait "$edge" || status=$?
edge=
echo "run: the edge ended by itself with status $status" >&2
exit "$status"
