#!/usr/bin/env python3
"""A Debian tree on a share, chrooted into: fio, stress-ng and dbench verify what they wrote.

fio and stress-ng are bounded by bytes and operations; dbench, which can only be bounded by time, does
whatever it gets done.
"""
import os
import shlex
import subprocess
import unittest

from guest import Guest, HERE, NEW_KERNEL, OLD_KERNEL
from service import Service

RUN_SECONDS = 600

# stress-ng's file stressors and how much each does. Left out are those that make thousands of names
# for one operation (link, symlink, chdir) and leases, which FUSE does not have.
STRESSORS = {
    "access": 50, "aio": 20, "chmod": 50, "chown": 50, "copy-file": 10, "dentry": 200, "dir": 200,
    "dirdeep": 50, "dup": 50, "fallocate": 10, "file-ioctl": 20, "filename": 50, "flock": 200,
    "fstat": 50, "getdent": 50, "hdd": 20, "iomix": 10, "locka": 100, "lockf": 100, "lockofd": 100,
    "mknod": 50, "msync": 20, "open": 50, "readahead": 5, "rename": 200, "revio": 50, "seek": 100,
    "sync-file": 10, "touch": 100, "utime": 100, "xattr": 10,
}


def debian_tree():
    made = subprocess.run([os.path.join(HERE, "debian_tree.sh")], check=True, stdout=subprocess.PIPE,
                          text=True)
    return made.stdout.strip().splitlines()[-1]


class Workloads(unittest.TestCase):
    def run_in_tree(self, guest, command):
        """Runs a command in the tree, as its root's shell would; it must succeed."""
        inner = shlex.quote("cd /work && " + command)
        return guest.run(f"chroot /mnt /bin/bash -o pipefail -c {inner}", RUN_SECONDS)

    def work(self, kernel, *flags, without=()):
        with Service() as service:
            source = service.share("tree")
            subprocess.run(["cp", "-a", debian_tree() + "/.", source], check=True)
            os.mkdir(os.path.join(source, "work"))
            export = service.create("tree", "tree", source, *flags)
            with Guest(share=(export.socket, "tree"), memory="1G", kernel=kernel) as guest:
                guest.mount("tree", "/mnt")
                guest.run("mount -t proc proc /mnt/proc && mount -t sysfs sys /mnt/sys && "
                          "mount -t devtmpfs dev /mnt/dev && mount -t tmpfs tmp /mnt/tmp")
                self.assertIn("12", self.run_in_tree(guest, "cat /etc/debian_version"))

                for name, more in (("buffered", "--ioengine=psync --numjobs=2 --fallocate=none"),
                                   ("direct", "--ioengine=libaio --iodepth=8 --direct=1"),
                                   ("mapped", "--ioengine=mmap --fsync=16")):
                    report = self.run_in_tree(
                        guest, f"fio --name={name} --rw=randrw --bs=4k --size=4M --verify=crc32c "
                        f"--do_verify=1 --verify_fatal=1 {more}")
                    self.assertIn(f"{name}: (groupid=0", report)
                    self.assertIn("err= 0", report)

                stressors = " ".join(f"--{name} 1 --{name}-ops {operations}"
                                     for name, operations in STRESSORS.items()
                                     if name not in without)
                report = self.run_in_tree(
                    guest, f"stress-ng --temp-path /work --verify {stressors} 2>&1 | "
                    "grep -v 'stress-ng: info'; exit ${PIPESTATUS[0]}")
                self.assertNotIn("fail:", report)

                report = self.run_in_tree(
                    guest, "dbench -D /work -t 8 2 | tail -n 3")
                self.assertIn("Throughput", report)
                guest.power_off()

    def test_cache_auto_on_the_older_kernel(self):
        self.work(OLD_KERNEL, "--xattr", "on")

    def test_cache_never_with_mappings_on_the_newer_kernel(self):
        self.work(NEW_KERNEL, "--xattr", "on", "--cache", "never", "--mmap")

    def test_writeback_on_the_newer_kernel(self):
        # Linux asks for holes without having written back what it holds, so the host's file may end
        # before the place asked for.
        self.work(NEW_KERNEL, "--xattr", "on", "--cache", "always", "--writeback",
                  without=("seek",))


if __name__ == "__main__":
    unittest.main(verbosity=2)
