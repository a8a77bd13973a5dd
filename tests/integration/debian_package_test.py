#!/usr/bin/env python3
"""fsd's package for Debian, installed, used, upgraded, removed and purged in a copy of this machine's own system:
an overlay over it, in a mount namespace, of which nothing is left."""
import os
import re
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from running_fsd import WAIT_SECONDS, wait_for

os.environ["PATH"] = "/usr/sbin:/usr/bin:/sbin:/bin"  # as dpkg wants it

PACKAGE = os.path.join(os.getcwd(), "deploy/fsd.deb")
# Path, mode, owner: all that is not a directory.
FILES = {
    "/etc/fsd/fsd.yaml": 0o644,
    "/usr/bin/fsctl": 0o755,
    "/usr/lib/systemd/system/fsd-reader.socket": 0o644,
    "/usr/lib/systemd/system/fsd.service": 0o644,
    "/usr/lib/systemd/system/fsd.socket": 0o644,
    "/usr/lib/sysusers.d/fsd.conf": 0o644,
    "/usr/lib/tmpfiles.d/fsd.conf": 0o644,
    "/usr/libexec/fsd-worker": 0o755,
    "/usr/sbin/fsd": 0o755,
    "/usr/share/doc/fsd/README.md": 0o644,
    "/usr/share/doc/fsd/changelog.gz": 0o644,
    "/usr/share/doc/fsd/copyright": 0o644,
    "/usr/share/doc/fsd/examples/fsd.yaml": 0o644,
    "/usr/share/fsd/grafana/fsd.json": 0o644,
    "/usr/share/fsd/prometheus/fsd.rules.yaml": 0o644,
}
# Those that a build may have or not.
EXTRA = re.compile(r"/usr/share/(man/man[1-8]/\S+\.gz|bash-completion/\S+|zsh/\S+|fish/\S+)")
# The copy's own /tmp and /run: nothing of this machine's, such as a service manager, is to be found there.
ENTER = """
set -e
mount -t tmpfs none "$1"
mkdir "$1"/upper "$1"/work "$1"/root
mount -t overlay -o lowerdir=/,upperdir="$1"/upper,workdir="$1"/work none "$1"/root
for directory in proc sys dev; do mount --rbind /$directory "$1"/root/$directory; done
for directory in tmp run; do mount -t tmpfs none "$1"/root/$directory; done
echo ready
exec sleep infinity
"""


