#!/usr/bin/env python3
"""fsctl where it changes exports that are there, and finds them; over a real fsd."""
import json
import os
import sys
import unittest

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from fsctl_case import (CONFLICT, INVALID, NOT_FOUND, OK, PRECONDITION, TIMED_OUT, USAGE,
                        FsctlTestCase)
from running_fsd import WAIT_SECONDS

DRAIN_FIRST = ("hint: export \"web\" is in use by a connected VM; drain it first ('fsctl export drain "
               "web'), or use --force")


class FsctlChangeTest(FsctlTestCase):
    # update

    def test_update_changes_what_is_given_and_says_when_it_takes_effect(self):
        self.create("web", "--label", "tier=back", "--label", "old=1", "--writeback", "--lock-wait", "5s",
                    "--locks", "shared")
        self.assertEqual(
            self.fsctl("export", "update", "web", "--label", "tier=front", "--remove-label", "old",
                       "--attr-timeout", "5s", "--writeback=false", "--reset", "lock-wait"),
            "updated exports/web\n"
            "  cache.attr_timeout: unset -> 5s (next connection)\n"
            "  cache.writeback: true -> unset (next connection)\n"
            "  semantics.lock_wait: 5s -> unset (next connection)\n"
            "  labels: old=1, tier=back -> tier=front (live)\n")
        shown = self.get("web")
        self.assertEqual((shown["labels"], shown["cache"]["attrTimeout"], shown["cache"]["writeback"],
                          shown["semantics"]["locks"]), ({"tier": "front"}, "5s", False, "SHARED"))

    def test_limits_are_live(self):
        self.create("web", "--read-iops", "1000", "--read-iops-burst", "50", "--write-bandwidth", "10MiB")
        qos = self.get("web")["qos"]
        self.assertEqual((qos["read"]["operationsPerSecond"], qos["read"]["burstOperations"],
                          qos["write"]["bytesPerSecond"]), ("1000", "50", "10485760"))
        self.assertEqual(
            self.fsctl("export", "update", "web", "--read-iops", "2000", "--total-bandwidth", "1G",
                       "--reset", "write-bandwidth"),
            "updated exports/web\n"
            "  qos: {\"read\":{\"operations_per_second\":\"1000\",\"burst_operations\":\"50\"},"
            "\"write\":{\"bytes_per_second\":\"10485760\"}} -> "
            "{\"read\":{\"operations_per_second\":\"2000\",\"burst_operations\":\"50\"},"
            "\"total\":{\"bytes_per_second\":\"1073741824\"}} (live)\n")
        shown = self.fsctl("export", "get", "web")
        for line in ("Read iops:", "Read iops burst:", "Total bandwidth:"):
            self.assertIn("\n" + line, shown)
        text = self.fails(INVALID, "export", "update", "web", "--reset", "read-iops")
        self.assertIn("\n  export.qos.read.burst_operations: a burst needs a limit", text)
        self.assertIn("qos: ", self.fsctl("export", "update", "web", "--reset", "qos"))
        self.assertNotIn("Read iops", self.fsctl("export", "get", "web"))

    def test_an_update_to_what_is_so_is_no_change(self):
        self.create("web", "--cache", "always")
        self.assertEqual(self.fsctl("export", "update", "web", "--cache", "always"),
                         "unchanged exports/web\n")

    def test_update_in_json_has_the_effects(self):
        self.create("web")
        done = json.loads(self.fsctl("export", "update", "web", "--read-only", "-o", "json"))
        self.assertEqual(done["effects"], [{"field": "read_only", "effect": "NEXT_CONNECTION"}])
        self.assertTrue(done["export"]["readOnly"])

    def test_a_dry_run_changes_nothing(self):
        self.create("web")
        text = self.fsctl("export", "update", "web", "--read-only", "--dry-run")
        self.assertEqual(text, "updated exports/web (dry run)\n"
                               "  read_only: unset -> true (next connection)\n")
        self.assertFalse(self.get("web")["readOnly"])

    def test_update_compares_the_etag(self):
        self.create("web")
        etag = self.get("web")["etag"]
        self.fsctl("export", "update", "web", "--label", "a=1", "--etag", etag)
        self.fails(CONFLICT, "export", "update", "web", "--label", "a=2", "--etag", etag)

    def test_updates_that_cannot_be_are_refused(self):
        self.create("web")
        self.assertIn("nothing is to change", self.fails(USAGE, "export", "update", "web"))
        self.fails(USAGE, "export", "update", "web", "--tag", "other")
        self.fails(NOT_FOUND, "export", "update", "none", "--read-only")
        text = self.fails(INVALID, "export", "update", "web", "--lock-wait", "1s")
        self.assertIn("\n  export.semantics.lock_wait: ", text)
        self.create("away", "--socket", f"{self.fsd.sockets}/away.sock")
        text = self.fails(PRECONDITION, "export", "update", "away", "--reset", "socket.path")
        self.assertIn("\nhint: delete the export and create another", text)

    # delete

    def test_an_export_in_use_says_what_to_do(self):
        self.create("web")
        self.connect("web")
        for verb in ("delete", "restart"):
            self.assertIn(DRAIN_FIRST, self.fails(PRECONDITION, "export", verb, "web"))
        self.assertEqual(self.fsctl("export", "delete", "web", "--force"), "deleted exports/web\n")

    def test_delete_drains_as_long_as_it_is_told(self):
        self.create("web")
        front_end = self.connect("web")
        text = self.fails(TIMED_OUT, "export", "delete", "web", "--drain=50ms")
        self.assertIn("\nhint: shut the guest down", text)
        self.wait_for_state("web", "CONNECTED")
        waiting = self.start("export", "delete", "web", "--drain")
        self.wait_for_state("web", "DRAINING")
        front_end.close()
        self.assertEqual(waiting.communicate(timeout=WAIT_SECONDS), ("deleted exports/web\n", ""))
        self.fails(USAGE, "export", "delete", "web", "--drain", "--force")
        self.fails(USAGE, "export", "delete", "web", "--drain=soon")

    def test_delete_takes_several_and_goes_on_after_a_failure(self):
        self.create("a")
        self.create("b")
        done = self.run_fsctl("export", "delete", "a", "none", "b")
        self.assertEqual((done.returncode, done.stdout),
                         (NOT_FOUND, "deleted exports/a\ndeleted exports/b\n"))
        self.fsctl("export", "delete", "a", "--ignore-missing")

    # drain, resume, disconnect, restart

    def test_drain_waits_for_the_virtual_machine(self):
        self.create("web")
        front_end = self.connect("web")
        self.fails(TIMED_OUT, "export", "drain", "web", "--timeout", "50ms")
        self.fails(NOT_FOUND, "export", "drain", "none")
        waiting = self.start("export", "drain", "web")
        self.wait_for_state("web", "DRAINING")
        front_end.close()
        self.assertEqual(waiting.communicate(timeout=WAIT_SECONDS), ("drained exports/web\n", ""))
        self.assertEqual(waiting.returncode, OK)
        self.assertEqual(self.fsctl("export", "resume", "web"), "resumed exports/web\n")
        self.wait_for_state("web", "LISTENING")

    def test_drain_need_not_wait(self):
        self.create("web")
        self.connect("web")
        self.assertEqual(self.fsctl("export", "drain", "web", "--no-wait"),
                         "draining exports/web; a virtual machine is still connected\n")
        self.assertEqual(self.get("web")["status"]["state"], "DRAINING")
        self.fails(USAGE, "export", "drain", "web", "--no-wait", "--timeout", "1s")
        self.fails(NOT_FOUND, "export", "drain", "none", "--no-wait")

    def test_a_drain_that_is_interrupted_leaves_the_export_as_it_was(self):
        self.create("web")
        self.connect("web")
        waiting = self.start("export", "drain", "web")
        self.wait_for_state("web", "DRAINING")
        waiting.terminate()
        self.wait_for_state("web", "CONNECTED")

    def test_disconnect_cuts_the_virtual_machine_off(self):
        self.create("web")
        front_end = self.connect("web")
        self.assertEqual(self.fsctl("export", "disconnect", "web"), "disconnected exports/web\n")
        front_end.settimeout(WAIT_SECONDS)
        self.assertEqual(front_end.recv(1), b"")
        self.fails(NOT_FOUND, "export", "disconnect", "none")

    def test_restart_replaces_the_worker(self):
        self.create("web")
        before = self.get("web")["status"]["workerPid"]
        text = self.fsctl("export", "restart", "web")
        after = self.get("web")["status"]["workerPid"]
        self.assertNotEqual(after, before)
        self.assertEqual(text, f"restarted the worker of exports/web: pid {after}\n")
        self.connect("web")
        shown = json.loads(self.fsctl("export", "restart", "web", "--force", "-o", "json"))
        self.assertEqual(shown["status"]["restarts"], "2")
        self.fails(CONFLICT, "export", "restart", "web", "--etag", '"stale"')

    # list

    def test_list_finds_by_filter_and_label(self):
        self.create("a", "--label", "tier=front", "--label", "example.com/zone=1")
        self.create("b", "--label", "tier=back")
        self.create("c")
        for arguments, expected in (
                (("--filter", 'labels.tier = "front"'), "a"), (("-l", "tier"), "ab"),
                (("-l", "tier!=front,tier"), "b"), (("-l", "!tier"), "c"),
                (("--selector", "example.com/zone=1"), "a"),
                (("--filter", "name = exports/a OR name = exports/b", "-l", "tier=back"), "b"),
                (("--sort", "-name"), "cba"), (("--sort", "state,-created"), "cba")):
            self.assertEqual(self.fsctl("export", "list", "-o", "name", *arguments),
                             "".join(f"exports/{name}\n" for name in expected), arguments)
        self.assertIn("filter", self.fails(INVALID, "export", "list", "--filter", "size = 3"))
        self.fails(INVALID, "export", "list", "--sort", "size")
        self.assertIn("key=value", self.fails(USAGE, "export", "list", "-l", "=x"))

    # server

    def test_the_log_level_is_shown_and_changed(self):
        self.assertEqual(self.fsctl("server", "log-level"), "info\n")
        self.assertEqual(self.fsctl("server", "log-level", "error"), "log level error, was info\n")
        self.assertEqual(self.fsctl("server", "log-level"), "error\n")
        self.assertEqual(json.loads(self.fsctl("server", "log-level", "info", "-o", "json")),
                         {"previousLevel": "LOG_LEVEL_ERROR"})
        self.assertRegex(self.fsctl("server", "info"), r"(?m)^Log level: +info$")
        self.fails(USAGE, "server", "log-level", "loud")


if __name__ == "__main__":
    unittest.main(verbosity=2)
