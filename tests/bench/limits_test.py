#!/usr/bin/env python3
"""No limit is exceeded, on however many vrings, once its burst is used up; over real workers.

That it is reached is not asserted, as that takes a machine with some time to spare: QOS.md has the figures.
"""
import json
import os
import subprocess
import tempfile
import unittest

LIMITS = os.path.join(os.getcwd(), "tests/bench/limits")


class Limits(unittest.TestCase):
    def test_no_limit_is_exceeded(self):
        with tempfile.TemporaryDirectory() as directory:
            path = os.path.join(directory, "report.json")
            subprocess.run([LIMITS, "--seconds", "0.5", "--json", path], check=True, timeout=250)
            with open(path, encoding="utf-8") as file:
                figures = json.load(file)
        limited = [figure for figure in figures if figure["share"] is not None]
        self.assertEqual(len(limited), 14)
        for figure in limited:
            self.assertGreater(figure["per_second"], 0, figure)
            # The burst is a tenth of a second's worth, and may have come back between two runs.
            self.assertLess(figure["share"], 1 + 0.1 / 0.5 + 0.1, figure)


if __name__ == "__main__":
    unittest.main()
