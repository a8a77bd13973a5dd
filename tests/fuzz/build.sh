#!/bin/bash
# build.sh [BAZEL_ARGUMENT...]: builds every fuzz target with libFuzzer, ASan and UBSan. Its last line is the
# directory where they are, or begins with 'failed:'.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../.."
if ! ${BAZEL:-bazel} build "$@" --config=fuzz //tests/fuzz/... >&2; then
  echo "failed: the fuzz targets do not build"
  exit 1
fi
echo "$(${BAZEL:-bazel} info --config=fuzz bazel-bin 2>/dev/null)/tests/fuzz"
