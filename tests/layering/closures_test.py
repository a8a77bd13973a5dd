#!/usr/bin/env python3
"""The two trust domains: what each binary's closure must and must not contain.

usage: closures_test.py WORKER_CLOSURE SUPERVISOR_CLOSURE   (lists of labels, one a line)
"""
import re
import sys
import unittest

WORKER_CLOSURE, SUPERVISOR_CLOSURE = sys.argv[1:3]

GUEST_PARSERS = r"^//server/(virtqueue|vhost_user|fuse|worker|sandbox)\b|^//backends\b"
CLIENT_PARSERS = r"^//server/(access|control|host|metrics|supervisor)\b|^//proto/fsd/v1\b|^//proto/google\b|^//cli\b"
GRPC = r"^@system//:(grpc\+\+|grpc\+\+_reflection|absl_synchronization|libcrypto|prometheus-cpp|yaml-cpp)$"


def labels(path):
    with open(path, encoding="utf-8") as file:
        return file.read().split()


def matching(path, pattern):
    return [label for label in labels(path) if re.search(pattern, label)]


class Closures(unittest.TestCase):
    def test_the_lists_are_of_the_right_binaries(self):
        self.assertTrue(matching(WORKER_CLOSURE, r"^//server/exe:worker_main\.cc$"))
        self.assertTrue(matching(WORKER_CLOSURE, r"^//server/fuse\b"))
        self.assertTrue(matching(SUPERVISOR_CLOSURE, r"^//server/exe:supervisor_main\.cc$"))
        self.assertTrue(matching(SUPERVISOR_CLOSURE, r"^@system//:grpc\+\+$"))

    def test_the_worker_links_no_grpc(self):
        self.assertEqual(matching(WORKER_CLOSURE, GRPC), [])

    def test_the_worker_parses_nothing_that_a_network_client_writes(self):
        self.assertEqual(matching(WORKER_CLOSURE, CLIENT_PARSERS), [])

    def test_the_worker_runs_on_the_lite_protobuf_runtime_only(self):
        self.assertEqual(matching(WORKER_CLOSURE, r"^@system//:protobuf"), ["@system//:protobuf_lite"])

    def test_the_supervisor_parses_nothing_that_a_guest_or_vmm_writes(self):
        self.assertEqual(matching(SUPERVISOR_CLOSURE, GUEST_PARSERS), [])

    def test_the_supervisor_runs_on_the_full_protobuf_runtime_only(self):
        self.assertEqual(matching(SUPERVISOR_CLOSURE, r"^@system//:protobuf_lite$"), [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
