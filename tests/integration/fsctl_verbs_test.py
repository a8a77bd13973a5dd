#!/usr/bin/env python3
"""Every command that `fsctl --help` names, over a real fsd to which a front-end is connected: what it prints when it
does what it should, and how it exits when it cannot."""
import json
import os
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from fsctl_case import (CONFLICT, INVALID, NOT_FOUND, OK, PRECONDITION, TIMED_OUT, USAGE, FsctlTestCase)
from running_fsd import WAIT_SECONDS, binary, wait_for


def commands(*above):
    """("export", "create") and so on, as the help names them."""
    text = subprocess.run([binary("cli/fsctl"), *above, "--help"], stdout=subprocess.PIPE, text=True, check=True,
                          timeout=WAIT_SECONDS).stdout
    if "\nSubcommands:\n" not in text:
        return {above}
    names = text.split("\nSubcommands:\n")[1].split("\n\n")[0].splitlines()
    return set().union(*(commands(*above, line.split()[0]) for line in names if line[2] != " "))


class FsctlVerbsTest(FsctlTestCase):
    def setUp(self):
        self.create("web", "--locks", "shared")

    def guest(self):
        """One that has served itself, and still waits for a lock."""
        guest = subprocess.Popen([binary("tests/integration/metrics_load"), self.get("web")["socket"]["path"]],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(guest.wait)
        self.addCleanup(guest.stdin.close)
        self.addCleanup(guest.stdout.close)
        self.assertEqual(guest.stdout.readline(), "done\n")
        wait_for("the lock to be waited for",
                 lambda: self.fsctl("export", "inflight", "web", "-o", "name").split())

    def connect(self, name="web"):
        return super().connect(name)

    # One for each command.

    def verb_create(self):
        self.assertIn("exports/db", self.create("db"))
        self.fails(CONFLICT, "export", "create", "web", "--source", self.fsd.share("web"), "--tag", "other")
        self.fails(INVALID, "export", "create", "No", "--source", self.fsd.share("web"), "--tag", "t")

    def verb_get(self):
        self.assertRegex(self.fsctl("export", "get", "web"), r"(?m)^State: +LISTENING$")
        self.assertEqual(self.get("web")["name"], "exports/web")
        self.fails(NOT_FOUND, "export", "get", "none")

    def verb_list(self):
        self.connect()
        self.assertRegex(self.fsctl("export", "list"), r"(?m)^exports/web +CONNECTED ")
        self.assertEqual(self.fsctl("export", "list", "--filter", "tag = none", "-o", "name"), "")
        self.fails(INVALID, "export", "list", "--filter", "tag = (")

    def verb_update(self):
        self.connect()
        text = self.fsctl("export", "update", "web", "--socket-mode", "0660", "--label", "a=b", "--cache", "always")
        self.assertRegex(text, r"(?m)^updated exports/web$")
        for field, effect in (("socket.mode: 0600 -> 0660", "live"), ("labels", "live"), ("cache.policy", "next connection")):
            self.assertRegex(text, rf"(?m)^ .*{field}.*{effect}")
        mode = os.stat(self.get("web")["socket"]["path"]).st_mode
        self.assertEqual(mode & 0o7777, 0o660)
        self.fails(NOT_FOUND, "export", "update", "none", "--label", "a=b")
        self.fails(USAGE, "export", "update", "web")

    def verb_delete(self):
        front_end = self.connect()
        self.fails(PRECONDITION, "export", "delete", "web")
        front_end.close()
        self.wait_for_state("web", "LISTENING")
        self.fsctl("export", "delete", "web")
        self.fails(NOT_FOUND, "export", "delete", "web")

    def verb_drain(self):
        front_end = self.connect()
        self.fails(TIMED_OUT, "export", "drain", "web", "--timeout", "1ms")
        front_end.close()
        self.assertIn("exports/web", self.fsctl("export", "drain", "web", "--timeout", "1m"))
        self.assertEqual(self.get("web")["status"]["state"], "DRAINING")

    def verb_resume(self):
        self.fsctl("export", "drain", "web")
        self.assertIn("exports/web", self.fsctl("export", "resume", "web"))
        self.assertEqual(self.get("web")["status"]["state"], "LISTENING")
        self.fails(NOT_FOUND, "export", "resume", "none")

    def verb_disconnect(self):
        front_end = self.connect()
        self.fsctl("export", "disconnect", "web")
        front_end.settimeout(WAIT_SECONDS)
        self.assertEqual(front_end.recv(1), b"")
        self.fails(NOT_FOUND, "export", "disconnect", "none")

    def verb_restart(self):
        self.connect()
        self.fails(PRECONDITION, "export", "restart", "web")
        self.fsctl("export", "restart", "web", "--force")
        self.assertEqual(self.get("web")["status"]["restarts"], "1")

    def verb_apply(self):
        manifest = self.fsctl("export", "get", "web", "-o", "yaml")
        changed = manifest.replace("policy: AUTO", "policy: ALWAYS")
        self.assertNotEqual(changed, manifest)
        text = self.fsctl("export", "apply", "-f", "-", stdin=changed)
        self.assertIn("exports/web", text)
        self.assertEqual(self.get("web")["cache"]["policy"], "ALWAYS")
        self.assertNotEqual(self.run_fsctl("export", "apply", "-f", "/nonexistent").returncode, OK)

    def verb_wait(self):
        waiting = self.start("export", "wait", "web", "--for=connected", "--timeout", str(WAIT_SECONDS))
        self.connect()
        self.assertEqual(waiting.wait(timeout=WAIT_SECONDS), OK)
        self.assertEqual(self.run_fsctl("export", "wait", "web", "--for=mounted", "--timeout", "1ms").returncode,
                         TIMED_OUT)

    def verb_watch(self):
        watching = self.start("export", "watch", "-o", "name")
        self.assertIn("exports/web", watching.stdout.readline())
        done = self.run_fsctl("export", "watch", "--filter", "tag = (")
        self.assertEqual(done.returncode, INVALID, done.stderr)

    def verb_stats(self):
        self.guest()
        text = self.fsctl("export", "stats", "web")
        self.assertRegex(text, r"(?m)^Bytes written: +12288$")
        self.assertRegex(text, r"(?m)^LOOKUP +5 +5 ")
        self.assertRegex(text, r"(?m)^Slow requests: +\d+, now above 1s$")
        stats = json.loads(self.fsctl("export", "stats", "web", "-o", "json"))
        self.assertEqual((stats["name"], stats["inflightRequests"]), ("exports/web", "1"))
        self.assertEqual(self.fsctl("export", "stats", "web", "-o", "name"), "exports/web\n")
        self.fails(NOT_FOUND, "export", "stats", "none")

    def verb_inflight(self):
        self.guest()
        heading, row = self.fsctl("export", "inflight", "web").splitlines()
        self.assertEqual(heading.split(), ["AGE", "OPERATION", "NODE", "QUEUE", "UNIQUE"])
        self.assertEqual(row.split()[1], "SETLKW")
        request = json.loads(self.fsctl("export", "inflight", "web", "-o", "json"))["requests"][0]
        self.assertEqual((request["opcodeName"], request["unique"]), ("SETLKW", row.split()[4]))
        self.fails(NOT_FOUND, "export", "inflight", "none")

    def verb_top(self):
        self.guest()
        heading, row = self.fsctl("export", "top", "--once", "--interval", "10ms").splitlines()[:2]
        self.assertEqual(heading.split()[:2], ["NAME", "STATE"])
        self.assertEqual(row.split()[:2], ["exports/web", "MOUNTED"])
        self.assertEqual(row.split()[heading.split().index("INFLIGHT")], "1")
        self.fails(USAGE, "export", "top", "--once", "-o", "json")

    def verb_args(self):
        self.assertIn(self.get("web")["socket"]["path"], self.fsctl("export", "args", "web", "--for", "qemu"))
        self.fails(NOT_FOUND, "export", "args", "none", "--for", "qemu")

    def verb_info(self):
        text = self.fsctl("server", "info")
        self.assertRegex(text, r"(?m)^Exports: +1$")
        self.assertRegex(text, r"(?m)^Slow requests: +above 1s$")
        self.assertEqual(self.fsctl("server", "info", "-o", "name"), f"{self.fsd.address}\n")
        self.fails(USAGE, "server", "info", "more")

    def verb_check(self):
        self.connect()

        def check(*more):
            done = self.run_fsctl("server", "check", *more)
            checks = json.loads(self.run_fsctl("server", "check", "-o", "json").stdout)["checks"]
            worst = any(one["level"] == "ERROR" for one in checks)
            self.assertEqual(done.returncode, PRECONDITION if worst else OK, done.stderr)
            return done.stdout, checks
        text, checks = check()
        self.assertEqual(text.splitlines()[0].split(), ["LEVEL", "CHECK", "FOUND"])
        for one in checks:
            self.assertEqual(one["level"] == "OK", not one["cost"] and not one["remedy"], one)
            self.assertIn(one["check"], text)
            self.assertIn(one["cost"], text)
            self.assertIn(one["remedy"], text)
        self.assertEqual(check("-o", "name")[0].split(), [one["check"] for one in checks])
        self.assertIn("- check: KERNEL\n", check("-o", "yaml")[0])
        # What the configuration names and the host lacks.
        moved = self.fsd.shares + ".moved"
        os.rename(self.fsd.shares, moved)
        self.addCleanup(os.rename, moved, self.fsd.shares)
        self.addCleanup(os.remove, self.fsd.shares)
        open(self.fsd.shares, "w", encoding="ascii").close()
        done = self.run_fsctl("server", "check")
        self.assertEqual(done.returncode, PRECONDITION)
        self.assertRegex(done.stdout, rf"(?m)^ERROR +SOURCE {self.fsd.shares} +it is not a directory$")
        self.assertIn(f"SOURCE {self.fsd.shares}: no export below it can be served\n  do: ", done.stdout)

    def verb_log_level(self):
        self.assertEqual(self.fsctl("server", "log-level"), "info\n")
        self.assertEqual(self.fsctl("server", "log-level", "debug"), "log level debug, was info\n")
        self.assertEqual(json.loads(self.fsctl("server", "log-level", "info", "-o", "json")),
                         {"previousLevel": "LOG_LEVEL_DEBUG"})
        self.fails(USAGE, "server", "log-level", "loud")

    def verb_slow_request(self):
        worker = self.get("web")["status"]["workerPid"]
        self.assertEqual(self.fsctl("server", "slow-request"), "above 1s\n")
        self.assertEqual(self.fsctl("server", "slow-request", "0.000001ms"),
                         "slow requests: above 0.000000001s, was above 1s\n")
        self.guest()
        self.assertIn("slow request: READ of inode ", self.fsd.log_text())
        self.assertEqual(self.get("web")["status"]["workerPid"], worker)
        self.assertEqual(self.fsctl("server", "slow-request", "0"),
                         "slow requests: none, was above 0.000000001s\n")
        self.assertEqual(json.loads(self.fsctl("server", "slow-request", "1s", "-o", "json")),
                         {"previousThreshold": "0s"})
        self.fails(USAGE, "server", "slow-request", "5")
        self.fails(INVALID, "server", "slow-request", "25h")

    def verb_version(self):
        self.assertEqual(len(self.fsctl("version").splitlines()), 2)
        self.fails(USAGE, "version", "more")

    def verb_completion(self):
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("fsctl __complete", self.fsctl("completion", shell))
        self.fails(USAGE, "completion", "tcsh")

    VERBS = {
        ("export", "create"): verb_create,
        ("export", "get"): verb_get,
        ("export", "list"): verb_list,
        ("export", "update"): verb_update,
        ("export", "delete"): verb_delete,
        ("export", "drain"): verb_drain,
        ("export", "resume"): verb_resume,
        ("export", "disconnect"): verb_disconnect,
        ("export", "restart"): verb_restart,
        ("export", "apply"): verb_apply,
        ("export", "wait"): verb_wait,
        ("export", "watch"): verb_watch,
        ("export", "stats"): verb_stats,
        ("export", "inflight"): verb_inflight,
        ("export", "top"): verb_top,
        ("export", "args"): verb_args,
        ("server", "info"): verb_info,
        ("server", "check"): verb_check,
        ("server", "log-level"): verb_log_level,
        ("server", "slow-request"): verb_slow_request,
        ("version",): verb_version,
        ("completion",): verb_completion,
    }

    def test_every_command_has_a_test(self):
        self.assertEqual(commands(), set(self.VERBS))


def of(verb):
    return lambda self: verb(self)


for command, verb in FsctlVerbsTest.VERBS.items():
    setattr(FsctlVerbsTest, "test_" + "_".join(command).replace("-", "_"), of(verb))


if __name__ == "__main__":
    unittest.main(verbosity=2)
