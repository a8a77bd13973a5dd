"""system_libraries: cc_library targets for libraries the distribution ships.

Headers are under /usr/include, a built-in include directory of the compiler,
so a target only carries the link flags and defines that pkg-config reports.
"""

def _run_pkg_config(rctx, tool, flag, modules, target):
    result = rctx.execute([tool, flag] + modules)
    if result.return_code != 0:
        fail("@%s//:%s: pkg-config %s failed; are the packages in deploy/packages.txt installed?\n%s" % (
            rctx.name,
            target,
            modules,
            result.stderr,
        ))
    return [word for word in result.stdout.strip().split(" ") if word]

def _system_libraries_impl(rctx):
    tool = rctx.which("pkg-config")
    if not tool:
        fail("pkg-config is not installed")
    names = {name: None for name in rctx.attr.modules.keys() + rctx.attr.linkopts.keys()}
    lines = ['package(default_visibility = ["//visibility:public"])']
    for name in names:
        modules = rctx.attr.modules.get(name, [])
        libs, defines = [], list(rctx.attr.defines.get(name, []))
        if modules:
            for word in _run_pkg_config(rctx, tool, "--libs", modules, name):
                if word.startswith("-l") and word in libs:
                    continue
                libs.append(word)
            for word in _run_pkg_config(rctx, tool, "--cflags", modules, name):
                if word.startswith("-D"):
                    if word != "-DNOMINMAX":
                        defines.append(word[2:])
                elif word != "-I/usr/include" and word != "-pthread":
                    fail("@%s//:%s: cannot express %s from pkg-config" % (rctx.name, name, word))
        libs += rctx.attr.linkopts.get(name, [])
        lines += [
            "",
            "cc_library(",
            "    name = %r," % name,
            "    defines = %r," % defines,
            # Keep only the shared libraries that objects refer to.
            "    linkopts = %r," % (["-Wl,--push-state,--as-needed"] + libs + ["-Wl,--pop-state", "-pthread"]),
            "    deps = %r," % [":" + dep for dep in rctx.attr.deps.get(name, [])],
            "    testonly = %r," % (name in rctx.attr.testonly_libraries),
            ")",
        ]
    rctx.file("BUILD.bazel", "\n".join(lines) + "\n", executable = False)

system_libraries = repository_rule(
    implementation = _system_libraries_impl,
    attrs = {
        "modules": attr.string_list_dict(doc = "target -> pkg-config modules, with version bounds if wanted"),
        "linkopts": attr.string_list_dict(doc = "target -> further link flags"),
        "defines": attr.string_list_dict(doc = "target -> further preprocessor definitions"),
        "deps": attr.string_list_dict(doc = "target -> other targets of this repository"),
        "testonly_libraries": attr.string_list(),
    },
    configure = True,
    environ = ["PKG_CONFIG_PATH"],
    local = True,
)
