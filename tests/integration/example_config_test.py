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
        # What it names is not on this host: accounts, a program and certificates.
        text = re.sub(r"^# worker_binary: .*", "worker_binary: /bin/true", self.text, flags=re.M)
        text = text.replace("\nlisten: unix:", "\n# ", 1)
        text = re.sub(r"^# (listen:|  +)", r"\1", text, flags=re.M)
        text = re.sub(r"group: fsd\S*", "group: root", text)
        with tempfile.TemporaryDirectory() as directory:
            for name in ("server.crt", "server.key", "clients.crt"):
                kind = "PRIVATE KEY" if name.endswith("key") else "CERTIFICATE"
                with open(os.path.join(directory, name), "w", encoding="ascii") as file:
                    file.write(f"-----BEGIN {kind}-----\n")
            text = text.replace("/etc/fsd/tls", directory)
            self.assertEqual(len(re.findall(r"^  - address:", text, re.M)), 3)
            done = check(text)
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_a_key_that_does_not_exist_is_refused_and_named(self):
        done = check(self.text + "no_such_key: 1\n")
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("no_such_key", done.stdout)

    def test_it_has_every_key(self):
        # The flags of --help are the keys of the file, but for those that say what to do with it.
        said = subprocess.run([FSD, "--help"], stdout=subprocess.PIPE, text=True, check=False,
                              timeout=60).stdout
        flags = set(re.findall(r"--([a-z-]+)", said)) - {"help", "version", "config", "check-config",
                                                       "check-host"}
        keys = set(re.findall(r"^#? ?([a-z_]+):", self.text, re.M))
        self.assertEqual({flag.replace("-", "_") for flag in flags}, keys)


if __name__ == "__main__":
    unittest.main(verbosity=2)
