#!/usr/bin/env bash
# Every script must at least parse; shellcheck looks closer where it is installed.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"

mapfile -t shell < <(git ls-files '*.sh' .ci/run)
for file in "${shell[@]}"; do bash -n "$file"; done
mapfile -t python < <(git ls-files '*.py')
python3 - "${python[@]}" <<'PY'
import sys
for path in sys.argv[1:]:
    with open(path) as file:
        compile(file.read(), path, "exec")
PY
if command -v shellcheck >/dev/null; then shellcheck -x -S warning "${shell[@]}"; fi
