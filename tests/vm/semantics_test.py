#!/usr/bin/env python3
"""posix_check finds on a share what it finds on the host's directory, under every cache policy.

Areas of posix_check in which a policy has no say run on one share only, unless FSD_ALL_CHECKS is set:
then each share gets all of them, which takes three times as long.
"""
import concurrent.futures
import os
import re
import shutil
import subprocess
import time
import unittest

from guest import Guest, HERE, NEW_KERNEL, OLD_KERNEL, share_device
from host_files import Images, in_own_mount_namespace
from service import Service, binary

CHECK_SECONDS = 1500
GUESTS = 2
# A host that shares its mounts gives no guest device nodes without a cgroup, unless told to.
DEVICES = ("--add-cap", "CAP_MKNOD")
XATTRS = (*DEVICES, "--xattr", "on", "--posix-acl", "auto")
EVERYTHING = (*XATTRS, "--preserve-noatime")
# Long enough for a waiter in an emulated guest to be let on before it ends.
LOCKS = ("--locks", "shared", "--lock-wait", "5s")
DIRECT = ("--direct-io",)

WITHOUT_POLICY = {"names", "path", "permissions", "modes", "sticky", "owners", "links", "symlinks",
                  "inodeflags", "range_lock"}
WITH_ALL_AREAS = ("6.12", "auto")

# Without its place, a group of checks is not in the program's list.
PLACE_OPTIONS = ("--small-fs", "--quota-fs", "--read-only-fs", "--other-fs")

# What each kernel is tried with. Without --mmap, never and metadata have no shared mappings.
OLD_SHARES = {
    "auto": (*EVERYTHING, *LOCKS, *DIRECT),
    "never": (*EVERYTHING, *LOCKS, *DIRECT, "--cache", "never"),
}
# Alternately for two guests, which so take the same time.
NEW_SHARES = {
    "writeback": (*EVERYTHING, *LOCKS, *DIRECT, "--cache", "always", "--writeback"),
    "auto": (*EVERYTHING, *LOCKS, *DIRECT, "--cache", "auto"),
    "always": (*EVERYTHING, *LOCKS, "--cache", "always", "--negative-timeout", "1d",
               "--cache-symlinks"),
    "never": (*EVERYTHING, *LOCKS, "--cache", "never", "--mmap"),
    "openless": (*XATTRS, "--cache", "always", "--zero-message-open"),
    "metadata": (*EVERYTHING, *LOCKS, "--cache", "metadata", "--mmap"),
    "handles": (*EVERYTHING, "--host-handles", "always", "--max-inode-fds", "256"),
}


def check_names():
    places = [word for option in PLACE_OPTIONS for word in (option, "/tmp")]
    return subprocess.run([binary("tests/semantics/posix_check"), "--list", *places, "/tmp"],
                          check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()


def areas_for(kernel_name, share, names):
    areas = list(dict.fromkeys(name.split("/")[0] for name in names))
    if (kernel_name, share) == WITH_ALL_AREAS or os.environ.get("FSD_ALL_CHECKS"):
        return areas
    return [area for area in areas if area not in WITHOUT_POLICY]


def expected_differences(kernel_name, share, names):
    """What expected_differences.tsv says of this guest, a line for each check: its name and why."""
    lines = []
    with open(os.path.join(HERE, "expected_differences.tsv"), encoding="utf-8") as table:
        for line in table:
            if line.startswith("#"):
                continue
            kernels, shares, pattern, reason = line.rstrip("\n").split("\t")
            if kernel_name in kernels.split() and (shares == "*" or share in shares.split()):
                mark = "?" if pattern.startswith("?") else ""
                meant = [name for name in names if re.fullmatch(pattern.removeprefix("?"), name)]
                if not meant:
                    raise ValueError(f"no check is called {pattern}")
                lines += [f"{mark}{name}\t{reason}\n" for name in meant]
    return "".join(lines)


class Share:
    """One export to be checked, in a file system of its own."""

    def __init__(self, name, flags, kernel_name, service, images):
        self.name = name
        source = images.mount(service.share(name), "ext4", 512)
        self.places = images.add_posix_places(source)
        names = check_names()
        self.writeback = "--writeback" in flags
        self.areas = areas_for(kernel_name, name, names)
        shutil.copy(binary("tests/semantics/posix_check"), source)
        with open(os.path.join(source, "expected"), "w", encoding="utf-8") as file:
            file.write(expected_differences(kernel_name, name, names))
        self.export = service.create(name, name, source, *flags)

    def check_in(self, guest):
        """posix_check's output in the guest, and "status=" and its exit code at the end."""
        top = f"/mnt/{self.name}"
        guest.mount(self.name, top)
        # Under write-back times of change are the guest's clock's, and times of birth the host's: its
        # clock must not be behind. Without, it should be right: it is set as a second begins.
        second = int(time.time()) + 1
        time.sleep(second - time.time())
        guest.run(f"date -s @{second + (2 if self.writeback else 0)}")
        guest.run(f"cp {top}/posix_check {top}/expected /tmp && mkdir {top}/checked")
        options = [f"{option} {top}/{place}" for option, place in self.places.items()]
        options += [f"--only {area}" for area in self.areas]
        guest.run(f"/tmp/posix_check {top}/checked {' '.join(options)} --require-all "
                  "--expect /tmp/expected >/tmp/output; echo status=$? >>/tmp/output", CHECK_SECONDS)
        return guest.run("tail -n 400 /tmp/output")


class Semantics(unittest.TestCase):
    maxDiff = None

    def check(self, kernel, kernel_name, shares):
        with Images() as images, Service("--allow-capabilities", "CAP_MKNOD") as service:
            tried = [Share(name, flags, kernel_name, service, images)
                     for name, flags in shares.items()]

            def run(some):
                devices = [argument for share in some
                           for argument in share_device(share.export.socket, share.name)]
                with Guest(arguments=devices, kernel=kernel, memory="768M") as guest:
                    outputs = [share.check_in(guest) for share in some]
                    guest.power_off()
                return outputs

            halves = [tried[i::GUESTS] for i in range(GUESTS)]
            with concurrent.futures.ThreadPoolExecutor(GUESTS) as guests:
                results = list(guests.map(run, halves))
            for some, outputs in zip(halves, results):
                for share, output in zip(some, outputs):
                    with self.subTest(share=share.name):
                        summary = " ".join(output.splitlines()[-2:])
                        print(f"{kernel_name} {share.name}: {summary}", flush=True)
                        self.assertTrue(output.endswith("status=0"),
                                        f"{kernel_name} {share.name}:\n{output}")
                        self.assertEqual(share.export.get()["status"].get("restarts", "0"), "0")

    def test_older_kernel(self):
        self.check(OLD_KERNEL, "6.1", OLD_SHARES)

    def test_newer_kernel(self):
        self.check(NEW_KERNEL, "6.12", NEW_SHARES)


if __name__ == "__main__":
    in_own_mount_namespace()
    unittest.main(verbosity=2)
