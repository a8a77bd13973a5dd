#!/bin/bash
# guest_image.sh [KERNEL]: makes what a test guest boots from, once a machine: one of Debian's cloud
# kernels (the package linux-image-KERNEL, by default the release's own), uncompressed, and an
# initramfs of busybox and the virtio-fs modules. Prints the directory that holds `vmlinux` and
# `initramfs.cpio`. Needs root's apt, busybox-static, cpio, and the decompressors.
set -euo pipefail

kernel=${1:-cloud-amd64}
target=${FSD_GUEST_DIR:-/var/cache/fsd/guest}/$kernel
here=$(cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")" && pwd)
mkdir -p "$target"
exec 9>"$target/.lock"
flock 9

# The image is made anew when this script or the guest's init has changed.
key=$(cat "${BASH_SOURCE[0]}" "$here/guest_init.sh" | sha256sum | cut -c1-16)
if [ "$(cat "$target/key" 2>/dev/null)" = "$key" ]; then
  echo "$target"
  exit 0
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say() { echo "guest image: $*" >&2; }

say "downloading Debian's kernel $kernel"
# A meta-package: the kernel is what it depends on.
find_package() {
  apt-cache depends "linux-image-$kernel" 2>/dev/null | awk '/Depends: linux-image-/{print $2; exit}'
}
package=$(find_package)
if [ -z "$package" ]; then
  apt-get update -q >&2
  package=$(find_package)
fi
[ -n "$package" ] || { say "apt knows no linux-image-$kernel: its sources lack a suite that has it"; exit 1; }
(cd "$work" && apt-get -oAPT::Sandbox::User=root download -q "$package" >&2)
dpkg -x "$work"/linux-image-*.deb "$work/kernel"

# QEMU boots the uncompressed ELF kernel directly. The bzImage holds it behind a small loader;
# whichever magic is found first and decompresses to an ELF file is it.
say "unpacking the kernel"
image=$(ls "$work"/kernel/boot/vmlinuz-*)
try() { # MAGIC DECOMPRESSOR...
  local magic=$1 offset
  shift
  for offset in $(LC_ALL=C grep -abo "$magic" "$image" | cut -d: -f1 | head -n 8); do
    # A decompressor may complain of the bytes behind the kernel; the ELF header is the judge.
    tail -c +$((offset + 1)) "$image" | "$@" >"$work/vmlinux" 2>/dev/null || true
    if [ "$(head -c 4 "$work/vmlinux" | tail -c 3)" = ELF ]; then return 0; fi
  done
  return 1
}
try $'\xfd7zXZ' xz -dc ||
  LC_ALL=C try $'\x02!L\x18' lz4 -dc ||
  LC_ALL=C try $'(\xb5/\xfd' zstd -dc ||
  { say "found no kernel inside $image"; exit 1; }

say "making the initramfs"
root=$work/root
mkdir -p "$root"/{bin,dev,proc,sys,tmp,mnt,modules}
busybox=$(command -v busybox)
cp "$busybox" "$root/bin/busybox"
for applet in $("$busybox" --list | grep -vx busybox); do ln -sf busybox "$root/bin/$applet"; done
install -m 755 "$here/guest_init.sh" "$root/init"
modules=$(find "$work/kernel" -path '*/lib/modules/*' -name 'kernel' -type d | head -n 1)
# In the order in which they must be loaded.
number=10
for module in virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci fuse virtiofs; do
  found=$(find "$modules" -name "$module.ko*" | head -n 1)
  [ -n "$found" ] || continue # built into this kernel
  case $found in
    *.xz) xz -dc "$found" >"$root/modules/$number-$module.ko" ;;
    *.zst) zstd -qdc "$found" >"$root/modules/$number-$module.ko" ;;
    *) cp "$found" "$root/modules/$number-$module.ko" ;;
  esac
  number=$((number + 1))
done
(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0 >"$work/initramfs.cpio")

mv "$work/vmlinux" "$target/vmlinux"
mv "$work/initramfs.cpio" "$target/initramfs.cpio"
echo "$key" >"$target/key"
say "ready in $target"
echo "$target"
