#!/usr/bin/env python3
"""fsctl where it waits: watch, wait, and what a terminal shows meanwhile; over a real fsd."""
import json
import os
import re
import sys
import unittest

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from fsctl_case import NOT_FOUND, OK, TIMED_OUT, UNAVAILABLE, USAGE, FsctlTestCase
from running_fsd import WAIT_SECONDS


class FsctlWatchTest(FsctlTestCase):
    # watch

    def next_event(self, watch, kind):
        for line in watch.stdout:
            event = json.loads(line)
            if event["kind"] == kind:
                return event["export"]["name"]
        raise AssertionError("the stream has ended: " + watch.stderr.read())

    def test_watch_prints_a_line_for_each_event(self):
        self.create("web")
        watch = self.start("export", "watch")
        self.assertEqual(watch.stdout.readline().split(), ["EVENT", "NAME", "STATE", "CONDITIONS"])
        self.assertEqual(watch.stdout.readline().split(), ["ADDED", "exports/web", "LISTENING", "-"])
        self.fsctl("export", "drain", "web", "--no-wait")
        self.assertEqual(watch.stdout.readline().split(), ["MODIFIED", "exports/web", "DRAINING", "-"])
        self.fsctl("export", "delete", "web")
        last = ""
        while not last.startswith("REMOVED"):
            last = watch.stdout.readline()
        self.assertIn("exports/web", last)

    def test_watch_selects(self):
        self.create("a", "--label", "tier=front")
        self.create("b")
        for arguments in (("-l", "tier=front"), ("a",), ("--filter", "name = exports/a")):
            text = self.fsctl("export", "watch", "--snapshot", "-o", "name", *arguments)
            self.assertEqual(text, "exports/a\n", arguments)
        self.assertEqual(self.fsctl("export", "watch", "--snapshot", "--no-headers").count("\n"), 2)

    def test_watch_goes_on_when_the_server_is_back(self):
        self.create("stays")
        self.create("goes")
        watch = self.start("export", "watch", "-o", "json")
        self.assertEqual({self.next_event(watch, "ADDED"), self.next_event(watch, "ADDED")},
                         {"exports/stays", "exports/goes"})
        self.fsd.stop()
        self.assertIn("trying again", watch.stderr.readline())
        self.fsd.start()
        self.assertIn("the server is back", watch.stderr.readline())
        # Its snapshot is no news; what happens now is. Nothing is added twice.
        self.fsctl("export", "delete", "goes")
        self.create("new")
        self.assertEqual(self.next_event(watch, "REMOVED"), "exports/goes")
        self.assertEqual(self.next_event(watch, "ADDED"), "exports/new")

    def test_watch_needs_a_server_to_begin_with(self):
        missing = f"unix://{self.fsd.directory}/none.sock"
        done = self.run_fsctl("export", "watch", "--no-headers", server=missing)
        self.assertEqual((done.returncode, done.stdout), (UNAVAILABLE, ""))

    # wait

    def test_wait_returns_when_it_is_so(self):
        self.create("web")
        self.assertEqual(self.fsctl("export", "wait", "web", "--for=state=LISTENING"),
                         "exports/web: state=LISTENING\n")
        waiting = self.start("export", "wait", "web", "--for", "connected")
        self.connect("web")
        self.assertEqual(waiting.communicate(timeout=WAIT_SECONDS), ("exports/web: connected\n", ""))
        self.assertEqual(waiting.returncode, OK)
        self.fsctl("export", "update", "web", "--read-only")
        shown = json.loads(self.fsctl("export", "wait", "web", "--for=condition=UPDATE_PENDING",
                                      "-o", "json"))
        self.assertEqual(shown["status"]["conditions"][0]["reason"], "UPDATE_PENDING")

    def test_wait_for_the_end(self):
        self.create("web")
        waiting = self.start("export", "wait", "web", "--for=deleted")
        self.fsctl("export", "delete", "web")
        self.assertEqual(waiting.communicate(timeout=WAIT_SECONDS), ("exports/web: deleted\n", ""))
        self.fsctl("export", "wait", "web", "--for=deleted")

    def test_wait_ends_when_its_time_is_over(self):
        self.create("web")
        text = self.fails(TIMED_OUT, "export", "wait", "web", "--for=mounted", "--timeout", "100ms")
        self.assertIn("exports/web is not mounted in time: it is LISTENING, not MOUNTED\nhint: ", text)

    def test_wait_for_what_is_not_there_is_3(self):
        self.fails(NOT_FOUND, "export", "wait", "none", "--for=mounted")
        self.create("web")
        waiting = self.start("export", "wait", "web", "--for=mounted")
        self.fsctl("export", "wait", "web", "--for=listening")
        self.fsctl("export", "delete", "web")
        self.assertIn("there is no exports/web", waiting.communicate(timeout=WAIT_SECONDS)[1])
        self.assertEqual(waiting.returncode, NOT_FOUND)
        self.assertIn("state=STATE", self.fails(USAGE, "export", "wait", "web", "--for=ready"))

    # A terminal.

    def test_what_waits_counts_on_a_terminal(self):
        self.create("web")
        front_end = self.connect("web")
        drain = self.on_terminal("export", "drain", "web", "--timeout", "1h", stdout=False)
        drain.read_until("waiting for the virtual machine to leave exports/web ... 2s of 60m")
        front_end.close()
        status, text = drain.finish()
        self.assertEqual(status, OK)
        self.assertTrue(text.endswith("\r\x1b[K"), repr(text))
        self.assertEqual(drain.process.stdout.read(), b"drained exports/web\n")

        wait = self.on_terminal("export", "wait", "web", "--for=deleted", stdout=False)
        wait.read_until("waiting for exports/web: it is DRAINING ... 1s")
        self.fsctl("export", "resume", "web")
        front_end = self.connect("web")
        delete = self.on_terminal("export", "delete", "web", "--drain", stdout=False)
        delete.read_until("waiting for the virtual machine to leave exports/web ... 1s")
        front_end.close()
        self.assertEqual(delete.finish()[0], OK)
        self.assertEqual(wait.finish()[0], OK)

    def test_colours_are_for_terminals(self):
        self.create("web")
        self.assertNotIn("\x1b", self.fsctl("export", "list"))
        green = "\x1b[32mLISTENING\x1b[0m"
        self.assertIn(green, self.fsctl("export", "list", "--color", "always"))
        self.assertIn(green, self.on_terminal("export", "list").finish()[1])
        for env in ({"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "dumb"}):
            text = self.on_terminal("export", "list", env={**os.environ, **env}).finish()[1]
            self.assertIn("LISTENING", text)
            self.assertIsNone(re.search("\x1b", text), repr(text))


if __name__ == "__main__":
    unittest.main(verbosity=2)
