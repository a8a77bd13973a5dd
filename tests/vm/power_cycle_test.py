#!/usr/bin/env python3
"""A guest powers off and the next attaches to the same socket; twenty times nothing grows."""
import os
import unittest

from guest import Guest
from service import Service, open_fds, process_tree, resident_kib, wait_for

CYCLES = 20
# A worker's memory may settle by some pages; it may not grow with the number of guests. The guests'
# own memory is mapped only while they are connected.
GROWTH_KIB = 512


class PowerCycle(unittest.TestCase):
    def test_the_next_guest_attaches_to_the_same_socket(self):
        with Service() as service:
            export = service.create("web")
            with Guest(share=(export.socket, "myfs")) as first:
                first.mount("myfs", "/mnt")
                first.run("echo first was here >/mnt/note")
                first.power_off()
            export.wait_state("LISTENING")
            worker = export.worker_pid()
            with Guest(share=(export.socket, "myfs")) as second:
                second.mount("myfs", "/mnt")
                self.assertEqual(second.run("cat /mnt/note"), "first was here")
                second.power_off()
            export.wait_state("LISTENING")
            self.assertEqual(export.worker_pid(), worker, "the same worker serves both")

    def test_twenty_cycles_leave_nothing_behind(self):
        with Service() as service:
            export = service.create("web")

            def cycle(number):
                with Guest(share=(export.socket, "myfs")) as guest:
                    guest.mount("myfs", "/mnt")
                    guest.run(f"echo {number} >/mnt/number && mkdir -p /mnt/d && ls -l /mnt >/dev/null")
                    # Alternately an orderly shutdown and a VMM that dies.
                    if number % 2 == 0:
                        guest.power_off()
                export.wait_state("LISTENING")
                self.assertEqual(export.read("number"), f"{number}\n".encode())

            def census():
                processes = process_tree(service.process.pid)
                # Without the supervisor's threads: gRPC's pool grows with calls that come at once.
                threads = sum(len(os.listdir(f"/proc/{pid}/task")) for pid in processes[1:])
                return {"processes": len(processes), "fds": sum(map(open_fds, processes)),
                        "threads": threads}

            for number in range(3):  # what is made once and kept
                cycle(number)
            before = census()
            memory_before = sum(map(resident_kib, process_tree(service.process.pid)))
            for number in range(3, 3 + CYCLES):
                cycle(number)
            wait_for(f"the census to return to {before}", lambda: census() == before)
            memory_after = sum(map(resident_kib, process_tree(service.process.pid)))
            print(f"before {before} {memory_before} KiB, after {census()} {memory_after} KiB", flush=True)
            self.assertLess(memory_after - memory_before, GROWTH_KIB)



if __name__ == "__main__":
    unittest.main(verbosity=2)
