#!/bin/bash
# Unpacks promtool from Debian's package prometheus, once a machine, without installing a server that
# nobody needs here. Prints its path. Needs apt's sources.
set -euo pipefail

target=${FSD_PROMTOOL_DIR:-/var/cache/fsd/promtool}
mkdir -p "$target"
exec 9>"$target/.lock"
flock 9

if [ ! -x "$target/promtool" ]; then
  work=$(mktemp -d -p "$target")
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work"
  if ! (cd "$work" && apt-get download -q prometheus) >"$work/log" 2>&1; then
    cat "$work/log" >&2
    echo "promtool: the package prometheus cannot be downloaded" >&2
    exit 1
  fi
  dpkg -x "$work"/prometheus_*.deb "$work/root"
  mv "$work/root/usr/bin/promtool" "$target/promtool"
fi
echo "$target/promtool"
