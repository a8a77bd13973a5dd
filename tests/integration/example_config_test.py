#!/usr/bin/env python3
"""The example configuration is one that fsd accepts, and it has every key there is."""
import os
import re
import subprocess
import tempfile
import unittest

FSD = os.path.join(os.getcwd(), "server/exe/fsd")
EXAMPLE = os.path.join(os.getcwd(), "deploy/fsd.example.yaml")


def check(text):
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        return subprocess.run([FSD, "--check-config", "--config", file.name], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False, timeout=60)


class ExampleConfig(unittest.TestCase):
    def setUp(self):
        with open(EXAMPLE, encoding="utf-8") as file:
            self.text = file.read()

    def test_it_is_accepted(self):
        done = check(self.text)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_it_is_accepted_with_what_is_commented_out(self):
        done = check(re.sub(r"^# (worker_binary:)", r"\1", self.text, flags=re.M))
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_a_key_that_does_not_exist_is_refused_and_named(self):
        done = check(self.text + "no_such_key: 1\n")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no_such_key", done.stdout)

    def test_it_has_every_key(self):
        # The flags of --help are the keys of the file, but for those that say what to do with it.
        said = subprocess.run([FSD, "--help"], stdout=subprocess.PIPE, text=True, check=False,
                              timeout=60).stdout
        flags = set(re.findall(r"--([a-z-]+)", said)) - {"help", "version", "config", "check-config"}
        keys = set(re.findall(r"^#? ?([a-z_]+):", self.text, re.M))
        self.assertEqual({flag.replace("-", "_") for flag in flags}, keys)


if __name__ == "__main__":
    unittest.main(verbosity=2)
