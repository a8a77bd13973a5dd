#!/usr/bin/env python3
"""What fsctl prints for programs, shells and virtual machine monitors; over a real fsd."""
import json
import os
import re
import subprocess
import sys
import unittest
import xml.etree.ElementTree

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from fsctl_case import NOT_FOUND, OK, UNAVAILABLE, USAGE, FsctlTestCase
from running_fsd import WAIT_SECONDS, binary


class FsctlOutputTest(FsctlTestCase):
    # -o

    def test_yaml_has_the_names_of_json(self):
        self.create("web", "--label", "zone=1")
        text = self.fsctl("export", "get", "web", "-o", "yaml")
        for line in ("name: exports/web", "  zone: \"1\"", "readOnly: false", "  state: LISTENING",
                     f"    path: {self.fsd.shares}/web"):
            self.assertIn(f"\n{line}\n", "\n" + text)
        self.assertIn("pid: ", self.fsctl("server", "info", "-o", "yaml"))
        self.assertTrue(self.fsctl("export", "list", "-o", "yaml").startswith("exports:\n  - name: "))

    def test_wide_lists_more(self):
        self.create("web", "--label", "tier=front", "--owner-system", "libvirt", "--owner-vm", "7",
                    "--memory-limit", "1G")
        heading, row = self.fsctl("export", "list", "-o", "wide").splitlines()
        for name in ("CACHE", "AGE", "WORKER", "RESTARTS", "OPEN", "INODES", "QOS", "OWNER", "LABELS",
                     "CONDITIONS"):
            self.assertIn(name, heading)
        self.assertEqual(row.split()[-3:], ["libvirt/7", "tier=front", "LIMITS_NOT_ENFORCED"])
        self.assertEqual(row.index("tier=front"), heading.index("LABELS"))

    def test_headings_can_be_left_out(self):
        self.assertEqual(self.fsctl("export", "list", "--no-headers"), "")
        self.create("web")
        self.assertEqual(len(self.fsctl("export", "list", "--no-headers").splitlines()), 1)

    def test_get_takes_several(self):
        self.create("a")
        self.create("b")
        self.assertEqual(self.fsctl("export", "get", "b", "a", "-o", "name"), "exports/b\nexports/a\n")
        done = self.run_fsctl("export", "get", "none", "a", "-o", "name")
        self.assertEqual((done.returncode, done.stdout), (NOT_FOUND, "exports/a\n"))

    # args

    def test_args_for_each_monitor(self):
        path = json.loads(self.create("web", "-o", "json", "--request-queues", "2"))["socket"]["path"]

        def args(vmm, *more):
            return self.fsctl("export", "args", "web", "--for", vmm, *more)

        commands = [json.loads(line) for line in args("qmp").splitlines()]
        self.assertEqual(commands, [
            {"execute": "chardev-add", "arguments": {"id": "fs-web", "backend": {
                "type": "socket", "data": {"addr": {"type": "unix", "data": {"path": path}},
                                           "server": False}}}},
            {"execute": "device_add", "arguments": {"driver": "vhost-user-fs-pci", "id": "fs-web",
                                                    "chardev": "fs-web", "tag": "myfs",
                                                    "num-request-queues": 2}}])
        self.assertEqual(json.loads(args("qmp", "-o", "json")), commands)

        domain = xml.etree.ElementTree.fromstring(f"<domain>{args('libvirt')}</domain>")
        filesystem = domain.find("devices/filesystem")
        self.assertEqual(filesystem.find("source").get("socket"), path)
        self.assertEqual(filesystem.find("target").get("dir"), "myfs")
        self.assertEqual(domain.find("memoryBacking/access").get("mode"), "shared")
        self.fails(USAGE, "export", "args", "web", "--for", "libvirt", "-o", "json")

        self.assertEqual(args("cloud-hypervisor", "--memory", "4G"),
                         f"--memory size=4G,shared=on --fs tag=myfs,socket={path},num_queues=2,"
                         "queue_size=1024\n")
        self.assertEqual(json.loads(args("cloud-hypervisor", "-o", "json"))[0], "--memory")

    # version

    def test_version_is_of_both(self):
        text = self.fsctl("version")
        self.assertRegex(text, r"^client \d[^\n]*\nserver \d[^\n]*\n$")
        self.assertEqual(set(json.loads(self.fsctl("version", "-o", "json"))), {"client", "server"})
        missing = f"unix://{self.fsd.directory}/none.sock"
        self.assertRegex(self.fsctl("version", "--client", server=missing), r"^client \d\S*\n$")
        done = self.run_fsctl("version", server=missing)
        self.assertEqual(done.returncode, UNAVAILABLE)
        self.assertRegex(done.stdout, r"^client \d\S*\n$")

    # completion

    def complete(self, *words):
        done = subprocess.run([binary("cli/fsctl"), "__complete", *words], stdout=subprocess.PIPE,
                              text=True, timeout=WAIT_SECONDS, check=False,
                              env={**os.environ, "FSCTL_SERVER": self.fsd.address})
        self.assertEqual(done.returncode, OK)
        return done.stdout.split()

    def test_completion_knows_commands_options_words_and_exports(self):
        self.create("web")
        self.create("db")
        self.assertEqual(self.complete("export", "dr"), ["drain"])
        self.assertEqual(self.complete("export", "delete", ""), ["db", "web"])
        self.assertEqual(self.complete("export", "delete", "db", "w"), ["web"])
        self.assertEqual(self.complete("export", "create", ""), [])
        self.assertEqual(self.complete("export", "update", "web", "--cache", "a"), ["auto", "always"])
        self.assertEqual(self.complete("export", "args", "web", "--for=q"), ["--for=qemu", "--for=qmp"])
        self.assertEqual(self.complete("server", "log-level", ""), ["debug", "info", "warning", "error"])
        self.assertIn("--attr-timeout", self.complete("export", "create", "--a"))
        self.assertEqual(self.complete("export", "list", "--out"), ["--output"])
        self.assertEqual(self.complete("--server", f"unix://{self.fsd.directory}/none.sock", "export",
                                       "get", ""), [])

    def test_bash_completes_with_the_script(self):
        self.create("web")
        script = self.fsctl("completion", "bash")
        directory = os.path.dirname(binary("cli/fsctl"))
        asked = (script + 'COMP_WORDS=(fsctl export get w); COMP_CWORD=3; _fsctl; '
                          'echo "${COMPREPLY[@]}"')
        done = subprocess.run(["bash", "-c", asked], stdout=subprocess.PIPE, text=True, check=True,
                              timeout=WAIT_SECONDS,
                              env={"PATH": directory + ":" + os.environ["PATH"],
                                   "FSCTL_SERVER": self.fsd.address})
        self.assertEqual(done.stdout, "web\n")
        for shell in ("zsh", "fish"):
            self.assertIn("fsctl __complete", self.fsctl("completion", shell))
        self.fails(USAGE, "completion", "tcsh")

    # help

    def test_each_command_has_help(self):
        def commands(*path):
            text = self.fsctl(*path, "--help")
            self.assertIn("Exit status: 0 ok", text if not path else self.fsctl("--help"))
            section = re.search(r"(?m)^Subcommands:\n((?:  .*\n?)+)", text)
            for line in (section.group(1) if section else "").splitlines():
                # A name that is too long for its column has its description on the next line.
                if re.match(r"  \S", line):
                    yield (*path, line.split()[0])
                    yield from commands(*path, line.split()[0])

        found = set(commands())
        for verb in ("create", "get", "list", "update", "delete", "apply", "watch", "drain", "resume",
                     "disconnect", "restart", "stats", "top", "inflight", "wait", "args"):
            self.assertIn(("export", verb), found)
        for path in (("server", "info"), ("server", "check"), ("server", "log-level"), ("completion",),
                     ("version",)):
            self.assertIn(path, found)


if __name__ == "__main__":
    unittest.main(verbosity=2)
