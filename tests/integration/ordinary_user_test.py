#!/usr/bin/env python3
"""fsd and fsctl as an ordinary user starts them: without a word about where anything is."""
import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from running_fsd import WAIT_SECONDS, binary, wait_for

USER = 54321  # nobody's
USAGE = 2


class OrdinaryUserTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="fsd-user-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.directory)
        os.chmod(self.directory, 0o755)
        # Where anybody can run them.
        for target in ("server/exe/fsd", "server/exe/fsd-worker", "cli/fsctl"):
            shutil.copy(binary(target), self.directory)
        self.home, self.runtime = self.own("home"), self.own("run")
        self.share = self.own("home/share")
        self.environment = {"HOME": self.home, "XDG_RUNTIME_DIR": self.runtime,
                            "PATH": os.environ["PATH"]}

    def own(self, name):
        path = os.path.join(self.directory, name)
        os.mkdir(path, 0o700)
        os.chown(path, USER, USER)
        return path

    def popen(self, program, *arguments, environment=None):
        return subprocess.Popen(
            [os.path.join(self.directory, program), *arguments], user=USER, group=USER,
            extra_groups=[], env=environment or self.environment, cwd="/", text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run_to_end(self, program, *arguments, environment=None):
        process = self.popen(program, *arguments, environment=environment)
        out, err = process.communicate(timeout=WAIT_SECONDS)
        return process.returncode, out, err

    def fsctl(self, *arguments):
        status, out, err = self.run_to_end("fsctl", *arguments)
        self.assertEqual((status, err), (0, ""))
        return out

    def start(self):
        fsd = self.popen("fsd", "--allow-source", self.home)
        wait_for("fsd to listen", self.listens)
        return fsd

    def listens(self):
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.runtime + "/fsd/fsd.sock") == 0

    def stop(self, fsd):
        fsd.send_signal(signal.SIGTERM)
        _, log = fsd.communicate(timeout=WAIT_SECONDS)
        self.assertEqual(fsd.returncode, 0, log)

    def test_an_export_is_made_served_kept_and_deleted(self):
        fsd = self.start()
        self.fsctl("export", "create", "web", "--source", self.share, "--tag", "myfs")
        path = self.runtime + "/fsd/exports/web.sock"
        found = os.stat(path)
        self.assertEqual((found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)),
                         (USER, USER, 0o600))
        with socket.socket(socket.AF_UNIX) as front_end:
            front_end.connect(path)
            wait_for("the front-end to be seen",
                     lambda: "CONNECTED" in self.fsctl("export", "list"))
        self.assertTrue(os.path.exists(self.home + "/.local/state/fsd/exports/web"))
        self.stop(fsd)

        fsd = self.start()
        wait_for("the export to be back", lambda: "LISTENING" in self.fsctl("export", "list"))
        self.fsctl("export", "delete", "web")
        self.assertFalse(os.path.exists(path))
        self.stop(fsd)

    def test_the_next_fsd_takes_over_the_worker_and_its_front_end(self):
        def status():
            return json.loads(self.fsctl("export", "get", "web", "-o", "json"))["status"]

        fsd = self.start()
        self.fsctl("export", "create", "web", "--source", self.share, "--tag", "myfs")
        worker = status()["workerPid"]
        with socket.socket(socket.AF_UNIX) as front_end:
            front_end.connect(self.runtime + "/fsd/exports/web.sock")
            wait_for("the front-end to be seen", lambda: status()["state"] == "CONNECTED")
            fsd.kill()
            fsd.wait()
            fsd.stdout.close()
            fsd.stderr.close()
            fsd = self.start()
            wait_for("the front-end to be seen again", lambda: status()["state"] == "CONNECTED")
            self.assertEqual(status()["workerPid"], worker)
            self.fsctl("export", "restart", "web", "--force")
        self.assertNotEqual(status()["workerPid"], worker)
        self.fsctl("export", "delete", "web", "--force")
        self.stop(fsd)

    def test_a_source_that_the_user_may_not_open_is_refused(self):
        hidden = os.path.join(self.home, "roots")
        os.mkdir(hidden, 0o700)
        os.mkdir(hidden + "/share")
        fsd = self.start()
        status, _, err = self.run_to_end("fsctl", "export", "create", "web", "--source",
                                         hidden + "/share", "--tag", "myfs")
        self.assertNotEqual(status, 0)
        self.assertIn("Permission denied", err)
        self.stop(fsd)

    def test_without_a_runtime_directory_both_programs_say_so(self):
        environment = {"HOME": self.home}
        status, _, err = self.run_to_end("fsd", "--allow-source", self.home,
                                         environment=environment)
        self.assertEqual(status, USAGE)
        self.assertIn("XDG_RUNTIME_DIR is not set", err)
        status, _, err = self.run_to_end("fsctl", "export", "list", environment=environment)
        self.assertEqual(status, USAGE)
        self.assertIn("XDG_RUNTIME_DIR is not set", err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
