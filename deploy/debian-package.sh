#!/bin/bash
# Builds fsd's package for Debian: fsd_VERSION_ARCHITECTURE.deb, in the directory that is named, or here.
set -euo pipefail
output=$(realpath "${1:-.}")
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."
bazel build --noshow_loading_progress --curses=no //deploy:debian_package
built=$(bazel info bazel-bin 2>/dev/null)/deploy/fsd.deb
name=$(dpkg-deb --show --showformat '${Package}_${Version}_${Architecture}.deb' "$built")
install -m 0644 "$built" "$output/$name"
echo "$output/$name"
