#!/usr/bin/env python3
"""A guest mounts an export with QEMU's usual arguments, reads and writes; the host sees the same."""
import hashlib
import os
import unittest

from guest import Guest
from service import Service


class FirstMount(unittest.TestCase):
    def test_guest_and_host_see_the_same_files(self):
        with Service() as service:
            export = service.create("web", tag="myfs")
            export.write("from-host", b"written on the host\n")
            big = os.urandom(5 << 20)
            export.write("big", big)
            with Guest(share=(export.socket, "myfs")) as guest:
                guest.run("mkdir -p /mnt && mount -t virtiofs myfs /mnt")
                self.assertEqual(export.state(), "MOUNTED")

                self.assertEqual(guest.run("cat /mnt/from-host"), "written on the host")
                self.assertEqual(guest.run("sha256sum </mnt/big").split()[0],
                                 hashlib.sha256(big).hexdigest())

                guest.run("mkdir /mnt/dir && echo written in the guest >/mnt/dir/from-guest")
                self.assertEqual(export.read("dir/from-guest"), b"written in the guest\n")
                guest.run("dd if=/mnt/big of=/mnt/copy bs=64k 2>/dev/null && sync")
                self.assertEqual(export.read("copy"), big)

                guest.run("ln -s from-host /mnt/link && ln /mnt/copy /mnt/hard")
                self.assertEqual(os.readlink(os.path.join(export.source, "link")), "from-host")
                self.assertEqual(os.stat(os.path.join(export.source, "hard")).st_nlink, 2)
                guest.run("mv /mnt/hard /mnt/dir/moved && rm /mnt/copy /mnt/link")
                self.assertEqual(export.read("dir/moved"), big)
                self.assertEqual(sorted(guest.run("ls -A /mnt").split()),
                                 ["big", "dir", "from-host"])
                guest.run("chmod 640 /mnt/big && chown 7:8 /mnt/big && touch -d @12345 /mnt/big")
                info = os.stat(os.path.join(export.source, "big"))
                self.assertEqual((info.st_mode & 0o7777, info.st_uid, info.st_gid, info.st_mtime),
                                 (0o640, 7, 8, 12345))
                status, output = guest.try_run("cat /mnt/absent")
                self.assertNotEqual(status, 0)
                self.assertIn("No such file", output)

                # More entries than one READDIRPLUS holds.
                guest.run("mkdir /mnt/many; i=0; while [ $i -lt 2000 ]; do : >/mnt/many/f$i; i=$((i+1)); done")
                self.assertEqual(len(os.listdir(os.path.join(export.source, "many"))), 2000)
                self.assertEqual(guest.run("ls /mnt/many | wc -l"), "2000")

                guest.run("umount /mnt")
                export.wait_state("CONNECTED")
                guest.power_off()
            export.wait_state("LISTENING")

    def test_files_made_by_a_guest_user_belong_to_it(self):
        with Service() as service:
            export = service.create("web", tag="myfs")
            os.chmod(export.source, 0o777)
            with Guest(share=(export.socket, "myfs")) as guest:
                guest.mount("myfs", "/mnt")
                guest.run("echo 'u:x:1234:4321::/:/bin/sh' >>/etc/passwd || "
                          "{ mkdir -p /etc; echo 'u:x:1234:4321::/:/bin/sh' >/etc/passwd; }")
                guest.run("su u -c 'echo mine >/mnt/mine; mkdir /mnt/mydir'")
            for name in ("mine", "mydir"):
                info = os.stat(os.path.join(export.source, name))
                self.assertEqual((info.st_uid, info.st_gid), (1234, 4321))

    def test_a_read_only_export_refuses_to_be_written(self):
        with Service() as service:
            export = service.create("web", "myfs", None, "--read-only")
            export.write("file", b"kept\n")
            with Guest(share=(export.socket, "myfs")) as guest:
                guest.mount("myfs", "/mnt")
                for command in ("echo x >/mnt/file", "touch /mnt/new", "rm /mnt/file", "mkdir /mnt/d"):
                    status, output = guest.try_run(command)
                    self.assertNotEqual(status, 0, command)
                    self.assertIn("Read-only file system", output)
                self.assertEqual(guest.run("cat /mnt/file"), "kept")
            self.assertEqual(export.read("file"), b"kept\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
