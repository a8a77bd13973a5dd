#!/usr/bin/env python3
"""The supervisor is killed, and restarted, under guests that work; over a real fsd and its jails."""
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
import unittest

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from running_fsd import RunningFsd, WAIT_SECONDS, binary, wait_for

RESTARTS = 20
SANDBOXES = ("namespace", "chroot", "none")
# A machine with other things to do takes long at times; a guest that waits for a supervisor takes
# longer.
SLOWEST_MS = 10_000
PR_SET_CHILD_SUBREAPER = 36


def worker_processes(pid=None):
    """The titles of all workers' processes that live, by pid; orphans are our descendants too."""
    found = {}
    for task in os.listdir(f"/proc/{pid or os.getpid()}/task"):
        with open(f"/proc/{pid or os.getpid()}/task/{task}/children", encoding="ascii") as children:
            for child in map(int, children.read().split()):
                try:
                    found.update(worker_processes(child))
                    with open(f"/proc/{child}/cmdline", "rb") as line:  # a zombie has none
                        title = line.read().split(b"\0")[0].decode()
                except (FileNotFoundError, ProcessLookupError):
                    continue
                if title.startswith("fsd-worker: "):
                    found[child] = title
    return found


class Load:
    """A steady guest; `end` gives its account."""

    def __init__(self, socket):
        self.process = subprocess.Popen([binary("tests/integration/steady_load"), socket],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "begun\n"

    def end(self):
        said, _ = self.process.communicate(timeout=WAIT_SECONDS)
        requests, slowest, problem = said.rstrip("\n").split(" ", 2)
        return int(requests), int(slowest), problem


class SupervisorRestart(unittest.TestCase):
    def setUp(self):
        # Workers whose supervisor is gone are ours, and not the host's, to reap.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.fsd = RunningFsd("--weakest-sandbox", "none")
        self.addCleanup(self.close)
        self.fsd.start()

    def close(self):
        if self._outcome is not None and not self._outcome.success:
            print(f"--- the supervisor's log\n{self.fsd.log_text()}---", flush=True)
        self.fsd.close()

    def fsctl(self, *arguments):
        done = self.fsd.try_fsctl(*arguments)
        self.assertEqual(done.returncode, 0, f"fsctl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def create(self, name, *flags):
        made = json.loads(self.fsctl("export", "create", name, "--source", self.fsd.share(name),
                                     "--tag", name, "-o", "json", *flags))
        return made["socket"]["path"]

    def status(self, name):
        return json.loads(self.fsctl("export", "get", name, "-o", "json"))["status"]

    def wait_status(self, name, what, condition):
        def look():
            status = self.status(name)
            return status if condition(status) else None
        return wait_for(f"{name}: {what}", look)

    def wait_state(self, name, state):
        return self.wait_status(name, state, lambda status: status["state"] == state)

    def written(self, name):
        """The WRITEs that are counted, and since when."""
        stats = json.loads(self.fsctl("export", "stats", name, "-o", "json"))
        return int(stats["bytesWritten"]), stats["since"]

    @staticmethod
    def reasons(status):
        return [condition["reason"] for condition in status.get("conditions", [])]

    def kill_and_start(self):
        self.fsd.process.kill()
        self.fsd.process.wait()
        self.fsd.start()

    def restart(self):
        self.assertEqual(self.fsd.stop(), 0)
        self.fsd.start()

    def test_guests_notice_no_restart_of_the_supervisor(self):
        sockets = {sandbox: self.create(sandbox, "--sandbox", sandbox) for sandbox in SANDBOXES}
        loads = {name: Load(socket) for name, socket in sockets.items()}
        workers = {name: self.wait_state(name, "MOUNTED")["workerPid"] for name in sockets}
        counted = {name: self.written(name) for name in sockets}
        conditions = {name: self.reasons(self.status(name)) for name in sockets}
        begun = worker_processes()

        def check():
            for name in sockets:
                status = self.wait_state(name, "MOUNTED")
                self.assertEqual(status["workerPid"], workers[name])
                self.assertEqual(self.reasons(status), conditions[name])
                self.assertEqual(int(status.get("restarts", 0)), 0)
                bytes_written, since = self.written(name)
                self.assertGreater(bytes_written, counted[name][0])
                self.assertEqual(since, counted[name][1])
                counted[name] = bytes_written, since

        for _ in range(RESTARTS):  # whatever `workers` says, which is to stop them
            self.kill_and_start()
            check()
        self.fsd.more_flags += ("--workers", "keep")
        self.kill_and_start()
        for _ in range(RESTARTS):
            self.restart()
            check()
        for name, load in loads.items():
            requests, slowest, problem = load.end()
            self.assertEqual(problem, "", name)
            self.assertGreater(requests, RESTARTS, name)
            self.assertLess(slowest, SLOWEST_MS, name)
        self.assertEqual(worker_processes(), begun)
        for name in sockets:
            self.wait_state(name, "LISTENING")
            self.fsctl("export", "delete", name)
            os.waitpid(int(workers[name]), 0)
        self.assertEqual(worker_processes(), {})

    def test_an_adopted_worker_that_is_killed_is_replaced(self):
        for sandbox in SANDBOXES:
            self.create(sandbox, "--sandbox", sandbox)
        self.kill_and_start()
        for sandbox in SANDBOXES:
            with self.subTest(sandbox):
                worker = int(self.wait_state(sandbox, "LISTENING")["workerPid"])
                os.kill(worker, signal.SIGKILL)
                os.waitpid(worker, 0)
                status = self.wait_status(
                    sandbox, "another worker", lambda status: status["state"] == "LISTENING" and
                    int(status["workerPid"]) not in (0, worker))
                self.assertRegex(status["lastFailure"]["message"],
                                 "killed by signal 9|only the supervisor that had started it")
                load = Load(self.fsd.directory + f"/run/exports/{sandbox}.sock")
                self.assertEqual(load.end()[2], "")

    def test_an_adopted_export_can_do_all_that_another_can(self):
        socket = self.create("web")
        self.kill_and_start()
        worker = self.wait_state("web", "LISTENING")["workerPid"]

        load = Load(socket)
        self.wait_state("web", "MOUNTED")
        self.kill_and_start()
        self.wait_state("web", "MOUNTED")
        self.fsctl("export", "update", "web", "--attr-timeout", "7s")
        self.kill_and_start()
        status = self.wait_state("web", "MOUNTED")
        self.assertEqual(self.reasons(status), ["UPDATE_PENDING"])
        self.assertEqual(load.end()[2], "")
        status = self.wait_status("web", "its successor", lambda status:
                                  status["state"] == "LISTENING" and status["workerPid"] != worker)
        self.assertEqual(self.reasons(status), [])

        self.kill_and_start()
        self.wait_state("web", "LISTENING")
        self.fsctl("export", "drain", "web")
        self.kill_and_start()
        self.wait_state("web", "DRAINING")
        self.fsctl("export", "resume", "web")
        load = Load(socket)
        self.kill_and_start()
        worker = self.wait_state("web", "MOUNTED")["workerPid"]
        self.fsctl("export", "disconnect", "web")
        self.wait_state("web", "LISTENING")
        self.assertNotEqual(load.end()[2], "")
        self.fsctl("export", "restart", "web")
        self.assertNotEqual(self.wait_state("web", "LISTENING")["workerPid"], worker)
        self.fsctl("server", "log-level", "debug")
        self.fsctl("export", "delete", "web")
        self.assertFalse(os.path.exists(socket))

    def test_a_supervisor_that_is_killed_while_it_makes_an_export_leaves_it_whole_or_not_at_all(self):
        for number in range(RESTARTS):
            name = f"made{number}"
            create = subprocess.Popen(
                [binary("cli/fsctl"), "--server", self.fsd.address, "export", "create", name,
                 "--source", self.fsd.share(name), "--tag", "myfs"],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # From before anything of it is there until after all is.
            time.sleep(0.004 * number)
            self.kill_and_start()
            create.wait()
            known = self.fsd.try_fsctl("export", "get", name, "-o", "json")
            if known.returncode == 0:
                self.wait_state(name, "LISTENING")
                self.fsctl("export", "delete", name)
            wait_for(f"the end of {name}'s worker", lambda: not worker_processes())
            self.assertFalse(os.path.exists(f"{self.fsd.directory}/run/control/{name}.sock"))

    def test_many_are_adopted_while_one_hangs(self):
        names = [f"many{number}" for number in range(40)]
        for name in names:
            self.create(name)
        workers = {name: self.status(name)["workerPid"] for name in names}
        hung = int(workers[names[0]])
        children = open(f"/proc/{hung}/task/{hung}/children", encoding="ascii").read().split()
        for pid in children:
            os.kill(int(pid), signal.SIGSTOP)
        self.kill_and_start()
        for name in names[1:]:
            self.assertEqual(self.wait_state(name, "LISTENING")["workerPid"], workers[name])
        self.assertEqual(self.status(names[0])["state"], "CREATING")
        for pid in children:
            os.kill(int(pid), signal.SIGCONT)
        self.assertEqual(self.wait_state(names[0], "LISTENING")["workerPid"], workers[names[0]])


if __name__ == "__main__":
    unittest.main(verbosity=2)
