#!/usr/bin/env bash
# Fails when a proxied request allocates in steady state; see allocations.py --help.
set -euo pipefail
exec python3 "$(dirname "${BASH_SOURCE[0]}")/allocations.py" "$@"
