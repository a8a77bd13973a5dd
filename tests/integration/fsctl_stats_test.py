#!/usr/bin/env python3
"""fsctl where it shows counters and checks, over a server made for the test: what it answers is known
to the digit, and another such server answers that it has no such calls."""
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from concurrent import futures

import grpc

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from api_client import export_pb2, export_service_pb2, export_service_pb2_grpc, server_service_pb2
from api_client import server_service_pb2_grpc
from fsctl_case import NOT_SERVED, OK, PRECONDITION, USAGE, Terminal
from running_fsd import WAIT_SECONDS, binary
from fsd.v1 import export_stats_pb2  # pylint: disable=wrong-import-order

HostCheck = server_service_pb2.HostCheck


class OldExports(export_service_pb2_grpc.ExportServiceServicer):
    """Lists two exports; has no other call."""

    def ListExports(self, request, context):
        status = {"state": "MOUNTED"}
        return export_service_pb2.ListExportsResponse(exports=[
            export_pb2.Export(name=f"exports/{name}", uid=name, status=status) for name in ("idle", "web")])


class Exports(OldExports):
    """With counters: each reading is a second after the one before."""

    def __init__(self):
        self.readings = {}

    def GetExportStats(self, request, context):
        seconds = self.readings[request.name] = self.readings.get(request.name, 0) + 1
        busy = seconds if request.name == "exports/web" else 0
        read = export_stats_pb2.OpcodeStats(
            opcode=15, name="READ", requests=1500 * busy,
            errors=[{"errno_value": 5, "name": "EIO", "requests": 15 * busy}],
            latency={"sum_nanoseconds": 1500 * busy * 20000,
                     "buckets": [{"upper_bound_nanoseconds": 16000, "requests": 1000 * busy},
                                 {"upper_bound_nanoseconds": 32000, "requests": 500 * busy}]})
        return export_stats_pb2.ExportStats(
            name=request.name, uid=request.name, time={"seconds": 1000 + seconds}, since={"seconds": 1},
            opcodes=[read], bytes_read=3 * 1024 * 1024 * busy, inflight_requests=2, open_files=3,
            inodes=4, slow_request_threshold={"seconds": 1})

    def ListInflightRequests(self, request, context):
        requests = [{"queue": 1, "unique": 10 + i, "nodeid": 7, "opcode": 15, "opcode_name": "READ",
                     "age": {"nanos": 250000000}} for i in range(5)]
        size = request.page_size or 100
        return export_service_pb2.ListInflightRequestsResponse(requests=requests[:size],
                                                               total_requests=len(requests))


class Host(server_service_pb2_grpc.ServerServiceServicer):
    def __init__(self):
        self.checks = []

    def CheckHost(self, request, context):
        return server_service_pb2.CheckHostResponse(checks=self.checks)


