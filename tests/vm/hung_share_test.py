#!/usr/bin/env python3
"""A guest over a share that hangs is stopped and continued by QMP; its data is right afterwards."""
import subprocess
import time
import unittest

from guest import Guest
from service import Service, binary

BYTES = 1 << 20
# QEMU holds its big lock meanwhile; here a loaded machine may need far longer than the drain's second.
STOP_SECONDS = 60


class HangingShare:
    """The tests' own FUSE file system, in a process of its own."""

    def __init__(self, directory):
        self._process = subprocess.Popen([binary("tests/vm/hanging_share"), directory],
                                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._expect("mounted")

    def _expect(self, wanted):
        answer = self._process.stdout.readline().strip()
        if wanted is not None and answer != wanted:
            raise RuntimeError(f"hanging_share said {answer!r}, not {wanted!r}")
        return answer

    def tell(self, command, wanted="ok"):
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._expect(wanted)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.stdin.close()
        try:
            self._process.wait(60)
        except subprocess.TimeoutExpired:  # a worker still holds it
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()


def stop_and_continue(guest):
    begun = time.monotonic()
    guest.qmp.call("stop")
    guest.qmp.call("cont")
    return time.monotonic() - begun


class HungShare(unittest.TestCase):
    def during_a_hang(self, guest, share, opcode, command, action):
        """Runs a command whose request hangs, and `action` meanwhile; the command's output."""
        guest.run("echo 3 >/proc/sys/vm/drop_caches")
        share.tell(f"hang {opcode}")
        guest.start(command)
        share.tell("await")
        action()
        share.tell("go")
        status, output = guest.finish(command)
        self.assertEqual(status, 0, output)
        return output

    def test_stop_and_continue_over_a_hung_share(self):
        with Service() as service:
            source = service.share("web")
            with HangingShare(source) as share:
                export = service.create("web", "myfs", source, "--cache", "never")
                with Guest(share=(export.socket, "myfs")) as guest:
                    guest.mount("myfs", "/mnt")

                    def pause():
                        self.assertLess(stop_and_continue(guest), STOP_SECONDS)

                    def stop_across_the_end():
                        guest.qmp.call("stop")
                        share.tell("go")
                        guest.qmp.call("cont")

                    expected = guest.run(f"head -c {BYTES} /dev/zero | tr '\\0' d | md5sum")
                    for action in (pause, stop_across_the_end):
                        with self.subTest(action=action.__name__):
                            self.assertEqual(self.during_a_hang(
                                guest, share, "READ", "md5sum </mnt/data", action), expected)
                            self.during_a_hang(
                                guest, share, "WRITE",
                                f"head -c {BYTES} /dev/zero | tr '\\0' w >/mnt/written", action)
                            self.assertEqual(share.tell("sum written", None),
                                             f"{BYTES} {BYTES * ord('w')}")
                            self.assertEqual(self.during_a_hang(
                                guest, share, "GETATTR", "stat -c %s /mnt/data", action), str(BYTES))
                    self.assertEqual(guest.run("ls -1 /mnt"), "data\nwritten")
                    guest.run("umount /mnt")
                self.assertEqual(int(export.get()["status"].get("restarts", 0)), 0)
                service.delete("web", "--force")


if __name__ == "__main__":
    unittest.main(verbosity=2)
