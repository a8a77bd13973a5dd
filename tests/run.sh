#!/bin/bash
# Installs what is needed, builds everything and passes every test, real guests and fuzzers included. Run
# as root; safe to repeat. Arguments go to `bazel test`. TARGETS are those to test instead of everything;
# then nothing is fuzzed. The last line is 'N passed, N failed, N skipped'.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/.."

./deploy/install_packages.sh
./tests/vm/guest_image.sh >/dev/null
./tests/vm/guest_image.sh 6.12-cloud-amd64 >/dev/null
./tests/vm/debian_tree.sh >/dev/null
./tests/integration/promtool.sh >/dev/null

# Bazel hashes neither /usr/include nor the compiler: a disk cache is good only for the very packages
# it was filled under.
mapfile -t packages < <(grep -v '^#' deploy/packages.txt)
key=$(dpkg-query -W -f='${Package}=${Version}\n' "${packages[@]}" libc6-dev gcc-12 libstdc++-12-dev |
  sort | sha256sum | cut -c1-16)
cache=${BAZEL_DISK_CACHE:-${HOME:-/root}/.cache/fsd-bazel}
mkdir -p "$cache/$key"
find "$cache" -type f -mtime +14 -delete # Bazel never prunes it

results=$(mktemp -d)
fuzzing=
# The fuzzers have a session of their own, and would outlive an interrupted run.
clean_up() {
  [[ -z $fuzzing ]] || kill -- "-$fuzzing" 2>/dev/null || true
  rm -rf "$results"
}
trap clean_up EXIT
status=0
run_tests() {
  local events=$1
  shift
  : >"$results/$events" # what remains empty has failed
  bazel test --config=ci --disk_cache="$cache/$key" --build_event_json_file="$results/$events" "$@" || status=$?
}
if [[ -n ${TARGETS:-} ]]; then
  read -ra targets <<<"$TARGETS"
  run_tests chosen "$@" -- "${targets[@]}"
else
  echo "building and testing; the guest scenarios come last and take some minutes"
  run_tests host "$@" -- //... -//tests/vm/...
  # A guest leaves half of two processors idle: the fuzzers take that.
  fuzzers=$(./tests/fuzz/build.sh --config=ci --disk_cache="$cache/$key" | tail -n 1)
  setsid nice -n 19 ./tests/fuzz/run.sh 60 "$fuzzers" >"$results/fuzzed" &
  fuzzing=$!
  run_tests guests "$@" -- //tests/vm/...
  wait "$fuzzing" || status=$?
  fuzzing=
  cat "$results/fuzzed"
fi
python3 tests/test_summary.py "$results"/* || status=$?
exit "$status"
