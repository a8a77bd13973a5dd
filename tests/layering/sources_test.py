#!/usr/bin/env python3
"""The walls inside the house, by what each file includes; and the rules that keep it readable.

Reads the checkout that this script lies in.
"""
import os
import re
import subprocess
import unittest

ROOT = os.path.realpath(os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", ".."))

FLOOR = ["server/errors/", "server/os/"]
TELEMETRY = ["server/telemetry/"]
BACKEND_INTERFACE = ["backends/filesystem.h"]
INTERNAL_PROTO = ["proto/fsd/internal/"]
PUBLIC_PROTO = ["proto/fsd/v1/", "proto/google/", "proto/grpc/"]

# What the files of a room may include, besides their own room's. Arrows point down or sideways; the
# only road between worker and supervisor is ipc.
WALLS = {
    "server/errors/": [],
    "server/os/": ["server/errors/"],
    "server/telemetry/": FLOOR,
    "server/virtqueue/": FLOOR,
    "server/vhost_user/": FLOOR + TELEMETRY + ["server/virtqueue/"],
    "server/fuse/": FLOOR + TELEMETRY + BACKEND_INTERFACE,
    "server/sandbox/": FLOOR,
    "server/ipc/": FLOOR + INTERNAL_PROTO,
    "server/worker/": FLOOR + TELEMETRY + BACKEND_INTERFACE + INTERNAL_PROTO + [
        "server/virtqueue/", "server/vhost_user/", "server/fuse/", "server/ipc/"],
    "server/supervisor/": FLOOR + TELEMETRY + INTERNAL_PROTO + ["server/ipc/"],
    "server/host/": FLOOR + ["server/supervisor/"],
    "server/access/": FLOOR + TELEMETRY + PUBLIC_PROTO + ["server/supervisor/listener.h"],
    "server/control/": FLOOR + TELEMETRY + INTERNAL_PROTO + PUBLIC_PROTO + [
        "server/supervisor/", "server/access/", "server/host/"],
    "server/metrics/": FLOOR + TELEMETRY + INTERNAL_PROTO + ["server/supervisor/"],
    "server/exe/": FLOOR + TELEMETRY + INTERNAL_PROTO + BACKEND_INTERFACE + [
        "backends/", "server/sandbox/", "server/ipc/", "server/worker/", "server/supervisor/",
        "server/access/", "server/control/", "server/host/", "server/metrics/"],
    "backends/passthrough/": FLOOR + BACKEND_INTERFACE + ["backends/lock_ranges.h"],
    "backends/memory/": FLOOR + BACKEND_INTERFACE + ["backends/lock_ranges.h"],
    "backends/": FLOOR,
    "cli/": PUBLIC_PROTO + ["server/errors/status_macros.h"],
}
TEST_FILE = re.compile(r"(_test|_fixture|_contract|_fake|fake_\w+)\.(cc|h)$")
FORBIDDEN_NAMES = re.compile(r"(^|/|_)(utils?|common|misc|helpers?|base|core)(/|_|\.)")
HARD_LINE_LIMIT = 700
SOURCES = (".cc", ".h", ".py", ".sh", ".bzl", ".proto")
TOP_LEVEL = {"BUILD.bazel", "WORKSPACE", "server", "proto", "cli", "backends", "tests", "deploy",
             "README.md", "LICENSE"}


def tracked():
    listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files"], cwd=ROOT, check=True,
                            stdout=subprocess.PIPE, text=True)
    return [path for path in listed.stdout.splitlines() if os.path.exists(os.path.join(ROOT, path))]


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def room_of(path):
    return max((room for room in WALLS if path.startswith(room)), key=len, default=None)


class Sources(unittest.TestCase):
    def test_rooms_include_only_what_their_walls_allow(self):
        seen = set()
        breaches = []
        for path in tracked():
            room = room_of(path)
            if room is None or not path.endswith((".cc", ".h")) or TEST_FILE.search(path):
                continue
            seen.add(room)
            for include in re.findall(r'^#include "([^"]+)"', read(path), re.M):
                if room_of(include) is None and not include.startswith("proto/"):
                    continue  # a system library's
                if include.startswith(room) or any(include.startswith(a) for a in WALLS[room]):
                    continue
                breaches.append(f"{path} includes {include}")
        self.assertEqual(breaches, [])
        self.assertEqual(seen, set(WALLS), "a room of the table has no files")

    def test_only_one_file_names_spdlog(self):
        self.assertEqual([path for path in tracked()
                          if path.endswith((".cc", ".h")) and re.search(r"#include .*spdlog", read(path))],
                         ["server/telemetry/log.cc"])

    def test_only_the_grpc_rooms_name_grpc(self):
        allowed = ("server/access/", "server/control/", "server/exe/supervisor_main.cc", "cli/",
                   "tests/")
        self.assertEqual([path for path in tracked() if path.endswith((".cc", ".h"))
                          and re.search(r"#include [<\"]grpc", read(path))
                          and not path.startswith(allowed)], [])

    def test_only_the_metrics_room_names_prometheus(self):
        self.assertEqual([path for path in tracked() if path.endswith((".cc", ".h"))
                          and re.search(r"#include [<\"]prometheus", read(path))
                          and not path.startswith("server/metrics/")], [])

    def test_only_the_access_room_names_openssl(self):
        self.assertEqual([path for path in tracked() if path.endswith((".cc", ".h"))
                          and re.search(r"#include [<\"]openssl", read(path))
                          and not path.startswith("server/access/")], [])

    def test_no_test_links_a_composition_root_as_a_library(self):
        self.assertEqual([path for path in tracked() if path.endswith((".cc", ".h"))
                          and '#include "server/exe/' in read(path)
                          and not path.startswith("server/exe/")], [])

    def test_no_file_is_too_long(self):
        self.assertEqual([f"{path}: {read(path).count(chr(10))} lines" for path in tracked()
                          if path.endswith(SOURCES) and read(path).count("\n") > HARD_LINE_LIMIT], [])

    def test_no_file_is_named_for_nothing_in_particular(self):
        self.assertEqual([path for path in tracked() if FORBIDDEN_NAMES.search(path)], [])

    def test_the_top_level_is_the_map_in_the_readme(self):
        top = {path.split("/")[0] for path in tracked()}
        self.assertEqual({name for name in top if not name.startswith(".")}, TOP_LEVEL)

    def test_nothing_is_left_open(self):
        mark = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X"]) + r")\b|GTEST" + "_SKIP")
        self.assertEqual([path for path in tracked() if path.endswith(SOURCES)
                          and mark.search(read(path))], [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
