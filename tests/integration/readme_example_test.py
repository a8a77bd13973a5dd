#!/usr/bin/env python3
"""The README's client of the API works, word for word but for the paths."""
import os
import re
import sys
import unittest

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from api_client import ApiTestCase, export_service_pb2 as messages

Kind = messages.WatchExportsResponse.Kind


class ReadmeExampleTest(ApiTestCase):
    def setUp(self):
        with open(os.path.join(os.getcwd(), "README.md"), encoding="utf-8") as file:
            examples = re.findall(r"^```python\n(.*?)^```$", file.read(), re.M | re.S)
        self.assertEqual(len(examples), 1)
        socket = "unix:///run/fsd/fsd.sock"
        self.assertEqual(examples[0].count(socket), 1)
        self.example = {}
        exec(compile(examples[0].replace(socket, self.fsd.address), "README.md", "exec"), self.example)

    def share(self, name="web"):
        return self.example["share"](name, self.fsd.share(name), "7")

    def test_sharing_can_be_repeated(self):
        path = self.share()
        self.assertTrue(os.path.exists(path))
        self.assertEqual(self.share(), path)

    def test_an_error_has_its_reason(self):
        self.share()
        with self.assertRaises(self.example["grpc"].RpcError) as raised:
            self.example["share"]("web", self.fsd.share("other"), "7")
        self.assertEqual(self.example["reason"](raised.exception), "EXPORT_EXISTS")

    def test_changes_go_on_when_the_server_is_started_again(self):
        self.share()
        self.create("of-another")
        changes = self.example["changes"]("7")
        kind, export = next(changes)
        self.assertEqual((kind, export.name), (Kind.Value("ADDED"), "exports/web"))
        self.share("db")
        self.assertEqual(next(changes)[1].name, "exports/db")
        self.fsd.stop()
        self.fsd.start()
        while True:  # what changed while the server stopped, then the snapshot
            kind, export = next(changes)
            self.assertNotEqual(export.name, "exports/of-another")
            if (kind, export.name) == (Kind.Value("ADDED"), "exports/web"):
                break

    def test_unsharing_waits_for_the_guest_and_can_be_repeated(self):
        self.share()
        front_end = self.connect(self.get("exports/web"))
        self.assertFalse(self.example["unshare"]("web", 0))
        front_end.close()
        for _ in range(2):
            self.assertTrue(self.example["unshare"]("web", 60))
        self.assertEqual(list(self.list()), [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
