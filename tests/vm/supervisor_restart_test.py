#!/usr/bin/env python3
"""The supervisor is killed, and restarted, twenty times each under a guest that works: its share
neither fails nor stalls."""
import ctypes
import os
import unittest

from guest import Guest
from service import Service, open_fds, process_tree, wait_for

RESTARTS = 20
# In the guest's hundredths of a second. A round takes less than one; a supervisor that it waited for
# would stay away.
LONGEST_ROUND = 2000
PR_SET_CHILD_SUBREAPER = 36

# Files with checksums beside them, checked with nothing of them left in the guest's cache.
NOW = "$(cut -d' ' -f1 /proc/uptime | tr -d .)"
LOAD = (f"cd /mnt; n=0; longest=0; last={NOW}; while [ ! -e stop ]; do f=file$((n%5)); "
        "dd if=/dev/urandom of=/tmp/data bs=64k count=2 2>/dev/null; "
        "cp /tmp/data $f && md5sum $f >$f.sum && sync && echo 3 >/proc/sys/vm/drop_caches && "
        "md5sum -c -s $f.sum && cmp /tmp/data $f && ls -l >/dev/null || { echo broken; break; }; "
        f"now={NOW}; took=$((now-last)); last=$now; [ $took -le $longest ] || longest=$took; "
        "n=$((n+1)); done; cd /; echo rounds $n longest $longest")


class SupervisorRestart(unittest.TestCase):
    def test_a_working_guest_notices_no_restart(self):
        # Workers whose supervisor is gone are ours, and not the host's, to reap.
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        with Service() as service:
            export = service.create("web")

            def census():
                processes = process_tree(export.worker_pid())
                return {"worker": processes, "its fds": sum(map(open_fds, processes))}

            with Guest(share=(export.socket, "myfs")) as guest:
                guest.mount("myfs", "/mnt")
                guest.power_off()
            export.wait_state("LISTENING")
            before = census()
            with Guest(share=(export.socket, "myfs")) as guest:
                guest.mount("myfs", "/mnt")
                export.wait_state("MOUNTED")
                worker = export.worker_pid()
                connection = export.get()["status"]["connection"]["connectTime"]

                def check():
                    export.wait_state("MOUNTED")
                    status = export.get()["status"]
                    self.assertEqual(int(status["workerPid"]), worker)
                    self.assertEqual(status["connection"]["connectTime"], connection)
                    self.assertEqual(status.get("conditions", []), [])

                guest.start(LOAD)
                wait_for("the guest's work", lambda: os.path.exists(export.source + "/file4.sum"))
                for _ in range(RESTARTS):
                    service.process.kill()
                    service.process.wait()
                    service.start()
                    check()
                # The next to be stopped is to have been told.
                service.more_flags += ("--workers", "keep")
                service.process.kill()
                service.process.wait()
                service.start()
                for _ in range(RESTARTS):
                    self.assertEqual(service.stop(), 0)
                    service.start()
                    check()
                export.write("stop", b"")
                status, output = guest.finish(LOAD)
                self.assertEqual((status, "broken" in output), (0, False), output)
                _, rounds, _, longest = output.split()
                print(f"{rounds} rounds, the longest took {int(longest) / 100} s")
                self.assertGreater(int(rounds), 0)
                self.assertLess(int(longest), LONGEST_ROUND)

                guest.run("umount /mnt")
                guest.mount("myfs", "/mnt")
                guest.run("cd /mnt; for sum in *.sum; do md5sum -c -s $sum || exit 1; done")
                guest.power_off()
            export.wait_state("LISTENING")
            wait_for(f"the census to return to {before}", lambda: census() == before)

            service.delete("web")
            os.waitpid(worker, 0)
            self.assertEqual(process_tree(os.getpid())[1:], [service.process.pid])
            self.assertEqual(os.listdir(service.directory + "/run/control"), [])
            self.assertEqual(os.listdir(service.directory + "/run/exports"), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
