#!/usr/bin/env python3
"""posix_check finds on a share what it finds on the host's directory, under every cache policy."""
import os
import re
import shutil
import subprocess
import unittest

from guest import Guest, HERE, NEW_KERNEL, OLD_KERNEL, share_device
from host_files import Images, in_own_mount_namespace
from service import Service, binary

CHECK_SECONDS = 1500
EVERYTHING = ("--xattr", "on", "--posix-acl", "auto", "--preserve-noatime")
LOCKS = ("--locks", "shared")
DIRECT = ("--direct-io",)

# What each kernel is tried with. Without --mmap, never and metadata have no shared mappings.
OLD_SHARES = {
    "auto": (*EVERYTHING, *LOCKS, *DIRECT),
    "never": (*EVERYTHING, *LOCKS, *DIRECT, "--cache", "never"),
}
NEW_SHARES = {
    "never": (*EVERYTHING, *LOCKS, "--cache", "never", "--mmap"),
    "auto": (*EVERYTHING, *LOCKS, *DIRECT, "--cache", "auto"),
    "metadata": (*EVERYTHING, *LOCKS, "--cache", "metadata", "--mmap"),
    "always": (*EVERYTHING, *LOCKS, "--cache", "always", "--negative-timeout", "1d",
               "--cache-symlinks"),
    "writeback": (*EVERYTHING, *LOCKS, *DIRECT, "--cache", "always", "--writeback"),
    "openless": ("--xattr", "on", "--posix-acl", "auto", "--cache", "always", "--zero-message-open"),
    "handles": (*EVERYTHING, "--host-handles", "always", "--max-inode-fds", "256"),
}


def expected_differences(kernel_name, share):
    """What expected_differences.tsv says of this guest, a line for each check: its name and why."""
    checks = subprocess.run([binary("tests/semantics/posix_check"), "--list", "/tmp"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout.splitlines()
    lines = []
    with open(os.path.join(HERE, "expected_differences.tsv"), encoding="utf-8") as table:
        for line in table:
            if line.startswith("#"):
                continue
            kernels, shares, pattern, reason = line.rstrip("\n").split("\t")
            if kernel_name in kernels.split() and (shares == "*" or share in shares.split()):
                meant = [check for check in checks if re.fullmatch(pattern, check)]
                if not meant:
                    raise ValueError(f"no check is called {pattern}")
                lines += [f"{check}\t{reason}\n" for check in meant]
    return "".join(lines)


class Semantics(unittest.TestCase):
    maxDiff = None

    def check(self, kernel, kernel_name, shares):
        with Images() as images, Service() as service:
            base = images.mount(service.share("base"), "ext4", 512)
            exports = {}
            for name, flags in shares.items():
                source = os.path.join(base, name)
                os.mkdir(source)
                places = images.add_posix_places(source)
                shutil.copy(binary("tests/semantics/posix_check"), source)
                with open(os.path.join(source, "expected"), "w", encoding="utf-8") as file:
                    file.write(expected_differences(kernel_name, name))
                exports[name] = service.create(name, name, source, *flags)
            devices = [argument for name, export in exports.items()
                       for argument in share_device(export.socket, name)]
            with Guest(arguments=devices, kernel=kernel, memory="768M") as guest:
                for name in shares:
                    guest.mount(name, f"/mnt/{name}")
                # All at once: a guest mostly waits for its requests to come back.
                for name in shares:
                    top = f"/mnt/{name}"
                    options = " ".join(f"{option} {top}/{place}" for option, place in places.items())
                    guest.run(f"cp {top}/posix_check /tmp/check-{name} && mkdir {top}/checked && "
                              f"cp {top}/expected /tmp/expected-{name}")
                    guest.run(f"(/tmp/check-{name} {top}/checked {options} --expect /tmp/expected-{name}; "
                              f"echo status=$?) >/tmp/output-{name} 2>&1 &")
                guest.run("wait", CHECK_SECONDS)
                for name, export in exports.items():
                    with self.subTest(share=name):
                        output = guest.run(f"tail -n 400 /tmp/output-{name}")
                        print(f"{kernel_name} {name}: {' '.join(output.splitlines()[-2:])}", flush=True)
                        self.assertTrue(output.endswith("status=0"), f"{kernel_name} {name}:\n{output}")
                        self.assertEqual(export.get()["status"].get("restarts", "0"), "0")
                guest.power_off()

    def test_older_kernel(self):
        self.check(OLD_KERNEL, "6.1", OLD_SHARES)

    def test_newer_kernel(self):
        self.check(NEW_KERNEL, "6.12", NEW_SHARES)


if __name__ == "__main__":
    in_own_mount_namespace()
    unittest.main(verbosity=2)
