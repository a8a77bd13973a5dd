#!/usr/bin/env python3
"""What each export costs is bounded, and the same for each.

No time is asserted, and no amount of memory tightly: SCALE.md has the figures.
"""
import json
import os
import resource
import subprocess
import tempfile
import unittest

SCALE = os.path.join(os.getcwd(), "tests/bench/scale")
EXPORTS = 40
# Fewer descriptors than the supervisor needs for them: it has to raise the limit, as far as it may.
DESCRIPTORS = 128


def limit_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE,
                       (DESCRIPTORS, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


class Scale(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "report.json")
            done = subprocess.run([SCALE, "--exports", str(EXPORTS), "--loaded", "4", "--load-seconds", "0.1",
                                   "--limit", "200", "--json", path], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                                  timeout=280, preexec_fn=limit_descriptors)
            if done.returncode != 0:
                raise RuntimeError(done.stderr)
            with open(path, encoding="utf-8") as file:
                cls.report = json.load(file)
        cls.none, cls.half, cls.all = cls.report["snapshots"]

    def test_each_export_has_the_same_processes_threads_and_descriptors(self):
        self.assertEqual([s["exports"] for s in self.report["snapshots"]], [0, EXPORTS // 2, EXPORTS])
        for kind, per_export in {"processes": 3, "threads": 3, "fds": 25}.items():
            self.assertEqual(self.none["workers"][kind], 0)
            self.assertEqual(self.half["workers"][kind], EXPORTS // 2 * per_export, kind)
            self.assertEqual(self.all["workers"][kind], EXPORTS * per_export, kind)

    def test_the_supervisor_has_descriptors_for_each_export_but_no_threads(self):
        fds = [s["supervisor"]["fds"] for s in self.report["snapshots"]]
        self.assertEqual(fds[1] - fds[0], fds[2] - fds[1])
        self.assertEqual(fds[2] - fds[0], EXPORTS * 5)
        self.assertGreater(fds[2], DESCRIPTORS)
        self.assertLess(self.all["supervisor"]["threads"], EXPORTS)

    def test_memory_is_bounded(self):
        self.assertLess(self.all["workers"]["pss_kib"] / EXPORTS, 20 * 560)
        self.assertLess(self.all["supervisor"]["pss_kib"], 20 * 9300)

    def test_exports_loaded_together_are_all_served(self):
        self.assertGreater(self.report["slowest_per_second"], 0)


if __name__ == "__main__":
    unittest.main()
