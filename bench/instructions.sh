#!/usr/bin/env bash
# User-space instructions per proxied request, by callgrind; see instructions.py --help.
set -euo pipefail
exec python3 "$(dirname "${BASH_SOURCE[0]}")/instructions.py" "$@"
