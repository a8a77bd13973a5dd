#!/usr/bin/env python3
"""A guest with four processors uses four request queues, each served by a thread of its own."""
import os
import shlex
import unittest

from guest import Guest, NEW_KERNEL, OLD_KERNEL
from service import Service, process_tree

QUEUES = 4
# Of the worker's threads those that serve rings.
RING_THREAD = "fsd-queue"
# Requests for names that do not exist: nothing of them is kept.
STAT = b"n=0; while [ $n -lt 500 ]; do n=$((n+1)); [ -e /mnt/absent$n ]; done; true\n"
WORK = b"mkdir /mnt/d$1; n=0; while [ $n -lt 100 ]; do n=$((n+1)); echo $n >/mnt/d$1/$n; done\n"


def wake_ups_by_thread(worker_pid):
    """How often each thread that serves a ring has gone to sleep."""
    counts = {}
    for pid in process_tree(worker_pid):
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/status", encoding="ascii") as status:
                fields = dict(line.split(":", 1) for line in status)
            if fields["Name"].strip() == RING_THREAD:
                counts[task] = int(fields["voluntary_ctxt_switches"])
    return counts


def arguments(service, export):
    """What `fsctl export args` prints for this export, as QEMU gets it."""
    return shlex.split(service.fsctl("export", "args", export.name, "--for", "qemu",
                                     "--memory", "256M"))


class Multiqueue(unittest.TestCase):
    def test_each_processor_has_a_queue_and_each_queue_a_thread(self):
        with Service() as service:
            export = service.create("web", "myfs", None, "--request-queues", str(QUEUES))
            with Guest(arguments=arguments(service, export), kernel=NEW_KERNEL,
                       processors=QUEUES) as guest:
                guest.mount("myfs", "/mnt")
                export.wait_state("MOUNTED")
                # The one of high priority too.
                self.assertEqual(export.get()["status"]["connection"]["queues"], str(1 + QUEUES))

                export.write("stat", STAT)
                used = set()
                for processor in range(QUEUES):
                    before = wake_ups_by_thread(export.worker_pid())
                    guest.run(f"taskset {1 << processor:x} sh /mnt/stat")
                    after = wake_ups_by_thread(export.worker_pid())
                    used.add(max(after, key=lambda task: after[task] - before.get(task, 0)))
                # On a busy host a ring may have gone to a spare thread meanwhile.
                self.assertGreaterEqual(len(used), QUEUES - 1)

                # All at once, on one file system.
                export.write("work", WORK)
                guest.run("for mask in 1 2 4 8; do taskset $mask sh /mnt/work $mask & done; wait; sync")
            for processor in (1, 2, 4, 8):
                directory = os.path.join(export.source, f"d{processor}")
                self.assertEqual(sorted(os.listdir(directory), key=int),
                                 [str(n) for n in range(1, 101)])
                with open(os.path.join(directory, "100"), encoding="ascii") as file:
                    self.assertEqual(file.read(), "100\n")

    def test_a_guest_that_knows_one_queue_is_served(self):
        with Service() as service:
            export = service.create("web", "myfs", None, "--request-queues", str(QUEUES))
            with Guest(arguments=arguments(service, export), kernel=OLD_KERNEL) as guest:
                guest.mount("myfs", "/mnt")
                guest.run("echo text >/mnt/file && sync")
            self.assertEqual(export.read("file"), b"text\n")


if __name__ == "__main__":
    unittest.main(verbosity=2)
