"""clang_tidy_aspect: runs clang-tidy over the sources of C++ rules, cached like any action."""

load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

_SOURCE_EXTENSIONS = ["cc", "cpp", "cxx"]
_GCC_ONLY = ["-fno-canonical-system-headers", "-Wno-free-nonheap-object"]

def _clang_tidy_aspect_impl(target, ctx):
    if CcInfo not in target or not hasattr(ctx.rule.attr, "srcs") or target.label.workspace_name:
        return []
    sources = [
        f
        for src in ctx.rule.attr.srcs
        for f in src.files.to_list()
        if f.is_source and f.extension in _SOURCE_EXTENSIONS
    ]
    if not sources:
        return []
    toolchain = find_cpp_toolchain(ctx)
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )

    # A library's own compilation context carries its deps' include paths and defines.
    context = target[CcInfo].compilation_context
    if hasattr(ctx.rule.attr, "deps"):
        context = cc_common.merge_cc_infos(
            direct_cc_infos = [target[CcInfo]] + [d[CcInfo] for d in ctx.rule.attr.deps if CcInfo in d],
        ).compilation_context
    variables = cc_common.create_compile_variables(
        feature_configuration = features,
        cc_toolchain = toolchain,
        user_compile_flags = ctx.fragments.cpp.copts + ctx.fragments.cpp.cxxopts + getattr(ctx.rule.attr, "copts", []),
        include_directories = context.includes,
        quote_include_directories = context.quote_includes,
        system_include_directories = context.system_includes,
        preprocessor_defines = depset(
            getattr(ctx.rule.attr, "local_defines", []),
            transitive = [context.defines],
        ),
    )
    flags = [
        flag
        for flag in cc_common.get_memory_inefficient_command_line(
            feature_configuration = features,
            action_name = "c++-compile",
            variables = variables,
        )
        if flag not in _GCC_ONLY and not flag.startswith("-D__")
    ]
    reports = []
    for source in sources:
        report = ctx.actions.declare_file("%s.%s.clang-tidy" % (ctx.label.name, source.basename))
        ctx.actions.run_shell(
            inputs = depset([source, ctx.file._config], transitive = [context.headers]),
            outputs = [report],
            arguments = [report.path, source.path] + flags,
            command = """
report=$1; source=$2; shift 2
if ! clang-tidy --quiet --config-file=.clang-tidy "$source" -- "$@" >"$report" 2>"$report.err"; then
  cat "$report" >&2; grep -v 'warnings\\? generated' "$report.err" >&2
  exit 1
fi""",
            mnemonic = "ClangTidy",
            progress_message = "clang-tidy %s" % source.short_path,
        )
        reports.append(report)
    return [OutputGroupInfo(clang_tidy = depset(reports))]

clang_tidy_aspect = aspect(
    implementation = _clang_tidy_aspect_impl,
    attrs = {
        "_cc_toolchain": attr.label(default = "@bazel_tools//tools/cpp:current_cc_toolchain"),
        "_config": attr.label(default = "//:.clang-tidy", allow_single_file = True),
    },
    fragments = ["cpp"],
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)
