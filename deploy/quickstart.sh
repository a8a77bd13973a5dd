#!/bin/bash
# fsd's main job, before your eyes: installs what is needed, builds, starts a supervisor, exports a
# directory, and lets two real Linux guests, one after the other on one socket, read and write it.
# Run as root; leaves nothing running and nothing behind but packages, the build and the guest image.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."

if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold= plain=; fi
step() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
show() { printf '$ %s\n' "$*"; "$@"; }
fail() { printf 'quickstart: %s\n' "$*" >&2; exit 1; }

step "1. Installing what the build and a guest need from Debian"
./deploy/install_packages.sh

step "2. Building fsd, fsd-worker and fsctl (some minutes the first time)"
bazel build --noshow_loading_progress --show_progress_rate_limit=15 --curses=no \
  //server/exe:fsd //server/exe:fsd-worker //cli:fsctl
bin=$(bazel info bazel-bin 2>/dev/null)
fsd=$bin/server/exe/fsd
fsctl() { "$bin/cli/fsctl" --server "unix://$work/fsd.sock" "$@"; }

step "3. Making a guest to boot: Debian's cloud kernel and busybox"
image=$(./tests/vm/guest_image.sh)

work=$(mktemp -d /tmp/fsd-quickstart-XXXXXX)
supervisor= guest=
cleanup() {
  local status=$?
  [ -z "$guest" ] || kill "$guest" 2>/dev/null || true
  if [ -n "$supervisor" ]; then
    kill "$supervisor" 2>/dev/null || true
    wait "$supervisor" 2>/dev/null || true
  fi
  if ((status != 0)) && [ -s "$work/fsd.log" ]; then
    echo "--- the supervisor's log" >&2
    cat "$work/fsd.log" >&2
  fi
  rm -rf "$work"
}
trap cleanup EXIT

step "4. Starting the supervisor: one process for all exports of this host"
mkdir "$work/share"
echo "hello from the host" >"$work/share/from-host.txt"
echo "\$ fsd --listen unix://$work/fsd.sock --state-dir $work/state --runtime-dir $work/run --allow-source $work/share &"
"$fsd" --listen "unix://$work/fsd.sock" --state-dir "$work/state" --runtime-dir "$work/run" \
  --allow-source "$work/share" >"$work/fsd.log" 2>&1 &
supervisor=$!
for _ in $(seq 300); do
  fsctl server info >/dev/null 2>&1 && break
  kill -0 "$supervisor" 2>/dev/null || fail "fsd ended at its start"
  sleep 0.1
done
fsctl server info

step "5. Exporting a directory to a VM"
echo "\$ fsctl export create web --source $work/share --tag myfs"
fsctl export create web --source "$work/share" --tag myfs
echo "\$ fsctl export args web --for qemu --memory 512M"
arguments=$(fsctl export args web --for qemu --memory 512M)
echo "$arguments"

# Boots a guest with exactly those arguments; each line of $1 is run in it, and shown.
boot() {
  local script=$1
  mkfifo "$work/in"
  # shellcheck disable=SC2086  # the arguments are words
  timeout 300 qemu-system-x86_64 -M q35 -accel tcg -cpu qemu64 -smp 1,maxcpus=2 -m 512M \
    -nodefaults -no-user-config -display none -serial stdio -no-reboot \
    -kernel "$image/vmlinux" -initrd "$image/initramfs.cpio" \
    -append "console=ttyS0 quiet panic=-1 reboot=t" $arguments <"$work/in" >"$work/console" 2>&1 &
  guest=$!
  exec 8>"$work/in"
  await '@@READY' 1
  local number=0 line
  while IFS= read -r line; do
    number=$((number + 1))
    printf 'guest# %s\n' "$line"
    local from
    from=$(wc -l <"$work/console")
    echo "$line" >&8
    await '@@END' "$number"
    tail -n +$((from + 1)) "$work/console" | grep -v '^@@' | tr -d '\r' || true
    grep '@@END' "$work/console" | sed -n "${number}p" | grep -q '@@END 0' ||
      fail "the guest's command failed: $line"
  done <<<"$script"
  echo "guest# poweroff"
  echo "poweroff -f" >&8
  exec 8>&-
  wait "$guest" || fail "the guest did not power off: $(tail -n 5 "$work/console")"
  guest=
  rm -f "$work/in" "$work/console"
}
# Waits until the console has said TEXT COUNT times.
await() { # TEXT COUNT
  for _ in $(seq 1200); do
    [ "$(grep -c "$1" "$work/console" 2>/dev/null || true)" -ge "$2" ] && return
    kill -0 "$guest" 2>/dev/null || fail "the guest ended early: $(tail -n 5 "$work/console")"
    sleep 0.1
  done
  fail "the guest did not answer: $(tail -n 5 "$work/console")"
}

step "6. A real guest boots with those arguments, mounts the share, reads and writes"
boot 'mount -t virtiofs myfs /mnt
ls -l /mnt
cat /mnt/from-host.txt
echo "hello from a guest running Linux $(uname -r)" >/mnt/from-guest.txt'
echo
echo "The guest is off. What it wrote is on the host:"
show cat "$work/share/from-guest.txt"

step "7. The service lives on; a second guest attaches to the same socket"
fsctl export list
boot 'mount -t virtiofs myfs /mnt
cat /mnt/from-guest.txt'

step "8. Cleaning up"
echo "\$ fsctl export delete web"
fsctl export delete web
kill "$supervisor"
wait "$supervisor" || fail "the supervisor did not end cleanly"
supervisor=
[ "$(cat "$work/share/from-guest.txt" | cut -d' ' -f1-5)" = "hello from a guest running" ] ||
  fail "the guest's file is not what it wrote"
printf '\n%sDone: two guests, one socket, one service.%s Next: README.md, ./tests/run.sh\n' "$bold" "$plain"
