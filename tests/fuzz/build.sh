#!/bin/bash
# build.sh [BAZEL_ARGUMENT...]: builds every fuzz target with libFuzzer, ASan and UBSan. Its last line is the
# directory where they are.
set -euo pipefail
cd "$(dirname "$(realpath "${BASH_SOURCE[0]}")")/../.."
${BAZEL:-bazel} build "$@" --config=fuzz //tests/fuzz/... >&2
echo "$(${BAZEL:-bazel} info --config=fuzz bazel-bin 2>/dev/null)/tests/fuzz"
