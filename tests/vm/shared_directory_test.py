#!/usr/bin/env python3
"""Two guests on two exports of one directory see each other's files."""
import unittest

from guest import Guest
from service import Service


class SharedDirectory(unittest.TestCase):
    def test_two_guests_see_each_other(self):
        with Service() as service:
            one = service.create("one", "left")
            # No caching: what one guest does, the other sees at once.
            two = service.create("two", "right", one.source, "--cache", "never")
            with Guest(share=(one.socket, "left")) as left, \
                    Guest(share=(two.socket, "right")) as right:
                left.mount("left", "/mnt")
                right.mount("right", "/mnt")

                left.run("echo from left >/mnt/left && sync")
                self.assertEqual(right.run("cat /mnt/left"), "from left")

                right.run("mkdir /mnt/d && echo from right >/mnt/d/right && mv /mnt/left /mnt/d/")
                self.assertEqual(left.run("cat /mnt/d/right /mnt/d/left"), "from right\nfrom left")

                right.run("rm /mnt/d/right")
                status, _ = right.try_run("cat /mnt/d/right")
                self.assertNotEqual(status, 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
