#!/bin/bash
# Installs what the build and the tests need from Debian and is missing. Run as root; safe to repeat.
set -euo pipefail

here=$(cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")" && pwd)
mapfile -t packages < <(grep -v '^#' "$here/packages.txt")
missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  echo "packages: all ${#packages[@]} are installed"
  exit 0
fi
if [ "$(id -u)" != 0 ]; then
  echo "packages: run as root to install: ${missing[*]}" >&2
  exit 1
fi
echo "packages: installing ${#missing[@]} of ${#packages[@]}: ${missing[*]}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# Quiet while it works, the whole story when it does not.
if ! { apt-get update -q &&
  DEBIAN_FRONTEND=noninteractive apt-get install -yq --no-install-recommends "${missing[@]}"; } \
  >"$log" 2>&1; then
  cat "$log" >&2
  exit 1
fi
echo "packages: installed"
