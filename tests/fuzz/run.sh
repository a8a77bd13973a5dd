#!/bin/bash
# run.sh [SECONDS [DIRECTORY]]: runs every fuzz target for SECONDS (30), two at a time, as build.sh has built
# them in DIRECTORY; without that, it builds them. What it comes upon is kept in $FUZZ_DIR/TARGET, if that is
# set.
#
# A line a target; 'failed:' for a crash, a leak, an input that takes 10 s or 1 GiB, undefined behaviour.
set -euo pipefail
# As the caller sees them.
[[ -z ${FUZZ_DIR:-} ]] || FUZZ_DIR=$(realpath -m "$FUZZ_DIR")
[[ $# -lt 2 ]] || set -- "$1" "$(realpath -m "$2")"
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../.."
readonly seconds=${1:-30} at_once=2
bin=${2:-$(./tests/fuzz/build.sh)}

if [[ -n ${FUZZ_DIR:-} ]]; then
  work=$FUZZ_DIR
  mkdir -p "$work"
else
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
fi
export ASAN_OPTIONS=detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1
export work seconds bin

# Prints a line about the target and, if it failed, the end of its log.
run_target() {
  local name=$1 corpus log=$work/$1.log status=0
  corpus=tests/fuzz/corpus/${name%_fuzz}
  [[ -d $corpus ]] || corpus=tests/fuzz/corpus/${name%%_*}
  mkdir -p "$work/$name" "$work/found"
  # The outer limit is for a target that no longer looks at its own. In the foreground: it ends with us.
  timeout --foreground -k 5 $((seconds + 120)) "$bin/$name" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=1024 \
    -max_len=8192 -print_final_stats=1 -artifact_prefix="$work/found/$name-" "$work/$name" "$corpus" \
    >"$log" 2>&1 || status=$?
  local runs inputs verdict=passed crashes=0
  runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  inputs=$(find "$work/$name" -type f | wc -l)
  if [[ $status -ne 0 ]]; then
    verdict=failed crashes=1
    tail -n 60 "$log"
    find "$work/found" -name "$name-*" -size -2k -printf '%p\n' -exec base64 -w0 {} \; -printf '\n'
  fi
  printf '%s: %s, %s runs in %d s, %d inputs of interest, %d crashes\n' \
    "$verdict" "$name" "${runs:-?}" "$seconds" "$inputs" "$crashes"
  return "$status"
}
export -f run_target

status=0
printf '%s\n' tests/fuzz/*_fuzz.cc | xargs -n1 basename -s .cc |
  xargs -P "$at_once" -I{} bash -c 'out=$(run_target {}) && status=0 || status=1; echo "$out"; exit $status' || status=1
exit "$status"
