#!/usr/bin/env python3
"""Every workload of the benchmark is answered without an error by fsd, and the report is well-formed.

No speed is asserted.
"""
import json
import os
import subprocess
import tempfile
import unittest

BENCH = os.path.join(os.getcwd(), "tests/bench/bench")


class Bench(unittest.TestCase):
    def test_a_short_pass_answers_everything(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "report.json")
            done = subprocess.run([BENCH, "--smoke", "--alone", "--json", path], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False,
                                  timeout=250)
            self.assertEqual(done.returncode, 0, done.stderr)
            with open(path, encoding="utf-8") as file:
                report = json.load(file)
        self.assertEqual(len({row["workload"] for row in report["rows"]}), 19)
        for row in report["rows"]:
            self.assertGreater(row["fsd"]["requests_per_second"], 0, row)
            self.assertGreaterEqual(row["fsd"]["cpu_us"], 0, row)
            if row["workload"] not in ("compile", "database"):
                self.assertGreater(row["bare_us"], 0, row)
        table = [line for line in done.stdout.splitlines() if line.startswith("|")]
        self.assertEqual(len(table), 2 + len(report["rows"]))
        self.assertEqual(len({line.count("|") for line in table}), 1, done.stdout)


if __name__ == "__main__":
    unittest.main()