class DebianPackageTest(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp(prefix="fsd-package-", dir="/tmp")
        self.addCleanup(os.rmdir, self.directory)
        self.holder = subprocess.Popen(["unshare", "--mount", "--propagation", "private", "bash", "-c", ENTER, "bash",
                                        self.directory], stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.leave)
        self.assertEqual(self.holder.stdout.readline(), "ready\n")
        self.root = f"/proc/{self.holder.pid}/root{self.directory}/root"
        with open(PACKAGE, "rb") as package, open(self.path("/tmp/fsd.deb"), "wb") as copy:
            copy.write(package.read())

    def leave(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()

    def path(self, inside):
        return self.root + inside

    def command(self, *command):
        return ["nsenter", f"--target={self.holder.pid}", "--mount", "chroot", self.directory + "/root", *command]

    def run_inside(self, *command, expected=0):
        done = subprocess.run(self.command(*command), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              stdin=subprocess.DEVNULL, timeout=4 * WAIT_SECONDS, check=False)
        self.assertEqual(done.returncode, expected, done.stdout)
        return done.stdout

    def install(self):
        return self.run_inside("dpkg", "--install", "/tmp/fsd.deb")

    def listed(self):
        return {path for path in self.run_inside("dpkg", "--listfiles", "fsd").splitlines()
                if not os.path.isdir(self.path(path))}

    def groups(self):
        with open(self.path("/etc/group"), encoding="utf-8") as file:
            return {line.split(":")[0] for line in file}

    def test_it_installs_what_it_says_and_nothing_else(self):
        self.install()

        listed = self.listed()
        self.assertEqual({path for path in listed if not EXTRA.fullmatch(path)}, set(FILES))
        for path, mode in FILES.items():
            found = os.stat(self.path(path))
            self.assertEqual((oct(found.st_mode & 0o7777), found.st_uid, found.st_gid), (oct(mode), 0, 0), path)
        self.assertEqual(self.run_inside("dpkg", "--verify", "fsd"), "")

    def test_its_groups_and_directories_are_made(self):
        self.assertNotIn("fsd", self.groups())
        self.install()

        self.assertLessEqual({"fsd", "fsd-reader"}, self.groups())
        self.assertEqual(os.stat(self.path("/var/lib/fsd")).st_mode & 0o7777, 0o700)
        self.assertEqual(os.stat(self.path("/run/fsd")).st_mode & 0o7777, 0o755)

    def test_what_is_installed_runs(self):
        self.install()

        self.assertRegex(self.run_inside("fsd", "--version"), r"^fsd \d+\.\d+\.\d+\n$")
        self.assertEqual(self.run_inside("fsd", "--check-config", "--config", "/etc/fsd/fsd.yaml"),
                         "the configuration is valid\n")
        os.makedirs(self.path("/srv/shares/web"))
        with open(self.path("/tmp/log"), "w", encoding="utf-8") as log:
            service = subprocess.Popen(self.command("fsd", "--config", "/etc/fsd/fsd.yaml"), stdout=log, stderr=log,
                                       stdin=subprocess.DEVNULL)
        try:
            wait_for("the API", lambda: os.path.exists(self.path("/run/fsd/fsd.sock")))
            self.run_inside("fsctl", "export", "create", "web", "--source", "/srv/shares/web", "--tag", "web")
            self.assertIn("LISTENING", self.run_inside("fsctl", "export", "list"))
        finally:
            service.terminate()
            status = service.wait(timeout=WAIT_SECONDS)
        with open(self.path("/tmp/log"), encoding="utf-8") as log:
            self.assertEqual(status, 0, log.read())

    def test_an_upgrade_keeps_what_the_administrator_has_changed(self):
        self.install()
        with open(self.path("/etc/fsd/fsd.yaml"), "a", encoding="utf-8") as file:
            file.write("# mine\n")

        self.install()

        with open(self.path("/etc/fsd/fsd.yaml"), encoding="utf-8") as file:
            self.assertTrue(file.read().endswith("# mine\n"))

    def test_removal_keeps_configuration_and_records_and_purge_does_not(self):
        self.install()
        with open(self.path("/var/lib/fsd/record"), "w", encoding="utf-8") as file:
            file.write("an export's")

        self.run_inside("dpkg", "--remove", "fsd")
        left = {path for path in FILES if os.path.exists(self.path(path))}
        self.assertEqual(left, {"/etc/fsd/fsd.yaml"})
        self.assertTrue(os.path.exists(self.path("/var/lib/fsd/record")))

        self.run_inside("dpkg", "--purge", "fsd")
        for path in ("/etc/fsd", "/var/lib/fsd", "/run/fsd", "/usr/share/doc/fsd", "/usr/share/fsd", "/usr/libexec/fsd-worker"):
            self.assertFalse(os.path.exists(self.path(path)), path)
        self.run_inside("dpkg-query", "--show", "fsd", expected=1)

    def test_this_machine_is_as_it_was(self):
        before = subprocess.run(["dpkg-query", "--show"], stdout=subprocess.PIPE, check=True).stdout
        self.install()
        self.assertIn("fsd\t", self.run_inside("dpkg-query", "--show"))

        after = subprocess.run(["dpkg-query", "--show"], stdout=subprocess.PIPE, check=True).stdout
        self.assertEqual(before, after)


if __name__ == "__main__":
    unittest.main(verbosity=2)
