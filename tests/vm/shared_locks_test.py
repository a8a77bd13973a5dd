#!/usr/bin/env python3
"""With shared locks two guests and a process of the host exclude each other; else they do not."""
import fcntl
import os
import shutil
import unittest

from guest import Guest
from service import Service
from running_fsd import binary  # found through service

KINDS = ("flock", "fcntl")


def take_on_host(kind, file):
    """Whether a process of the host gets the lock now; it is given back."""
    try:
        if kind == "flock":
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.flock(file, fcntl.LOCK_UN)
        else:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fcntl.lockf(file, fcntl.LOCK_UN)
    except BlockingIOError:
        return False
    return True


class SharedLocks(unittest.TestCase):
    def hold(self, guest, kind):
        """The guest takes the lock and keeps it."""
        guest.run(f"rm -f /tmp/held; /tmp/hold_lock {kind} /mnt/file "
                  "sh -c 'touch /tmp/held; exec sleep 100000' & "
                  "until [ -e /tmp/held ]; do usleep 10000; done")

    def let_go(self, guest):
        guest.run("killall sleep; wait; true")

    def takes(self, guest, kind):
        status, output = guest.try_run(f"/tmp/hold_lock {kind} /mnt/file true")
        self.assertIn(status, (0, 1), output)
        return status == 0

    def exclusion(self, flags):
        """Who gets a lock that the first guest holds, by kind: the other guest, the host."""
        with Service() as service:
            one = service.create("one", "one", None, *flags)
            two = service.create("two", "two", one.source, *flags)
            shutil.copy(binary("tests/vm/hold_lock"), one.source)
            found = {}
            with Guest(share=(one.socket, "one")) as left, Guest(share=(two.socket, "two")) as right, \
                    open(os.path.join(one.source, "file"), "w+b") as file:
                for guest, tag in ((left, "one"), (right, "two")):
                    guest.mount(tag, "/mnt")
                    guest.run("cp /mnt/hold_lock /tmp/")
                for kind in KINDS:
                    self.assertTrue(take_on_host(kind, file), kind)
                    self.hold(left, kind)
                    found[kind] = (self.takes(right, kind), take_on_host(kind, file))
                    self.let_go(left)
                    self.assertTrue(self.takes(right, kind), f"{kind} was not given back")
                    self.assertTrue(take_on_host(kind, file), f"{kind} was not given back to the host")

                if "shared" in flags:
                    # A guest that is gone holds nothing.
                    for kind in KINDS:
                        self.hold(left, kind)
                    left.kill()
                    one.wait_state("LISTENING")
                    for kind in KINDS:
                        self.assertTrue(self.takes(right, kind), f"{kind} outlived its guest")
            return found

    def test_shared_locks_exclude_guests_and_host(self):
        self.assertEqual(self.exclusion(("--locks", "shared")),
                         {"flock": (False, False), "fcntl": (False, False)})

    def test_without_them_each_guest_has_its_own(self):
        self.assertEqual(self.exclusion(()), {"flock": (True, True), "fcntl": (True, True)})


if __name__ == "__main__":
    unittest.main(verbosity=2)
