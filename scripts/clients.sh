#!/usr/bin/env bash
# Real clients and TLS scanners against the release binary: installs what it can, skips what is not there.
#
#   scripts/clients.sh [OPTION...]      options of scripts/clients/run.py, such as --only curl,grpcio
#
# Exits with 1 when a client that is installed fails.
set -euo pipefail
# shellcheck source=scripts/lib.sh
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$root"
products=${CLIENTS_PRODUCTS:-$(swift build -c release --show-bin-path)}
venv=.build/clients

# One by one: that one of them cannot be had must not keep the others away.
install_packages() {
  local as_root=() package updated=
  [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
  for entry in curl:curl nghttp:nghttp2-client openssl:openssl go:golang-go node:nodejs \
    chromium:chromium testssl:testssl.sh; do
    package=${entry#*:}
    if command -v "${entry%%:*}" >/dev/null; then continue; fi
    if [ -z "$updated" ]; then
      "${as_root[@]}" apt-get update >/dev/null 2>&1 || true
      updated=1
    fi
    echo "clients: installing $package"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$package" >/dev/null 2>&1 \
      || echo "clients: $package could not be installed"
  done
}

# Libraries for Python in a place of their own, so that nothing of the system changes.
install_libraries() {
  local library
  if [ ! -x "$venv/bin/python" ] && ! python3 -m venv "$venv" >/dev/null 2>&1; then
    rm -rf "$venv"
    echo "clients: python3 -m venv does not work here, so libraries are those of python3"
    return
  fi
  "$venv/bin/pip" install -q --disable-pip-version-check -r scripts/clients/requirements.txt >/dev/null 2>&1 && return
  while read -r library; do
    "$venv/bin/pip" install -q --disable-pip-version-check "$library" >/dev/null 2>&1 \
      || echo "clients: $library could not be installed"
  done <scripts/clients/requirements.txt
}

case " $* " in
  *" --quick "*) ;;
  *)
    if command -v apt-get >/dev/null; then install_packages; fi
    install_libraries
    ;;
esac
python=$venv/bin/python
[ -x "$python" ] || python=python3
exec scripts/clients/run.py "$products" --python "$python" "$@"
