#!/usr/bin/env python3
"""A worker is killed: the supervisor serves the next connection, other exports are undisturbed. The
same when the VMM is killed at any moment."""
import os
import signal
import unittest

from guest import Guest
from service import Service, wait_for


class WorkerKilled(unittest.TestCase):
    def test_the_next_connection_is_served_and_the_neighbour_undisturbed(self):
        with Service() as service:
            victim = service.create("victim")
            neighbour = service.create("neighbour")
            victim.write("note", b"still here\n")
            neighbour.write("data", os.urandom(256 << 10))
            with Guest(share=(neighbour.socket, "myfs")) as bystander:
                bystander.mount("myfs", "/mnt")
                neighbour_worker = neighbour.worker_pid()
                with Guest(share=(victim.socket, "myfs")) as guest:
                    guest.mount("myfs", "/mnt")
                    killed = victim.worker_pid()
                    reading = "n=0; while [ ! -e /mnt/stop ]; do cat /mnt/data >/tmp/c && cmp /tmp/c /mnt/data || break; n=$((n+1)); done; echo rounds $n"
                    bystander.start(reading)
                    os.kill(killed, signal.SIGKILL)
                    wait_for("a new worker", lambda: victim.worker_pid() not in (0, killed))
                    victim.wait_state("LISTENING")
                with Guest(share=(victim.socket, "myfs")) as guest:
                    guest.mount("myfs", "/mnt")
                    self.assertEqual(guest.run("cat /mnt/note"), "still here")
                    self.assertEqual(int(victim.get()["status"]["restarts"]), 1)
                    guest.power_off()
                neighbour.write("stop", b"")
                status, output = bystander.finish(reading)
                self.assertEqual(status, 0)
                self.assertGreater(int(output.split()[-1]), 0)
                self.assertEqual(neighbour.worker_pid(), neighbour_worker)

    def test_a_killed_vmm_leaves_the_export_listening(self):
        with Service() as service:
            export = service.create("web")
            export.write("data", os.urandom(1 << 20))
            moments = ["", "mount -t virtiofs myfs /mnt",
                       "mount -t virtiofs myfs /mnt; while :; do cat /mnt/data >/dev/null; "
                       "echo 3 >/proc/sys/vm/drop_caches; done",
                       "mount -t virtiofs myfs /mnt; while :; do dd if=/dev/zero of=/mnt/out bs=1M "
                       "count=4 conv=fsync 2>/dev/null; done"]
            for moment in moments:
                with Guest(share=(export.socket, "myfs")) as guest:
                    guest.run("mkdir -p /mnt")
                    export.wait_state("CONNECTED")
                    if moment:
                        guest.start(moment)
                        export.wait_state("MOUNTED")
                    guest.kill()
                export.wait_state("LISTENING")
            self.assertEqual(int(export.get()["status"].get("restarts", 0)), 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
