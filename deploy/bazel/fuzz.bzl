"""cc_fuzz_test: a libFuzzer target that is also a corpus-replay regression test."""

def cc_fuzz_test(name, srcs, deps = [], corpus = [], tags = [], **kwargs):
    """Declares a fuzz target.

    Plain builds link a small main() that replays the corpus, so the target is an
    ordinary test. Under --config=fuzz (clang) it links libFuzzer instead.

    Args:
      name: target name.
      srcs: a source that defines LLVMFuzzerTestOneInput.
      deps: libraries under test.
      corpus: seed files.
      tags: test tags.
      **kwargs: passed on to cc_test.
    """
    native.cc_test(
        name = name,
        srcs = srcs,
        args = ["$(location %s)" % f for f in corpus],
        data = corpus,
        linkopts = select({
            "//deploy/bazel:fuzzing": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        deps = deps + select({
            "//deploy/bazel:fuzzing": [],
            "//conditions:default": ["//tests/fuzz:replay_main"],
        }),
        tags = tags + ["fuzz"],
        **kwargs
    )
