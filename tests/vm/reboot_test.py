#!/usr/bin/env python3
"""A guest reboots; QEMU keeps its connection, the guest sends FUSE_INIT again and mounts."""
import unittest

from guest import Guest
from service import Service


class Reboot(unittest.TestCase):
    def test_a_rebooted_guest_mounts_again(self):
        with Service() as service:
            export = service.create("web")
            with Guest(share=(export.socket, "myfs")) as guest:
                guest.mount("myfs", "/mnt")
                guest.run("echo before >/mnt/note")
                for round_number in range(2):
                    # The mount and an open file are left behind, as in a crash.
                    guest.run("exec 5</mnt/note")
                    guest.reboot()
                    guest.mount("myfs", "/mnt")
                    self.assertEqual(guest.run("cat /mnt/note"), "before")
                    guest.run(f"echo {round_number} >/mnt/round")
                    self.assertEqual(export.read("round"), f"{round_number}\n".encode())
                guest.power_off()
            export.wait_state("LISTENING")


if __name__ == "__main__":
    unittest.main(verbosity=2)
