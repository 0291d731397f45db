# shellcheck shell=bash
# What the scripts share. Sourced after `set -euo pipefail`.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
export root

# True when somebody accepts connections on a port of this machine.
is_taken() {
  (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# Prints as many free ports as asked for, one a line.
free_ports() {
  python3 - "$1" <<'PY'
import socket, sys
held = [socket.create_server(("127.0.0.1", 0)) for _ in range(int(sys.argv[1]))]
for s in held:
    print(s.getsockname()[1])
PY
}

# Waits until a command succeeds: wait_until SECONDS WHAT COMMAND...
# The seconds only bound a failure; a condition that comes true ends the wait at once.
wait_until() {
  local seconds=$1 what=$2 end
  shift 2
  end=$((SECONDS + seconds))
  until "$@" >/dev/null 2>&1; do
    if ((SECONDS >= end)); then
      echo "gave up after $seconds s waiting until $what" >&2
      return 1
    fi
    sleep 0.05
  done
}

# True when a process has ended, also as a zombie that nobody has waited for.
has_ended() {
  local state
  state=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null | cut -d ' ' -f 1) || return 0
  [ -z "$state" ] || [ "$state" = Z ]
}
