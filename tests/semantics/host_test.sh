#!/bin/bash
# Proves posix_check on the host's own file systems: an ext4 image, where everything must be there, and
# tmpfs. Needs root, loop devices, e2fsprogs and btrfs-progs (for a quota).
set -euo pipefail
export PATH=$PATH:/usr/sbin:/sbin

check=$(realpath "$(dirname "${BASH_SOURCE[0]}")")/posix_check
[ -x "$check" ] || check=$(realpath tests/semantics/posix_check)

# Mounts of its own, which end with it.
if [ "${1:-}" != inside ]; then
  exec unshare --mount --propagation private "$0" inside
fi

work=$(mktemp -d "${TEST_TMPDIR:-/tmp}/semantics.XXXXXX")
trap 'cd /; umount -R "$work"; rm -rf "$work"' EXIT
mount -t tmpfs -o size=600m work "$work"
cd "$work"
mkdir main small quota read-only memory

image() { # DIRECTORY SIZE MKFS...
  local directory=$1 size=$2
  shift 2
  truncate -s "$size" "$directory.img"
  "$@" "$directory.img" >mkfs.log 2>&1 || { cat mkfs.log; exit 1; }
  mount -o loop "$directory.img" "$directory"
}
image main 300M mkfs.ext4 -q -b 4096
image small 8M mkfs.ext4 -q -m 0
image quota 128M mkfs.btrfs -q
btrfs quota enable quota >/dev/null
btrfs qgroup limit 8M quota
image read-only 8M mkfs.ext4 -q
mkdir read-only/dir
echo text >read-only/file
ln -s file read-only/link
mount -o remount,ro read-only
mount -t tmpfs -o size=300m memory memory

places=(--small-fs "$work/small" --quota-fs "$work/quota" --read-only-fs "$work/read-only")
echo "on ext4:"
"$check" "$work/main" --require-all "${places[@]}" --other-fs "$work/memory"
echo "on tmpfs:"
"$check" "$work/memory" --verbose "${places[@]}" --other-fs "$work/main"
