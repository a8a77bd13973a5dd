#!/bin/bash
# Unpacks a small Debian tree with the file system exercisers that the guest scenarios run (fio,
# stress-ng, dbench, xattr and ACL programs), once a machine. Prints its directory, which nobody may
# change: tests copy it. Needs root, debootstrap and apt's sources.
set -euo pipefail

target=${FSD_TREE_DIR:-/var/cache/fsd/debian-tree}
mkdir -p "$target"
exec 9>"$target/.lock"
flock 9

key=$(sha256sum <"${BASH_SOURCE[0]}" | cut -c1-16)
if [ "$(cat "$target/key" 2>/dev/null)" = "$key" ]; then
  echo "$target/root"
  exit 0
fi
say() { echo "debian tree: $*" >&2; }

# The mirror and the keyring that this machine's apt uses.
mirror=$(apt-get indextargets --format '$(CODENAME)|$(REPO_URI)' 'Created-By: Packages' |
  grep -m1 '^bookworm|' | cut -d'|' -f2)
say "unpacking Debian from $mirror"
rm -rf "$target/root"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
if ! debootstrap --variant=minbase --include=acl,attr,dbench,fio,stress-ng \
  bookworm "$target/root" "$mirror" >"$log" 2>&1; then
  tail -n 30 "$log" >&2
  exit 1
fi
rm -rf "$target"/root/var/cache/apt/* "$target"/root/var/lib/apt/lists/* "$target"/root/usr/share/{doc,locale,man}
echo "$key" >"$target/key"
say "ready in $target/root"
echo "$target/root"
