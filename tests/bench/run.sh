#!/bin/bash
# Builds and runs the benchmark, as root; arguments go to it (--help lists them). With --record as the
# first argument its table becomes the results page's.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../.."

table=
if [ "${1:-}" = --record ]; then
  shift
  table=$(mktemp)
  trap 'rm -f "$table"' EXIT
  set -- "$@" --markdown "$table"
fi
bazel ${BAZEL_STARTUP:-} build ${BAZEL_BUILD:-} //tests/bench
binary=$(bazel ${BAZEL_STARTUP:-} info ${BAZEL_BUILD:-} bazel-bin)/tests/bench/bench
(cd "$binary.runfiles/fsd" && "$binary" "$@")
if [ -n "$table" ]; then
  page=tests/bench/RESULTS.md
  sed -i '/^## The last run/q' "$page"
  { echo; cat "$table"; } >>"$page"
fi
