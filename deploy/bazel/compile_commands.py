#!/usr/bin/env python3
"""Writes compile_commands.json from Bazel's action graph (no build, no network).

usage: deploy/bazel/compile_commands.py [target pattern ...]   (default //...)
"""
import json
import os
import subprocess
import sys

GCC_ONLY = {"-fno-canonical-system-headers", "-Wno-free-nonheap-object"}


def bazel(*args):
    return subprocess.run(["bazel", *args], check=True, stdout=subprocess.PIPE,
                          stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True).stdout


def main():
    root = bazel("info", "workspace").strip()
    output_base = bazel("info", "output_base").strip()
    targets = " + ".join(sys.argv[1:] or ["//..."])
    graph = json.loads(bazel("aquery", f'mnemonic("CppCompile", {targets})', "--output=jsonproto",
                             "--include_artifacts=false", "--include_commandline"))
    entries = {}
    for action in graph.get("actions", []):
        args = action["arguments"]
        source = args[args.index("-c") + 1]
        if source.startswith(("bazel-out/", "external/")):
            continue  # generated code is not ours to lint
        out, skip = [], False
        for arg in args:
            if skip:
                skip = False
            elif arg in ("-MF",):
                skip = True
            elif arg == "-MD" or arg in GCC_ONLY or arg.startswith(("-frandom-seed=", "-D__")):
                pass
            elif arg.startswith("external/"):
                out.append(os.path.join(output_base, arg))
            else:
                out.append(arg)
        entries[source] = {"directory": root, "file": source, "arguments": out}
    path = os.path.join(root, "compile_commands.json")
    with open(path, "w") as f:
        json.dump(sorted(entries.values(), key=lambda e: e["file"]), f, indent=1)
    print(f"{path}: {len(entries)} entries")


if __name__ == "__main__":
    main()
