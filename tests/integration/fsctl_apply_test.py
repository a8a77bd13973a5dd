#!/usr/bin/env python3
"""fsctl export apply: the host made to match files; over a real fsd."""
import json
import os
import sys
import unittest

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from fsctl_case import FAILURE, INVALID, PERMISSION, PRECONDITION, USAGE, FsctlTestCase


class FsctlApplyTest(FsctlTestCase):
    def document(self, name, more=""):
        return (f"name: exports/{name}\n"
                f"source: {{passthrough: {{path: {self.fsd.share(name)}}}}}\n"
                f"tag: myfs\n{more}")

    def apply(self, text, *flags):
        return self.fsctl("export", "apply", "-f", "-", *flags, stdin=text)

    def apply_fails(self, code, text, *flags):
        return self.fails(code, "export", "apply", "-f", "-", *flags, stdin=text)

    def names(self):
        return self.fsctl("export", "list", "-o", "name")

    def test_apply_creates_updates_and_then_changes_nothing(self):
        text = self.document("a", "labels: {tier: front}\n") + "---\n" + self.document("b")
        self.assertEqual(self.apply(text), "created exports/a\ncreated exports/b\n")
        self.assertEqual(self.apply(text), "unchanged exports/a\nunchanged exports/b\n")
        changed = (self.document("a", "labels: {tier: back}\nreadOnly: true\n") + "---\n" +
                   self.document("b", "cache:\n  attrTimeout: 5s\n"))
        expected = ("updated exports/a\n"
                    "  read_only: unset -> true (next connection)\n"
                    "  labels: tier=front -> tier=back (live)\n"
                    "updated exports/b\n"
                    "  cache.attr_timeout: unset -> 5s (next connection)\n")
        self.assertEqual(self.apply(changed, "--dry-run"),
                         expected.replace("exports/a", "exports/a (dry run)")
                         .replace("exports/b", "exports/b (dry run)"))
        self.assertEqual(self.apply(changed), expected)
        self.assertEqual(self.apply(changed), "unchanged exports/a\nunchanged exports/b\n")
        self.assertEqual(self.get("b")["cache"]["attrTimeout"], "5s")

    def test_a_field_that_is_taken_out_gets_its_default(self):
        self.apply(self.document("a", "readOnly: true\n"))
        self.assertEqual(self.apply(self.document("a")),
                         "updated exports/a\n  read_only: true -> unset (next connection)\n")

    def test_what_fsctl_prints_can_be_applied(self):
        self.create("web", "--label", "zone=1", "--label", "on=yes", "--attr-timeout", "1.5s",
                    "--socket-mode", "0660", "--xattr", "on", "--xattrmap", ":map::user.vm.:",
                    "--translate-uid", "map:0:100000:65536", "--max-inode-fds", "1000", "--no-submounts",
                    "--owner-vm", "0x10")
        self.create("db")
        for form in ("yaml", "json"):
            self.assertEqual(self.apply(self.fsctl("export", "get", "web", "-o", form)),
                             "unchanged exports/web\n")
            self.assertEqual(self.apply(self.fsctl("export", "list", "-o", form)),
                             "unchanged exports/db\nunchanged exports/web\n")
        self.assertEqual(self.apply(self.fsctl("export", "get", "web", "db", "-o", "yaml")),
                         "unchanged exports/web\nunchanged exports/db\n")

    def test_an_export_that_is_gone_is_made_again_from_what_was_printed(self):
        self.create("web", "--cache", "always", "--label", "a=b")
        text = self.fsctl("export", "get", "web", "-o", "yaml")
        before = self.get("web")
        self.fsctl("export", "delete", "web")
        self.assertEqual(self.apply(text), "created exports/web\n")
        after = self.get("web")
        self.assertNotEqual(after["uid"], before["uid"])
        for field in ("source", "tag", "socket", "cache", "labels"):
            self.assertEqual(after[field], before[field])

    def test_prune_deletes_what_no_file_describes(self):
        keep = self.document("a", "labels: {set: x}\n")
        self.apply(keep + "---\n" + self.document("b", "labels: {set: x}\n") + "---\n" +
                   self.document("c"))
        self.assertEqual(self.apply(keep, "--prune", "-l", "set=x", "--dry-run"),
                         "unchanged exports/a (dry run)\ndeleted exports/b (dry run)\n")
        self.assertEqual(self.names(), "exports/a\nexports/b\nexports/c\n")
        self.assertEqual(self.apply(keep, "--prune", "-l", "set=x"),
                         "unchanged exports/a\ndeleted exports/b\n")
        self.assertEqual(self.names(), "exports/a\nexports/c\n")
        self.apply_fails(USAGE, keep, "--prune")

    def test_prune_leaves_what_is_in_use(self):
        self.create("used", "--label", "set=x")
        self.connect("used")
        self.assertIn("drain it first", self.apply_fails(PRECONDITION, "", "--prune", "-l", "set=x"))
        self.assertEqual(self.names(), "exports/used\n")

    def test_nothing_is_done_if_anything_is_wrong(self):
        good = self.document("a")
        for bad, code, expected in (
                (self.document("b", "colour: red\n"), INVALID, "standard input:5: this is no export"),
                (self.document("b", "cache: {policy: OFTEN}\n"), INVALID, "OFTEN"),
                (self.document("b", "socket: {mode: 0660}\n"), INVALID, "write 0o660"),
                (self.document("b", "semantics: {lockWait: 1s}\n"), INVALID, "semantics.lock_wait"),
                (self.document("b").replace(self.fsd.shares, "/etc"), PERMISSION, "--allow-source"),
                (good, INVALID, "exports/a is described twice")):
            self.assertIn(expected, self.apply_fails(code, good + "---\n" + bad))
            self.assertEqual(self.names(), "", bad)

    def test_what_cannot_change_is_named(self):
        self.apply(self.document("a"))
        text = self.apply_fails(PRECONDITION, self.document("a").replace("myfs", "other"))
        self.assertIn("tag", text)
        self.assertIn("hint: delete the export and create another", text)

    def test_files_and_results_for_programs(self):
        path = os.path.join(self.fsd.directory, "a.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"name": "a", "tag": "t", "source": {"passthrough": {"path": self.fsd.share("a")}}},
                      file)
        self.assertEqual(self.fsctl("export", "apply", "-f", path, "-o", "name"), "exports/a\n")
        self.fsctl("export", "update", "a", "--read-only")
        done = json.loads(self.fsctl("export", "apply", "-f", path, "-o", "json"))
        self.assertEqual(done, {"results": [{
            "name": "exports/a", "action": "UPDATED",
            "fields": [{"field": "read_only", "before": "true", "after": "unset",
                        "effect": "NEXT_CONNECTION"}]}]})
        self.assertIn("No such file", self.fails(FAILURE, "export", "apply", "-f", path + "x"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
