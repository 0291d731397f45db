#!/usr/bin/env bash
# Builds a release and runs the edge on examples/quickstart.yaml before two demo services and
# a simulated one that can be overloaded.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

edge_port=8080 admin_port=9901 checkout_port=7001 catalog_port=7002
shop_port=7003 control_port=7004

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

swift build -c release --product spillway
swift build -c release --product demo
swift build -c release --product loadtest
products=$(swift build -c release --show-bin-path)

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
"$products/loadtest" backend --workers 10 --service-time 20ms \
  --port "$shop_port" --control-port "$control_port" &
services+=($!)
mkdir -p .build/quickstart
"$products/spillway" run --config examples/quickstart.yaml &
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
  .build/release/spillway route examples/quickstart.yaml GET http://127.0.0.1/v1/orders/7

  metrics  http://127.0.0.1:$admin_port/metrics
  admin    http://127.0.0.1:$admin_port/readyz  /healthz  /admin/config-version

Edit examples/quickstart.yaml and watch it reload. Ctrl-C stops everything.

TEXT
status=0
wait "$edge" || status=$?
edge=
echo "run: the edge ended by itself with status $status" >&2
exit "$status"
