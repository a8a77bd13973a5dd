#!/usr/bin/env python3
"""The man pages are whole: every command with its options is there, and roff takes them."""
import re
import subprocess
import sys
import unittest

FSCTL, FSD = sys.argv[1:3]


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read().replace("\\-", "-")


class ManPageTest(unittest.TestCase):
    def test_fsctl_has_a_section_for_each_command(self):
        page = read(FSCTL)
        sections = dict(re.findall(r"(?ms)^\.SS ([^\n]+)\n(.*?)(?=^\.S[SH] )", page))
        for verb in ("create", "get", "list", "update", "delete", "apply", "watch", "drain", "resume",
                     "disconnect", "restart", "stats", "top", "inflight", "wait", "args"):
            self.assertIn("export " + verb, sections)
        self.assertIn("server check", sections)
        self.assertRegex(sections["export create"], r"\n\.B --attr-timeout DURATION\nHow long it may keep")
        self.assertRegex(sections["export create"], r"\n\.B --cache never\|auto\|metadata\|always\nHow long")
        # Its name leaves one space before the description.
        self.assertRegex(sections["export create"], r"\n\.B --read-bandwidth-burst SIZE\nHow many may")
        self.assertRegex(page, r"\n\.B --server ADDRESS")

    def test_fsd_has_its_options(self):
        page = read(FSD)
        for option in ("--allow-source", "--weakest-seccomp", "--check-config", "--workers"):
            self.assertRegex(page, rf"\n\.B {option}\b[^\n]*\n\w")

    def test_roff_formats_them(self):
        for path in (FSCTL, FSD):
            done = subprocess.run(["nroff", "-man", "-ww", path], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, check=True)
            self.assertEqual(done.stderr, "", path)
            self.assertIn("SYNOPSIS", re.sub(".\b|\x1b[^m]*m", "", done.stdout))


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
