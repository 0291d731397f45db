#!/usr/bin/env bash
# Installs the system packages that are missing, and nothing when none is.
#
#   scripts/setup.sh run|test|bench|instructions
#
# Debian 12 and Ubuntu 24.04 (apt). Elsewhere it says what to install by hand.
set -euo pipefail

purpose=${1:-run}
packages=(
  liburing-dev libc-ares-dev libjemalloc-dev libnghttp2-dev libssl-dev pkg-config python3 curl
)
case $purpose in
  run) ;;
  # systemd brings systemd-analyze, which checks the unit files without systemd running.
  test) packages+=(gcc libc6-dev openssl systemd prometheus etcd-server) ;;
  bench) packages+=(gcc libc6-dev openssl nghttp2-client) ;;
  instructions) packages+=(gcc libc6-dev nghttp2-client valgrind) ;;
  *)
    echo "usage: setup.sh run|test|bench|instructions" >&2
    exit 2
    ;;
esac

fail() {
  echo "setup: $*" >&2
  exit 1
}

swift_version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9]*\)\.\([0-9]*\).*/\1 \2/p') || true
[ -n "$swift_version" ] || fail "no swift on PATH: install Swift 6.3 from https://www.swift.org/install/linux"
read -r major minor <<<"$swift_version"
if ((major < 6 || (major == 6 && minor < 3))); then
  fail "Swift 6.3 or newer is needed, this is $major.$minor"
fi

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
  echo "setup: not a Debian or Ubuntu system; these must be there: ${packages[*]}" >&2
  exit 0
fi

missing=()
for package in "${packages[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  # Some tools come from elsewhere, such as a Python built by hand: a command will do.
  case $package in
    python3 | curl | gcc | openssl | valgrind)
      if command -v "$package" >/dev/null; then state=installed; fi ;;
    prometheus)
      if command -v prometheus >/dev/null && command -v promtool >/dev/null; then state=installed; fi ;;
    etcd-server)
      if command -v etcd >/dev/null; then state=installed; fi ;;
    nghttp2-client)
      if command -v h2load >/dev/null; then state=installed; fi ;;
  esac
  [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null \
    || fail "these packages are missing: ${missing[*]}; run as root, or with sudo installed: apt-get install ${missing[*]}"
  as_root=(sudo)
fi

install() {
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "${missing[@]}" >"$log" 2>&1
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "setup: installing ${missing[*]}"
# The package lists of a fresh image are empty or old: only then are they fetched.
if ! install; then
  echo "setup: updating the package lists"
  # One source of several may be out of reach; whether that matters, the next attempt tells.
  "${as_root[@]}" apt-get update >"$log" 2>&1 || tail -n 5 "$log" >&2
  install || { tail -n 15 "$log" >&2; fail "apt-get could not install ${missing[*]}"; }
fi

# Debian starts what it installs. Tests start their own, on ports of their own, so a server that came just
# now and nobody asked for is stopped, and stays so.
for package in "${missing[@]}"; do
  case $package in
    etcd-server) service=etcd ;;
    prometheus) service=prometheus ;;
    *) continue ;;
  esac
  if [ -d /run/systemd/system ]; then
    "${as_root[@]}" systemctl disable --now "$service" >"$log" 2>&1 || tail -n 3 "$log" >&2
  elif [ -x "/etc/init.d/$service" ]; then
    "${as_root[@]}" "/etc/init.d/$service" stop >"$log" 2>&1 || tail -n 3 "$log" >&2
  fi
done
