#!/usr/bin/env python3
"""The alert rules, as Prometheus' own tool sees them."""
import os
import subprocess
import tempfile
import unittest

RULES = os.path.join(os.getcwd(), "deploy/prometheus/fsd.rules.yaml")
CASES = os.path.join(os.getcwd(), "tests/integration/alert_rules_cases.yaml")


def promtool(*arguments):
    made = subprocess.run([os.path.join(os.getcwd(), "tests/integration/promtool.sh")], check=True,
                          stdout=subprocess.PIPE, text=True)
    return subprocess.run([made.stdout.strip(), *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, check=False, timeout=60)


class AlertRules(unittest.TestCase):
    def test_they_are_rules(self):
        done = promtool("check", "rules", RULES)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn("11 rules found", done.stdout)

    def test_what_are_no_rules_is_told(self):
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write("groups: [{name: x, rules: [{alert: X, expr: 'rate('}]}]\n")
            file.flush()
            self.assertNotEqual(promtool("check", "rules", file.name).returncode, 0)

    def test_they_fire_when_they_should(self):
        with open(CASES, encoding="utf-8") as file:
            cases = file.read().replace("RULES", RULES)
        with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
            file.write(cases)
            file.flush()
            done = promtool("test", "rules", file.name)
        self.assertEqual(done.returncode, 0, done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
