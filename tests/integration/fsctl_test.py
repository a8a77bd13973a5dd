#!/usr/bin/env python3
"""fsctl over a real fsd: what every command prints and how it exits."""
import json
import os
import shlex
import socket
import stat
import subprocess
import sys
import unittest

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from fsctl_case import (CONFLICT, FAILURE, INVALID, NOT_FOUND, OK, PERMISSION, PRECONDITION,
                        UNAVAILABLE, USAGE, FsctlTestCase)
from running_fsd import binary, wait_for


class FsctlTest(FsctlTestCase):
    FSD_FLAGS = ("--weakest-sandbox", "chroot", "--weakest-seccomp", "log",
                 "--allow-capabilities", "CAP_LINUX_IMMUTABLE", "--allow-capabilities", "CAP_SYS_RESOURCE",
                 "--allow-socket-uid", "0-999", "--allow-socket-gid", "0-999")

    # create and get

    def test_create_prints_the_export(self):
        text = self.create("web")
        self.assertRegex(text, r"(?m)^Name: +exports/web$")
        self.assertRegex(text, r"(?m)^State: +LISTENING$")
        self.assertRegex(text, rf"(?m)^Source: +{self.fsd.shares}/web$")
        self.assertRegex(text, r"(?m)^Cache: +auto$")
        self.assertEqual(self.fsctl("export", "get", "web"), text)
        self.assertEqual(self.fsctl("export", "get", "exports/web"), text)
        self.assertEqual(self.fsctl("export", "get", "web", "-o", "name"), "exports/web\n")

    def test_every_option_of_create_reaches_the_server(self):
        made = json.loads(self.create(
            "web", "-o", "json", "--socket", f"{self.fsd.sockets}/web.sock", "--socket-uid", "1",
            "--socket-gid", "2", "--socket-mode", "0660", "--advertise-tag", "--cache", "metadata",
            "--read-only", "--label", "a=1", "--label", "b=x=y", "--owner-system", "test",
            "--owner-vm", "vm-7"))
        self.assertEqual(made["socket"], {"path": f"{self.fsd.sockets}/web.sock", "uid": 1, "gid": 2,
                                          "mode": 0o660})
        self.assertEqual((made["advertiseTag"], made["readOnly"], made["cache"]["policy"]),
                         (True, True, "METADATA"))
        self.assertEqual(made["labels"], {"a": "1", "b": "x=y"})
        self.assertEqual(made["owner"], {"system": "test", "vmId": "vm-7"})
        self.assertEqual(json.loads(self.fsctl("-o", "json", "export", "get", "web")), made)
        status = os.stat(made["socket"]["path"])
        self.assertEqual((status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)), (1, 2, 0o660))

    def test_every_guest_visible_option_reaches_the_server_and_outlives_it(self):
        made = json.loads(self.create(
            "web", "-o", "json", "--cache", "always", "--attr-timeout", "1.5s", "--entry-timeout", "1d",
            "--negative-timeout", "250ms", "--writeback", "--direct-io", "--mmap",
            "--readdirplus", "always", "--cache-symlinks", "--xattr", "on",
            "--xattrmap", ":bad:client:user.secret.:: /map/trusted./user.vm./",
            "--posix-acl", "auto", "--security-label", "auto", "--killpriv", "never", "--no-submounts",
            "--locks", "shared", "--lock-wait", "2m", "--preserve-noatime",
            "--translate-uid", "map:0:100000:1000", "--translate-uid", "forbid-guest:1000:64536",
            "--translate-gid", "squash-guest:0:7:4294967295",
            "--host-handles", "prefer", "--max-inode-fds", "1000", "--request-queues", "4", "--poll-us", "50"))
        self.assertEqual(made["cache"], {
            "policy": "ALWAYS", "attrTimeout": "1.500s", "entryTimeout": "86400s",
            "negativeTimeout": "0.250s", "writeback": True, "directIo": True, "mmap": True,
            "readdirplus": "READDIRPLUS_ALWAYS", "symlinks": True, "zeroMessageOpen": False})
        self.assertEqual(made["semantics"], {
            "xattr": True, "xattrRules": [
                {"type": "BAD", "scope": "CLIENT", "key": "user.secret.", "prepend": ""},
                {"type": "MAP", "scope": "SCOPE_UNSPECIFIED", "key": "trusted.", "prepend": "user.vm."}],
            "posixAcl": "USE_AUTO", "securityLabel": "USE_AUTO", "killpriv": "USE_NEVER",
            "submounts": False, "locks": "SHARED", "lockWait": "120s", "preserveNoatime": True})
        self.assertEqual([(t["kind"], t["guestFirst"], t["hostFirst"], t["count"])
                          for t in made["ids"]["uidTranslations"] + made["ids"]["gidTranslations"]],
                         [("MAP", 0, 100000, "1000"), ("FORBID_GUEST", 1000, 0, "64536"),
                          ("SQUASH_GUEST", 0, 7, "4294967295")])
        self.assertEqual(made["inodes"], {"hostHandles": "PREFER", "maxFileDescriptors": "1000"})
        self.assertEqual(made["transport"], {"requestQueues": 4, "maxQueueSize": 0, "pollUs": 50})

        text = self.fsctl("export", "get", "web")
        for line in ("Attr timeout: +1500ms", "Entry timeout: +1d", "Direct io: +yes", "Xattr: +on",
                     "Xattr map: +:bad:client:user.secret.:: :map:trusted.:user.vm.:",
                     "Submounts: +no", "Lock wait: +2m", "Max inode fds: +1000",
                     "Translate uid: +map:0:100000:1000, forbid-guest:1000:64536"):
            self.assertRegex(text, rf"(?m)^{line}$")

        self.assertEqual(self.fsd.stop(), 0)
        self.fsd.start()
        again = json.loads(self.fsctl("export", "get", "web", "-o", "json"))
        for field in ("uid", "etag", "cache", "semantics", "ids", "inodes"):
            self.assertEqual(again[field], made[field], field)

    def test_options_that_exclude_those(self):
        made = json.loads(self.create(
            "web", "-o", "json", "--validate-only", "--cache", "always", "--zero-message-open",
            "--uid-mount", "0:100000:65536", "--gid-mount", "0:200000:1000",
            "--gid-mount", "1000:300000:1"))
        self.assertTrue(made["cache"]["zeroMessageOpen"])
        self.assertEqual(made["ids"]["uidMount"],
                         [{"insideFirst": 0, "outsideFirst": 100000, "count": "65536"}])
        self.assertEqual([r["outsideFirst"] for r in made["ids"]["gidMount"]], [200000, 300000])

    def test_every_option_of_the_jail_reaches_the_server(self):
        # Checked only: whether this host can make that jail is another matter.
        arguments = (
            "--validate-only", "--sandbox", "namespace", "--seccomp", "errno",
            "--add-cap", "CAP_SYS_RESOURCE", "--add-cap", "CAP_LINUX_IMMUTABLE", "--drop-cap", "CAP_MKNOD",
            "--memory-limit", "512M", "--open-files-limit", "4096", "--threads-limit", "64",
            "--cpu-limit", "0.5", "--io-read-bps", "10M", "--io-write-bps", "1000000",
            "--io-read-iops", "100", "--io-write-iops", "200",
            "--uid-namespace", "0:100000:65536", "--gid-namespace", "0:200000:1000",
            "--gid-namespace", "1000:300000:1")
        made = json.loads(self.create("web", "-o", "json", *arguments))
        self.assertEqual(made["sandbox"], {
            "mode": "NAMESPACE", "seccomp": "ERRNO",
            "addCapabilities": ["CAP_LINUX_IMMUTABLE", "CAP_SYS_RESOURCE"],
            "dropCapabilities": ["CAP_MKNOD"],
            "limits": {"memoryBytes": "536870912", "openFiles": "4096", "threads": "64",
                       "cpuMicrosecondsPerSecond": "500000", "ioReadBytesPerSecond": "10485760",
                       "ioWriteBytesPerSecond": "1000000", "ioReadOperationsPerSecond": "100",
                       "ioWriteOperationsPerSecond": "200"}})
        self.assertEqual(made["ids"]["uidNamespace"],
                         [{"insideFirst": 0, "outsideFirst": 100000, "count": "65536"}])
        self.assertEqual([r["outsideFirst"] for r in made["ids"]["gidNamespace"]], [200000, 300000])
        text = self.create("web", *arguments)
        for line in ("Sandbox: +namespace", "Seccomp: +errno",
                     "Add cap: +CAP_LINUX_IMMUTABLE, CAP_SYS_RESOURCE", "Memory limit: +512M",
                     "Cpu limit: +0.5", "Io read bps: +10M", "Uid namespace: +0:100000:65536"):
            self.assertRegex(text, rf"(?m)^{line}$")

    def test_limits_that_this_server_cannot_enforce_are_a_condition(self):
        text = self.create("web", "--memory-limit", "1G", "--threads-limit", "100")
        self.assertRegex(text, r"(?m)^State: +LISTENING$")
        self.assertRegex(text, r"(?m)^Condition: +LIMITS_NOT_ENFORCED since .*memory_bytes: the server has "
                               r"no cgroup to divide.*threads: ")
        self.assertEqual(self.fsctl("export", "get", "web"), text)

    def test_what_the_server_does_not_allow_of_the_jail_is_refused_with_what_it_does(self):
        create = ("export", "create", "web", "--source", self.fsd.share("web"), "--tag", "t")
        for arguments, expected in (
                (("--sandbox", "none"), "sandbox none: the weakest that is allowed is chroot"),
                (("--seccomp", "off"), "seccomp off: the weakest that is allowed is log"),
                (("--add-cap", "CAP_SYS_ADMIN"), "capability CAP_SYS_ADMIN: exports may add only "
                                                 "CAP_LINUX_IMMUTABLE, CAP_SYS_RESOURCE"),
                (("--socket-uid", "1000"), "the socket's user 1000: not among those allowed (0-999)"),
                (("--socket-gid", "1000"), "the socket's group 1000: not among those allowed (0-999)")):
            text = self.fails(PERMISSION, *create, *arguments)
            self.assertIn(expected, text)
            self.assertIn("\nhint: 'fsctl server info' shows", text)

    def test_options_left_out_are_left_to_the_server(self):
        made = json.loads(self.create("web", "-o", "json"))
        self.assertEqual(made["cache"]["policy"], "AUTO")
        for field in ("semantics", "ids", "inodes", "sandbox"):
            self.assertNotIn(field, made)

    def test_create_takes_a_source_as_the_shell_completes_it(self):
        source = self.fsd.share("web")
        done = subprocess.run([binary("cli/fsctl"), "--server", self.fsd.address, "export", "create",
                               "web", "--source", "web/", "--tag", "t", "-o", "json"],
                              cwd=self.fsd.shares, stdout=subprocess.PIPE, timeout=60, check=True)
        self.assertEqual(json.loads(done.stdout)["source"]["passthrough"]["path"], source)

    def test_validate_only_creates_nothing(self):
        self.assertIn("exports/web", self.create("web", "--validate-only"))
        self.assertEqual(self.fsctl("export", "list", "-o", "name"), "")

    # list

    def test_list_is_a_table_names_or_json(self):
        self.assertEqual(self.fsctl("export", "list"), "NAME  STATE  TAG  SOURCE  SOCKET\n")
        self.create("a")
        self.create("b")
        lines = self.fsctl("export", "list").splitlines()
        self.assertEqual(lines[1].split()[:4], ["exports/a", "LISTENING", "myfs", f"{self.fsd.shares}/a"])
        self.assertEqual(len(lines), 3)
        self.assertEqual(lines[0].index("STATE"), lines[1].index("LISTENING"))
        self.assertEqual(self.fsctl("export", "list", "-o", "name"), "exports/a\nexports/b\n")
        listed = json.loads(self.fsctl("export", "list", "-o", "json"))
        self.assertEqual([e["name"] for e in listed["exports"]], ["exports/a", "exports/b"])

    # delete

    def test_delete(self):
        self.create("a")
        self.create("b")
        self.assertEqual(self.fsctl("export", "delete", "a"), "deleted exports/a\n")
        self.assertEqual(self.fsctl("export", "delete", "b", "-o", "name"), "exports/b\n")
        self.assertIn("fsctl export list", self.fails(NOT_FOUND, "export", "delete", "a"))
        self.fsctl("export", "delete", "a", "--allow-missing")

    def test_an_export_in_use_needs_force(self):
        made = json.loads(self.create("web", "-o", "json"))
        with socket.socket(socket.AF_UNIX) as front_end:
            front_end.connect(made["socket"]["path"])
            wait_for("the connection to be seen",
                     lambda: "CONNECTED" in self.fsctl("export", "list"))
            self.assertIn("--force", self.fails(PRECONDITION, "export", "delete", "web"))
            self.fsctl("export", "delete", "web", "--force")

    def test_delete_compares_the_etag(self):
        etag = json.loads(self.create("web", "-o", "json"))["etag"]
        self.fails(CONFLICT, "export", "delete", "web", "--etag", '"stale"')
        self.fsctl("export", "delete", "web", "--etag", etag)

    # args

    def test_args_are_what_qemu_takes(self):
        path = json.loads(self.create("web", "-o", "json"))["socket"]["path"]
        expected = ["-chardev", f"socket,id=char0,path={path}",
                    "-device", "vhost-user-fs-pci,chardev=char0,tag=myfs",
                    "-object", "memory-backend-memfd,id=mem,size=4G,share=on",
                    "-numa", "node,memdev=mem"]
        arguments = ("export", "args", "web", "--for", "qemu", "--memory", "4G")
        self.assertEqual(self.fsctl(*arguments), " ".join(expected) + "\n")
        self.assertEqual(json.loads(self.fsctl(*arguments, "-o", "json")), expected)

    def test_args_survive_the_shell(self):
        self.fsctl("export", "create", "web", "--source", self.fsd.share("web"), "--tag", "it's $HOME, ok")
        words = shlex.split(self.fsctl("export", "args", "web", "--for", "qemu"))
        self.assertEqual(words[3], "vhost-user-fs-pci,chardev=char0,tag=it's $HOME,, ok")

    # server

    def test_server_info(self):
        text = self.fsctl("server", "info")
        self.assertRegex(text, rf"(?m)^Server: +{self.fsd.address}$")
        self.assertRegex(text, rf"(?m)^Allowed sources: +{self.fsd.shares}$")
        for line in ("Socket users: +0-999", "Weakest sandbox: +chroot", "Weakest seccomp: +log",
                     "Addable caps: +CAP_LINUX_IMMUTABLE, CAP_SYS_RESOURCE", "Cgroup: +none"):
            self.assertRegex(text, rf"(?m)^{line}$")
        info = json.loads(self.fsctl("server", "info", "-o", "json"))
        self.assertEqual(info["pid"], self.fsd.process.pid)
        self.assertEqual(self.fsctl("server", "info", "-o", "name"), self.fsd.address + "\n")

    # failures

    def test_wrong_usage_is_2(self):
        create = ("export", "create", "a", "--source", "/s", "--tag", "t")
        for arguments in ([], ["export"], ["export", "create"], ["export", "get"], ["frobnicate"],
                          ["export", "list", "-o", "xml"],
                          ["export", "list", "-o", "1"], ["export", "list", "stray"],
                          [*create, "--cache", "often"],
                          [*create, "--label", "novalue"],
                          [*create, "--socket-mode", "99"],
                          [*create, "--attr-timeout", "1"], [*create, "--lock-wait", "-1s"],
                          [*create, "--posix-acl", "on"], [*create, "--xattr"],
                          [*create, "--xattrmap", ":ok:"], [*create, "--max-inode-fds", "-1"],
                          [*create, "--socket-uid", "0x1"],
                          [*create, "--translate-uid", "map:0:1"], [*create, "--uid-mount", "0:1"],
                          [*create, "--host-handles", "yes"],
                          [*create, "--sandbox", "off"], [*create, "--seccomp", "none"],
                          [*create, "--memory-limit", "1.5G"], [*create, "--cpu-limit", "50%"],
                          [*create, "--threads-limit", "-1"], [*create, "--uid-namespace", "0:1"],
                          ["export", "args", "a", "--for", "vmware"],
                          ["export", "args", "a", "--for", "qemu", "--memory", "4G,share=off"]):
            self.assertRegex(self.fails(USAGE, *arguments), r"^fsctl: .+\nhint: ", arguments)
        self.fails(USAGE, "export", "list", server="localhost:50051")

    def test_usage_errors_say_what_would_be_right(self):
        create = ("export", "create", "a", "--source", "/s", "--tag", "t")
        for arguments, expected in (
                (("--attr-timeout", "1"), "--attr-timeout: '1' is no duration such as 250ms"),
                (("--xattrmap", ":ok:all:::\n:bad:some:a::"),
                 "--xattrmap: at character 17, in rule 2: expected client, server or all, not 'some'"),
                (("--translate-gid", "squash:0:1:2"), "'squash:0:1:2' is not of the form map:"),
                (("--memory-limit", "512MB"), "--memory-limit: '512MB' is no amount such as 65536, 512M"),
                (("--cpu-limit", ".5"), "--cpu-limit: '.5' is no amount such as 0.5 or 2"),
                (("--gid-mount", "0-1"), "--gid-mount: '0-1' is not of the form INSIDE:OUTSIDE:COUNT")):
            self.assertIn(expected, self.fails(USAGE, *create, *arguments))

    def test_options_that_contradict_each_other_are_named(self):
        text = self.fails(INVALID, "export", "create", "web", "--source", self.fsd.share("web"),
                          "--tag", "t", "--cache", "never", "--writeback", "--posix-acl", "auto",
                          "--lock-wait", "1s", "--translate-uid", "map:0:0:2",
                          "--translate-uid", "forbid-guest:1:1", "--max-inode-fds", "3",
                          "--sandbox", "chroot", "--uid-namespace", "0:0:1", "--gid-namespace", "0:0:1",
                          "--add-cap", "CAP_FLY", "--threads-limit", "1")
        for field in ("ids.uid_namespace", "sandbox.add_capabilities[0]", "sandbox.limits.threads",
                      "cache.writeback", "semantics.posix_acl", "semantics.lock_wait",
                      "ids.uid_translations[1].guest_first", "inodes.max_file_descriptors"):
            self.assertIn(f"\n  export.{field}: ", text)

    def test_the_help_of_create_has_groups(self):
        text = self.fsctl("export", "create", "--help")
        for group in ("Socket", "Caching", "Semantics", "User and group ids", "Inodes",
                      "Sandbox", "Labels and owner"):
            self.assertRegex(text, rf"(?m)^{group}:$")

    def test_every_bad_field_has_a_line(self):
        text = self.fails(INVALID, "export", "create", "Web", "--source", self.fsd.shares,
                          "--tag", "t" * 37)
        lines = text.splitlines()
        self.assertEqual(lines[0], "fsctl: cannot create exports/Web: the request is not valid")
        self.assertTrue(lines[1].startswith("  export_id: "), text)
        self.assertTrue(lines[2].startswith("  export.tag: "), text)

    def test_what_is_not_there_is_3(self):
        self.fails(NOT_FOUND, "export", "get", "none")
        self.fails(NOT_FOUND, "export", "args", "none", "--for", "qemu")

    def test_a_conflict_is_4(self):
        self.create("web")
        text = self.fails(CONFLICT, "export", "create", "web", "--source", self.fsd.share("web"),
                          "--tag", "other")
        self.assertIn("hint:", text)

    def test_what_is_not_allowed_is_6(self):
        text = self.fails(PERMISSION, "export", "create", "web", "--source", "/etc", "--tag", "t")
        self.assertIn("--allow-source", text)

    def test_an_unreachable_server_is_7_and_says_which_and_what_to_do(self):
        missing = f"unix://{self.fsd.directory}/none.sock"
        text = self.fails(UNAVAILABLE, "export", "list", server=missing)
        self.assertIn(f"cannot reach the server at {missing}", text)
        self.assertIn(f"fsd --listen {missing}", text)
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(f"{self.fsd.directory}/dead.sock")
        self.assertIn("nobody listens", self.fails(UNAVAILABLE, "export", "list",
                                                   server=f"unix://{self.fsd.directory}/dead.sock"))

    def test_the_servers_address_may_come_from_the_environment(self):
        def with_server(address):
            return subprocess.run([binary("cli/fsctl"), "export", "list"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, timeout=60,
                                  env={**os.environ, "FSCTL_SERVER": address})

        self.assertEqual(with_server(self.fsd.address).returncode, OK)
        self.assertEqual(with_server("unix:///nowhere.sock").returncode, UNAVAILABLE)

    def test_output_that_cannot_be_written_is_1(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = self.run_fsctl("server", "info", stdout=full)
        self.assertEqual(done.returncode, FAILURE)
        self.assertIn("cannot write", done.stderr)

    def test_help_names_the_exit_statuses(self):
        self.assertIn("7 server unavailable", self.fsctl("--help"))
        self.assertRegex(self.fsctl("--version"), r"^fsctl \d")


if __name__ == "__main__":
    unittest.main(verbosity=2)
