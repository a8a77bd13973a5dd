#!/usr/bin/env python3
"""fsd as a service: its unit files, started by a stand-in for systemd, with the very settings that they have."""
import ctypes
import os
import re
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
from service_manager import LIBC, ServiceManager, Unit

SYSTEMD = os.path.join(os.getcwd(), "deploy/systemd")
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WATCHDOG_SECONDS = 1


def unit(name):
    return Unit(os.path.join(SYSTEMD, name))


def ptrace(request, pid):
    LIBC.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    if LIBC.ptrace(request, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request:#x} of {pid}")


class ServiceTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="fsd-service-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.directory)
        self.socket = os.path.join(self.directory, "fsd.sock")
        self.reader_socket = os.path.join(self.directory, "reader.sock")
        os.mkdir(os.path.join(self.directory, "shares"))
        self.configure("")

    def configure(self, more):
        self.config = os.path.join(self.directory, "fsd.yaml")
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(f"listen: unix://{self.socket}\n"
                       f"state_dir: {self.directory}/state\n"
                       f"runtime_dir: {self.directory}/run\n"
                       f"allow_source: [{self.directory}/shares]\n{more}")

    def manager(self, sockets=(), **settings):
        command = unit("fsd.service").get("Service", "ExecStart").split()
        self.assertEqual(command, ["/usr/sbin/fsd", "--config", "/etc/fsd/fsd.yaml"])
        return self.enterContext(ServiceManager(
            unit("fsd.service"), [binary("server/exe/fsd"), "--config", self.config],
            [(unit(name), path) for name, path in sockets], **settings))

    def fsctl(self, *arguments, path=None):
        return subprocess.run([binary("cli/fsctl"), "--server", "unix://" + (path or self.socket), *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=WAIT_SECONDS, check=False)

    def create(self, name="web"):
        source = os.path.join(self.directory, "shares", name)
        os.makedirs(source, exist_ok=True)
        done = self.fsctl("export", "create", name, "--source", source, "--tag", name)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def connect(self, name="web"):
        """A front-end that stays."""
        front_end = socket.socket(socket.AF_UNIX)
        self.addCleanup(front_end.close)
        front_end.connect(f"{self.directory}/run/exports/{name}.sock")
        wait_for("the front-end to be seen", lambda: "CONNECTED" in self.fsctl("export", "list").stdout)
        return front_end

    def assert_open(self, front_end):
        front_end.setblocking(False)
        with self.assertRaises(BlockingIOError):  # closed, it would read as empty
            front_end.recv(1)

    # Notification

    def test_it_is_ready_when_the_api_answers_and_says_what_it_serves(self):
        manager = self.manager(watchdog_seconds=WATCHDOG_SECONDS)
        manager.start()

        self.assertEqual(self.fsctl("export", "list").returncode, 0)
        self.assertEqual(manager.status, "serving 0 exports, 0 in use, 0 failed")
        self.create()
        wait_for("the new status", lambda: manager.status == "serving 1 exports, 0 in use, 0 failed")
        self.connect()
        wait_for("the guest in it", lambda: manager.status == "serving 1 exports, 1 in use, 0 failed")

    def test_it_says_that_it_stops(self):
        manager = self.manager()
        manager.start()
        self.assertEqual(manager.heard("STOPPING"), [])

        self.assertEqual(manager.stop(), 0)

        wait_for("STOPPING=1", lambda: manager.heard("STOPPING") == ["1"])
        self.assertFalse(os.path.exists(self.socket))

    def test_it_is_never_ready_if_it_cannot_start(self):
        self.configure("workers: maybe\n")
        manager = self.manager()
        manager.spawn()

        status = manager.main.wait(timeout=WAIT_SECONDS)

        self.assertEqual(str(status), unit("fsd.service").get("Service", "RestartPreventExitStatus"))
        self.assertEqual(manager.heard("READY"), [])
        wait_for("the reason", lambda: "fsd.yaml:5: workers: must be stop or keep" in manager.log_text())

    # The checks

    def run_check(self, *arguments):
        done = subprocess.run([binary("server/exe/fsd"), *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=WAIT_SECONDS, check=False)
        self.assertFalse(os.path.exists(os.path.join(self.directory, "run")), "a check starts nothing")
        self.assertFalse(os.path.exists(os.path.join(self.directory, "state")), "a check starts nothing")
        return done.returncode, done.stdout, done.stderr

    def test_a_configuration_is_checked_as_a_start_would_read_it(self):
        self.assertEqual(self.run_check("--check-config", "--config", self.config),
                         (0, "the configuration is valid\n", ""))

        self.configure("colour: red\nworkers: maybe\n")
        status, out, err = self.run_check("--check-config", "--config", self.config, "--weakest-seccomp", "none")
        self.assertEqual((status, out), (2, ""))
        lines = err.splitlines()
        self.assertEqual(len(lines), 3, err)
        self.assertRegex(lines[0], r"^fsd: \S+/fsd.yaml:5: unknown key 'colour'; known keys: listen, ")
        self.assertRegex(lines[1], r"^fsd: \S+/fsd.yaml:6: workers: must be stop or keep$")
        self.assertEqual(lines[2], "fsd: --weakest-seccomp: must be kill, errno, log or off")

    def test_the_host_is_checked(self):
        status, out, err = self.run_check("--check-host", "--config", self.config)
        self.assertEqual((status, err), (0, ""), out)
        for check in ("KERNEL", "NAMESPACES", "SECCOMP", "LANDLOCK", "OPEN_FILES", "HOST_FILES", "PROCESSES", "CGROUP",
                      "SUBORDINATE_IDS", "SOURCE", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "LEFTOVER_SOCKETS",
                      "DAMAGED_RECORDS"):
            self.assertRegex(out, rf"(?m)^(ok|warning) +{check} ")

    def test_a_host_that_lacks_what_is_needed_is_told(self):
        with open(os.path.join(self.directory, "file"), "w", encoding="ascii"):
            pass
        status, out, _ = self.run_check("--check-host", "--config", self.config, "--allow-source",
                                        os.path.join(self.directory, "file"))
        self.assertEqual(status, 1)
        self.assertRegex(out, r"(?m)^ERROR +SOURCE +\S+/file: it is not a directory\n"
                              r" +costs: no export below it can be served\n +do: +\S")

    # The watchdog

    def test_it_lives_as_long_as_its_loop_does(self):
        manager = self.manager(watchdog_seconds=WATCHDOG_SECONDS)
        manager.start()
        wait_for("signs of life", lambda: len(manager.heard("WATCHDOG")) >= 3)

        # The loop's thread alone, which is the first; all others go on.
        ptrace(PTRACE_SEIZE, manager.main.pid)
        ptrace(PTRACE_INTERRUPT, manager.main.pid)
        os.waitpid(manager.main.pid, 0x40000000)  # __WALL: it is stopped
        self.assertTrue(manager.is_hung())
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(self.socket)  # the API's threads are well
            client.settimeout(WAIT_SECONDS)
            client.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
            self.assertNotEqual(client.recv(9), b"")
        ptrace(PTRACE_DETACH, manager.main.pid)

        wait_for("signs of life again", lambda: manager.heard("WATCHDOG"))

    def test_one_that_hangs_is_replaced_and_the_guest_stays_connected(self):
        self.configure("workers: keep\n")
        manager = self.manager(watchdog_seconds=WATCHDOG_SECONDS)
        manager.start()
        self.create()
        front_end = self.connect()
        workers = manager.processes()
        self.assertGreaterEqual(len(workers), 1)

        self.assertEqual(manager.kill(signal.SIGABRT), -signal.SIGABRT)  # WatchdogSignal=
        self.assertEqual(unit("fsd.service").get("Service", "Restart"), "on-failure")
        manager.start()

        wait_for("the worker to be taken over", lambda: '"CONNECTED"' in
                 self.fsctl("export", "get", "web", "-o", "json").stdout)
        self.assertLessEqual(workers, manager.processes())
        self.assert_open(front_end)

    def test_without_a_watchdog_it_gives_no_signs_of_life(self):
        manager = self.manager()
        manager.start()
        self.assertEqual(manager.heard("WATCHDOG"), [])

    # KillMode

    def test_kept_workers_outlive_a_stop(self):
        self.configure("workers: keep\n")
        manager = self.manager()
        manager.start()
        self.create()
        front_end = self.connect()
        workers = manager.processes()

        self.assertEqual(manager.stop(), 0)

        self.assertEqual(manager.processes(), workers)
        self.assert_open(front_end)
        manager.start()
        self.assertEqual(manager.processes(), workers)

    def test_other_workers_end_with_it_by_its_own_doing(self):
        manager = self.manager()
        manager.start()
        self.create()
        self.assertNotEqual(manager.processes(), set())

        self.assertEqual(manager.stop(), 0)

        self.assertEqual(manager.processes(), set())

    # Sockets

    def test_a_client_that_comes_before_the_service_is_served(self):
        manager = self.manager([("fsd.socket", self.socket)])
        with subprocess.Popen([binary("cli/fsctl"), "--server", "unix://" + self.socket, "export", "list"],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as client:
            manager.start()
            out, _ = client.communicate(timeout=WAIT_SECONDS)
            self.assertEqual(client.returncode, 0, out)

        self.assertEqual(stat.S_IMODE(os.stat(self.socket).st_mode), 0o660)
        self.assertEqual(manager.stop(), 0)
        self.assertTrue(os.path.exists(self.socket), "the socket is the manager's to remove")
        manager.start()
        self.create()

    def test_a_socket_that_is_not_configured_has_the_role_of_its_name(self):
        manager = self.manager([("fsd.socket", self.socket), ("fsd-reader.socket", self.reader_socket)])
        manager.start()
        self.create()

        self.assertIn("web", self.fsctl("export", "list", path=self.reader_socket).stdout)
        refused = self.fsctl("export", "delete", "web", path=self.reader_socket)
        self.assertNotEqual(refused.returncode, 0)
        self.assertIn("this takes the role admin", refused.stderr)
        self.assertEqual(self.fsctl("export", "delete", "web").returncode, 0)

    def test_a_socket_without_a_role_stops_the_start(self):
        manager = self.manager([("fsd.socket", self.reader_socket)])
        manager.sockets[0] = (manager.sockets[0][0], "web")
        manager.spawn()

        self.assertNotEqual(manager.main.wait(timeout=WAIT_SECONDS), 0)
        wait_for("the reason", lambda: 'socket "web"' in manager.log_text() and
                 "FileDescriptorName=admin or reader" in manager.log_text())

    def test_a_socket_whose_name_is_not_the_configured_role_stops_the_start(self):
        manager = self.manager([("fsd-reader.socket", self.socket)])
        manager.spawn()

        self.assertNotEqual(manager.main.wait(timeout=WAIT_SECONDS), 0)
        wait_for("the reason", lambda: "let them agree" in manager.log_text())

    def test_sockets_for_another_process_are_left_alone(self):
        manager = self.manager([("fsd-reader.socket", self.reader_socket)])
        manager.forget()
        manager.spawn(listen_pid="1")
        wait_for("READY=1", lambda: "1" in manager.heard("READY"))

        self.assertEqual(self.fsctl("export", "list").returncode, 0)
        self.assertNotIn("the service manager's socket", manager.log_text())

    # The log

    def test_lines_are_as_the_journal_wants_them(self):
        manager = self.manager()
        manager.start()
        self.create()
        manager.stop()

        lines = manager.log_text().splitlines()
        self.assertTrue(any(line.startswith("<6>version ") for line in lines), lines)
        self.assertTrue(any(line.startswith("<6>export web: ") for line in lines), lines)
        for line in lines:
            self.assertRegex(line, r"^<[3-7]>")
            self.assertNotRegex(line, r"\x1b|[0-9]{4}-[0-9]{2}-[0-9]{2}T")

    # The unit's confinement is the stand-in's as well: every test above has made an export's jail in it.

    def test_the_confinement_is_there(self):
        manager = self.manager()
        manager.start()
        with open(f"/proc/{manager.main.pid}/status", encoding="utf-8") as status:
            text = status.read()
        self.assertRegex(text, r"NoNewPrivs:\s1")
        bounding = int(re.search(r"CapBnd:\s([0-9a-f]+)", text)[1], 16)
        self.assertFalse(bounding & 1 << 16, "CAP_SYS_MODULE")
        self.assertTrue(bounding & 1 << 21, "CAP_SYS_ADMIN")

    def test_an_exports_jail_is_no_other_for_the_confinement(self):
        manager = self.manager()
        manager.start()
        self.create()

        # Without CAP_SYS_ADMIN it would be made in a user namespace, and have no host handles.
        for worker in manager.processes():
            self.assertEqual(os.readlink(f"/proc/{worker}/ns/user"), os.readlink("/proc/self/ns/user"))
        self.assertNotIn("UNAVAILABLE", self.fsctl("export", "get", "web").stdout)


class UnitFilesTest(unittest.TestCase):
    """What systemd's own tools say, in a root of their own."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="fsd-units-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.root)
        for name, place in (("fsd.service", "usr/lib/systemd/system"), ("fsd.socket", "usr/lib/systemd/system"),
                            ("fsd-reader.socket", "usr/lib/systemd/system"),
                            ("fsd.sysusers", "usr/lib/sysusers.d/fsd.conf"),
                            ("fsd.tmpfiles", "usr/lib/tmpfiles.d/fsd.conf")):
            target = os.path.join(self.root, place)
            os.makedirs(target if place.endswith("system") else os.path.dirname(target), exist_ok=True)
            shutil.copy(os.path.join(SYSTEMD, name), target)
        for name in os.listdir("/usr/lib/systemd/system"):
            if name.endswith(".target"):
                shutil.copy(os.path.join("/usr/lib/systemd/system", name),
                            os.path.join(self.root, "usr/lib/systemd/system"))
        os.makedirs(os.path.join(self.root, "usr/sbin"))
        shutil.copy("/bin/true", os.path.join(self.root, "usr/sbin/fsd"))
        os.makedirs(os.path.join(self.root, "usr/share/doc/fsd"))
        os.makedirs(os.path.join(self.root, "etc"))

    def run_tool(self, *command):
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=WAIT_SECONDS, check=False)

    def verify(self):
        done = self.run_tool("systemd-analyze", f"--root={self.root}", "--man=no", "verify", "fsd.service",
                             "fsd.socket", "fsd-reader.socket")
        # Of our units; the root has no more of the others than their names.
        return done.returncode, [line for line in done.stdout.splitlines() if "fsd" in line]

    def test_the_units_are_valid(self):
        self.assertEqual(self.verify(), (0, []))

    def test_a_unit_that_is_not_is_told(self):
        with open(os.path.join(self.root, "usr/lib/systemd/system/fsd.service"), "a", encoding="utf-8") as file:
            file.write("\n[Service]\nKillMode=sometimes\n")
        self.assertNotEqual(self.verify()[1], [])

    def test_the_groups_of_the_sockets_are_made(self):
        done = self.run_tool("systemd-sysusers", f"--root={self.root}")
        self.assertEqual(done.returncode, 0, done.stdout)
        with open(os.path.join(self.root, "etc/group"), encoding="utf-8") as file:
            groups = {line.split(":")[0] for line in file}
        self.assertLessEqual({unit("fsd.socket").get("Socket", "SocketGroup"),
                              unit("fsd-reader.socket").get("Socket", "SocketGroup")}, groups)

    def test_the_directories_are_made(self):
        done = self.run_tool("systemd-tmpfiles", f"--root={self.root}", "--create", "fsd.conf")
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual(stat.S_IMODE(os.stat(self.root + "/run/fsd").st_mode), 0o755)
        self.assertEqual(stat.S_IMODE(os.stat(self.root + "/var/lib/fsd").st_mode), 0o700)


if __name__ == "__main__":
    unittest.main(verbosity=2)