class FsctlStatsTest(unittest.TestCase):
    def setUp(self):
        self.host = Host()
        self.address = self.serve(Exports(), self.host)

    def serve(self, exports, host):
        directory = self.enterContext(tempfile.TemporaryDirectory(dir="/tmp"))
        address = f"unix://{directory}/fsd.sock"
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        export_service_pb2_grpc.add_ExportServiceServicer_to_server(exports, server)
        server_service_pb2_grpc.add_ServerServiceServicer_to_server(host, server)
        server.add_insecure_port(address)
        server.start()
        self.addCleanup(lambda: server.stop(None).wait())
        return address

    def fsctl(self, *arguments, code=OK):
        done = subprocess.run([binary("cli/fsctl"), "--server", self.address, *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=WAIT_SECONDS, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout if code == OK else done.stderr or done.stdout

    def test_stats_by_operation(self):
        text = self.fsctl("export", "stats", "web", "-o", "wide")
        self.assertRegex(text, r"(?m)^Bytes read: +3145728$")
        self.assertRegex(text, r"(?m)^Slow requests: +0, now above 1s$")
        self.assertEqual(text.splitlines()[-1].split(),
                         ["READ", "1500", "15", "20.0us", "16.0us", "32.0us", "32.0us", "EIO", "15"])
        stats = json.loads(self.fsctl("export", "stats", "web", "-o", "json"))
        self.assertEqual((stats["opcodes"][0]["requests"], stats["inodes"]), ("3000", "4"))
        self.assertIn("bytesRead: \"9437184\"\n", self.fsctl("export", "stats", "web", "-o", "yaml"))

    def test_inflight(self):
        lines = self.fsctl("export", "inflight", "web").splitlines()
        self.assertEqual(lines[0].split(), ["AGE", "OPERATION", "NODE", "QUEUE", "UNIQUE"])
        self.assertEqual(lines[1].split(), ["250ms", "READ", "7", "1", "10"])
        self.assertEqual(len(lines), 6)
        self.assertIn("and 3 more", self.fsctl("export", "inflight", "web", "--limit", "2"))
        self.assertEqual(self.fsctl("export", "inflight", "web", "-o", "name").split(),
                         ["10", "11", "12", "13", "14"])
        self.fsctl("export", "inflight", "web", "--limit", "0", code=USAGE)

    def test_top_shows_what_is_served_per_second_the_busiest_first(self):
        lines = self.fsctl("export", "top", "--once", "--interval", "1ms").splitlines()
        self.assertEqual(lines[0].split(), ["NAME", "STATE", "OP/s", "READ/s", "WRITE/s", "LATENCY",
                                            "ERR/s", "SLOW/s", "THROTTLED", "INFLIGHT", "OPEN", "INODES"])
        self.assertEqual(lines[1].split(), ["exports/web", "MOUNTED", "1.50k", "3.00M", "0B", "20.0us",
                                            "15.0", "0", "0", "2", "3", "4"])
        self.assertEqual(lines[2].split()[:3], ["exports/idle", "MOUNTED", "0"])
        self.assertIn("stats -o json", self.fsctl("export", "top", "--once", "-o", "json", code=USAGE))

    def test_top_redraws_on_a_terminal(self):
        terminal = Terminal([binary("cli/fsctl"), "--server", self.address, "export", "top", "--interval",
                             "10ms"], stdout=True, stderr=False)
        self.addCleanup(terminal.close)
        frame = "\x1b[H\x1b[J"
        text = terminal.read_until(frame)
        while len(re.findall("exports/web", text)) < 3:
            terminal.read_some(1)
            text = terminal.text
        self.assertGreaterEqual(text.count(frame), 3)

    def test_check_fails_only_if_exports_cannot_work(self):
        self.host.checks = [
            HostCheck(check="LANDLOCK", level="OK", found="ABI 4"),
            HostCheck(check="FILE_HANDLES", subject="/srv", level="WARNING", found="not supported",
                      cost="each file costs a descriptor", remedy="use ext4")]
        text = self.fsctl("server", "check")
        self.assertRegex(text, r"(?m)^OK +LANDLOCK +ABI 4$")
        self.assertIn("FILE_HANDLES /srv: each file costs a descriptor\n  do: use ext4\n", text)
        self.host.checks[1].level = HostCheck.ERROR
        text = self.fsctl("server", "check", code=PRECONDITION)
        self.assertIn("2 checks, 1 errors, 0 warnings", text)
        text = self.fsctl("server", "check", "-o", "name", code=PRECONDITION)
        self.assertEqual(text, "LANDLOCK\nFILE_HANDLES\n")

    def test_a_server_without_these_calls_is_told_apart(self):
        self.address = self.serve(OldExports(), server_service_pb2_grpc.ServerServiceServicer())
        for arguments in (("export", "stats", "web"), ("export", "inflight", "web"),
                          ("export", "top", "--once"), ("server", "check")):
            text = self.fsctl(*arguments, code=NOT_SERVED)
            self.assertRegex(text, r"^fsctl: cannot .*: this server does not serve that call\nhint: ",
                             arguments)


if __name__ == "__main__":
    unittest.main(verbosity=2)
