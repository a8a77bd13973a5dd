#!/usr/bin/env python3
"""An export is created and hot-plugged into a running guest, unplugged and deleted, while another
guest keeps reading."""
import hashlib
import json
import os
import unittest

from guest import Guest
from service import Service

READER = ("n=0; while [ ! -e /mnt/stop ]; do s=$(sha256sum </mnt/data); "
          "[ \"$s\" = \"{expected}  -\" ] || {{ echo corrupt: $s; break; }}; n=$((n+1)); "
          "echo 3 >/proc/sys/vm/drop_caches; done; echo rounds $n")


class Hotplug(unittest.TestCase):
    def test_a_share_comes_and_goes_while_another_guest_reads(self):
        with Service() as service:
            steady = service.create("steady")
            data = os.urandom(1 << 20)
            steady.write("data", data)
            with Guest(share=(steady.socket, "myfs")) as reader, Guest(hotplug_ports=1) as guest:
                reader.mount("myfs", "/mnt")
                reading = READER.format(expected=hashlib.sha256(data).hexdigest())
                reader.start(reading)

                for round_number in range(3):
                    hot = service.create("hot", "hot")
                    device = guest.plug(json.loads(
                        service.fsctl("export", "args", "hot", "--for", "qmp", "-o", "json")))
                    guest.mount("hot", "/mnt")
                    guest.run(f"echo round {round_number} >/mnt/note")
                    self.assertEqual(hot.read("note"), f"round {round_number}\n".encode())

                    refused = service.try_fsctl("export", "delete", "hot")
                    self.assertEqual(refused.returncode, 8, refused.stderr)  # a condition for it is not met
                    self.assertIn("a front-end is connected", refused.stderr)

                    guest.run("umount /mnt")
                    guest.unplug(device)
                    hot.wait_state("LISTENING")
                    service.delete("hot")
                    self.assertFalse(os.path.exists(hot.socket))

                steady.write("stop", b"")
                status, output = reader.finish(reading)
                self.assertEqual(status, 0)
                self.assertNotIn("corrupt", output)
                self.assertGreater(int(output.split()[-1]), 0, "the reader read throughout")


if __name__ == "__main__":
    unittest.main(verbosity=2)
