#!/bin/bash
# Makes the package from what Bazel has built; //deploy:debian_package runs it.
#
# usage: build.sh VERSION FSD FSD_WORKER FSCTL OUTPUT.deb FILE...
#
# Each FILE goes where the table below has its name. The same inputs make the same bytes.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
version=$1 fsd=$2 worker=$3 fsctl=$4 output=$5
shift 5
SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^ -- .*>  //p' "$here/changelog" | head -n 1)" +%s)
export SOURCE_DATE_EPOCH
recorded=$(sed -n '1s/.*(\(.*\)).*/\1/p' "$here/changelog")
if [ "$recorded" != "$version" ]; then
  echo "build.sh: deploy/debian/changelog begins with version $recorded, and fsd is $version: add an entry" >&2
  exit 1
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir -p "$root/DEBIAN"

put() { install -D -m "$1" "$2" "$root/$3"; }
program() {
  put 0755 "$1" "$2"
  strip --strip-unneeded --remove-section=.comment "$root/$2"
}
program "$fsd" usr/sbin/fsd
program "$worker" usr/libexec/fsd-worker
program "$fsctl" usr/bin/fsctl

for file; do
  name=${file##*/}
  case $name in
  fsd.example.yaml)
    put 0644 "$file" etc/fsd/fsd.yaml
    put 0644 "$file" usr/share/doc/fsd/examples/fsd.yaml
    ;;
  *.service | *.socket) put 0644 "$file" "usr/lib/systemd/system/$name" ;;
  *.sysusers) put 0644 "$file" "usr/lib/sysusers.d/${name%.sysusers}.conf" ;;
  *.tmpfiles) put 0644 "$file" "usr/lib/tmpfiles.d/${name%.tmpfiles}.conf" ;;
  fsd.json) put 0644 "$file" usr/share/fsd/grafana/fsd.json ;;
  fsd.rules.yaml) put 0644 "$file" usr/share/fsd/prometheus/fsd.rules.yaml ;;
  README.md | copyright) put 0644 "$file" "usr/share/doc/fsd/$name" ;;
  changelog)
    put 0644 "$file" "usr/share/doc/fsd/$name"
    gzip -9n "$root/usr/share/doc/fsd/$name"
    ;;
  *.[1-8])
    put 0644 "$file" "usr/share/man/man${name##*.}/$name"
    gzip -9n "$root/usr/share/man/man${name##*.}/$name"
    ;;
  postinst | prerm | postrm) put 0755 "$file" "DEBIAN/$name" ;;
  *)
    echo "build.sh: no place for $file" >&2
    exit 1
    ;;
  esac
done
# If this fsctl can write them.
for shell in bash zsh fish; do
  case $shell in
  bash) place=usr/share/bash-completion/completions/fsctl ;;
  zsh) place=usr/share/zsh/vendor-completions/_fsctl ;;
  fish) place=usr/share/fish/vendor_completions.d/fsctl.fish ;;
  esac
  if "$fsctl" completion $shell >"$work/completion" 2>/dev/null; then put 0644 "$work/completion" $place; fi
done

# The libraries that the programs are linked with, in the versions that have what they use.
mkdir -p "$work/debian"
touch "$work/debian/control"
depends=$(cd "$work" && dpkg-shlibdeps -O root/usr/sbin/fsd root/usr/bin/fsctl 2>/dev/null |
  sed -n 's/^shlibs:Depends=//p')
if [ -z "$depends" ]; then
  echo "build.sh: dpkg-shlibdeps finds no library that the programs need" >&2
  exit 1
fi
echo /etc/fsd/fsd.yaml >"$root/DEBIAN/conffiles"
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$(dpkg --print-architecture)/" \
  -e "s/@INSTALLED_SIZE@/$(du -sk --exclude=DEBIAN "$root" | cut -f1)/" -e "s/@DEPENDS@/$depends/" \
  "$here/control.in" >"$root/DEBIAN/control"
(cd "$root" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | sort -z | xargs -0 md5sum) \
  >"$root/DEBIAN/md5sums"
find "$root" -type d -exec chmod 0755 {} +
find "$root" -exec touch -hd "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --root-owner-group -Zxz --build "$root" "$output" >/dev/null
