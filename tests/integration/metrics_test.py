#!/usr/bin/env python3
"""What is counted of a guest's work, by the API and by Prometheus; over a real fsd."""
import json
import os
import re
import signal
import subprocess
import sys
import unittest
import urllib.error
import urllib.request

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from api_client import (TIMEOUT_SECONDS, ApiTestCase, Code, State, export_pb2,
                        export_service_pb2 as messages)
from running_fsd import binary, wait_for

SAMPLE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


class MetricsTest(ApiTestCase):
    # 1 ns: every request is slow.
    FSD_FLAGS = ("--metrics-listen", "127.0.0.1:0", "--slow-request", "1ns")

    def setUp(self):
        self.export = self.create(spec=self.spec(semantics=export_pb2.Semantics(locks="SHARED")))

    def url(self):
        port = wait_for("the port of the metrics",
                        lambda: re.search(r"metrics of 127\.0\.0\.1:0 on port (\d+)",
                                          self.fsd.log_text()))
        return f"http://127.0.0.1:{port.group(1)}/metrics"

    def scrape(self):
        """Values by name and labels, and the types of the families."""
        with urllib.request.urlopen(self.url(), timeout=TIMEOUT_SECONDS) as response:
            text = response.read().decode()
        values, types = {}, {}
        for line in text.splitlines():
            if line.startswith("# TYPE "):
                _, _, name, kind = line.split()
                types[name] = kind
            elif not line.startswith("#"):
                name, labels, value = SAMPLE.match(line).groups()
                values[name, frozenset(LABEL.findall(labels or ""))] = float(value)
        return values, types

    def value(self, name, **labels):
        values, _ = self.scrape()
        return values.get((f"fsd_{name}", frozenset(labels.items())))

    def of_web(self, name, **labels):
        return self.value(f"export_{name}", export="web", **labels)

    def stats(self):
        return self.exports.GetExportStats(messages.GetExportStatsRequest(name="exports/web"),
                                           timeout=TIMEOUT_SECONDS)

    def inflight(self, **arguments):
        return self.exports.ListInflightRequests(
            messages.ListInflightRequestsRequest(name="exports/web", **arguments),
            timeout=TIMEOUT_SECONDS)

    def guest(self):
        """One that has done what metrics_load says, and still waits for a lock."""
        guest = subprocess.Popen([binary("tests/integration/metrics_load"), self.export.socket.path],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(self.end, guest)
        self.assertEqual(guest.stdout.readline(), "done\n")
        wait_for("the lock to be waited for", lambda: self.inflight().total_requests == 1)
        return guest

    @staticmethod
    def data_plane_of(worker_pid):
        with open(f"/proc/{worker_pid}/task/{worker_pid}/children", encoding="ascii") as children:
            return [int(pid) for pid in children.read().split()]

    def end(self, guest):
        guest.stdin.close()
        guest.wait(timeout=TIMEOUT_SECONDS)
        guest.stdout.close()

    DONE = {"INIT": 1, "CREATE": 1, "WRITE": 3, "READ": 2, "GETATTR": 10, "LOOKUP": 5, "SETLK": 1}

    def test_a_scrape_tells_what_the_guest_has_done(self):
        self.guest()
        values, types = self.scrape()

        def web(name, **labels):
            return values.get((f"fsd_export_{name}", frozenset({"export": "web", **labels}.items())))

        for opcode, count in self.DONE.items():
            self.assertEqual(web("requests_total", opcode=opcode), count, opcode)
            self.assertEqual(web("request_duration_seconds_count", opcode=opcode), count, opcode)
            self.assertEqual(web("request_duration_seconds_bucket", opcode=opcode, le="+Inf"), count)
            self.assertGreater(web("request_duration_seconds_sum", opcode=opcode), 0)
        self.assertEqual(web("request_errors_total", opcode="LOOKUP", errno="ENOENT"), 5)
        self.assertEqual(web("read_bytes_total"), 2 * 4096)
        self.assertEqual(web("written_bytes_total"), 3 * 4096)
        self.assertEqual(web("inflight_requests"), 1)
        self.assertEqual(web("slow_requests_total"), sum(self.DONE.values()))
        self.assertEqual(web("connections_accepted_total"), 1)
        self.assertEqual(web("worker_restarts_total"), 0)
        self.assertEqual(web("state", state="MOUNTED"), 1)
        self.assertEqual(values["fsd_exports", frozenset({("state", "MOUNTED")})], 1)
        self.assertEqual(values["fsd_exports", frozenset({("state", "FAILED")})], 0)
        self.assertEqual(types["fsd_export_request_duration_seconds"], "histogram")
        self.assertEqual(types["fsd_export_requests_total"], "counter")
        self.assertEqual(types["fsd_export_inflight_requests"], "gauge")
        # Asked for by the scrape before.
        wait_for("the open file", lambda: self.of_web("open_files") == 1)
        self.assertEqual(self.of_web("inodes"), 2)

    def test_the_api_says_the_same(self):
        self.guest()
        stats = self.stats()
        self.assertEqual({o.name: o.requests for o in stats.opcodes}, self.DONE)
        lookup = next(o for o in stats.opcodes if o.name == "LOOKUP")
        self.assertEqual([(e.errno_value, e.name, e.requests) for e in lookup.errors],
                         [(2, "ENOENT", 5)])
        self.assertEqual(sum(bucket.requests for bucket in lookup.latency.buckets), 5)
        self.assertEqual(lookup.latency.buckets[-1].upper_bound_nanoseconds, 0)
        self.assertEqual((stats.bytes_read, stats.bytes_written), (2 * 4096, 3 * 4096))
        self.assertEqual(stats.inflight_requests, 1)
        self.assertEqual(stats.slow_requests, sum(self.DONE.values()))
        self.assertEqual(stats.slow_request_threshold.ToNanoseconds(), 1)
        self.assertEqual(stats.uid, self.export.uid)
        self.assertEqual(stats.connections_accepted, 1)
        self.assertLess(stats.since.ToNanoseconds(), stats.time.ToNanoseconds())
        wait_for("the open file", lambda: self.stats().open_files == 1)

    def test_what_is_held_back_by_limits_is_told(self):
        self.guest()
        self.assertEqual(self.of_web("throttled_seconds_total"), 0)
        wanted = export_pb2.Export(name="exports/web")
        wanted.qos.total.operations_per_second = 100
        wanted.qos.total.burst_operations = 1
        updated = self.exports.UpdateExport(
            messages.UpdateExportRequest(export=wanted, update_mask={"paths": ["qos"]}),
            timeout=TIMEOUT_SECONDS)
        self.assertEqual([(e.field, e.effect) for e in updated.effects],
                         [("qos", messages.FieldEffect.LIVE)])
        self.exports.DisconnectExport(messages.DisconnectExportRequest(name="exports/web"),
                                      timeout=TIMEOUT_SECONDS)
        self.guest()
        stats = self.stats()
        self.assertGreater(stats.throttled_nanoseconds, 0)
        self.assertGreaterEqual(self.of_web("throttled_seconds_total"),
                                stats.throttled_nanoseconds / 1e9)

    def test_what_is_in_flight_is_listed_with_its_age(self):
        self.guest()
        listed = self.inflight()
        self.assertEqual(listed.total_requests, 1)
        request = listed.requests[0]
        self.assertEqual((request.queue, request.opcode_name), (1, "SETLKW"))
        self.assertGreater(request.unique, 0)
        self.assertGreater(request.nodeid, 1)
        self.assertGreater(self.inflight().requests[0].age.ToNanoseconds(),
                           request.age.ToNanoseconds())

    def test_counters_survive_the_worker(self):
        guest = self.guest()
        worker = self.get("exports/web").status.worker_pid
        data_plane = self.data_plane_of(worker)
        os.kill(worker, signal.SIGKILL)
        # Which would end the wait for a lock, and count it, if it saw the guest's end.
        wait_for("the data plane's end", lambda: not any(
            os.path.exists(f"/proc/{pid}") for pid in data_plane))
        self.end(guest)
        wait_for("another worker", lambda: self.stats().restarts == 1 and
                 self.get("exports/web").status.state == State.Value("LISTENING"))
        stats = self.stats()
        self.assertEqual({o.name: o.requests for o in stats.opcodes}, self.DONE)
        self.assertEqual(stats.inflight_requests, 0)
        self.assertEqual(stats.connections_accepted, 1)
        self.guest()
        stats = self.stats()
        self.assertEqual({o.name: o.requests for o in stats.opcodes},
                         {name: 2 * count for name, count in self.DONE.items()})
        self.assertEqual(stats.connections_accepted, 2)

    def test_a_hung_worker_holds_up_no_scrape(self):
        self.guest()
        for pid in self.data_plane_of(self.get("exports/web").status.worker_pid):
            os.kill(pid, signal.SIGSTOP)  # killed when the export is deleted
        self.assertEqual(self.of_web("requests_total", opcode="GETATTR"), 10)
        self.assertEqual(self.value("up"), 1)
        failure = self.failure(self.inflight)
        self.assertEqual((failure.code, failure.reason), (Code.UNAVAILABLE, "WORKER_FAILED"))
        self.assertIn("does not answer", failure.message)

    def test_dashboard_and_alerts_name_metrics_that_exist(self):
        self.guest()
        _, types = self.scrape()
        names = set(types)
        for name, kind in types.items():
            if kind == "histogram":
                names.update(f"{name}_{part}" for part in ("bucket", "count", "sum"))
        for path in ("deploy/grafana/fsd.json", "deploy/prometheus/fsd.rules.yaml"):
            with open(path, encoding="utf-8") as file:
                text = file.read()
            named = set(re.findall(r"\bfsd_\w+", text))
            self.assertTrue(named, path)
            self.assertEqual(named - names, set(), path)
        with open("deploy/grafana/fsd.json", encoding="utf-8") as file:
            panels = json.load(file)["panels"]
        self.assertEqual(len({panel["id"] for panel in panels}), len(panels))
        # And the other way round: what is told is shown.
        shown = json.dumps(panels)
        self.assertEqual([name for name in types if name.startswith("fsd_export_")
                          and name not in shown and name != "fsd_export_state"], [])

    def test_calls_of_the_api_are_counted_by_how_they_ended(self):
        def calls(method, code):
            return self.value("api_calls_total", method=f"fsd.v1.ExportService/{method}", code=code) or 0

        found, missing = calls("GetExport", "OK"), calls("GetExport", "NOT_FOUND")
        self.get("exports/web")
        self.failure(self.get, "exports/none")
        # A call has ended a little after its client knows.
        wait_for("the calls to be counted", lambda: calls("GetExport", "OK") == found + 1 and
                 calls("GetExport", "NOT_FOUND") == missing + 1)

    def test_slow_requests_are_logged_but_not_all_of_many(self):
        before = self.fsd.log_text().count("slow request:")
        self.guest()
        log = self.fsd.log_text()
        self.assertRegex(log, r"web\W.*slow request: CREATE of inode 1 took \S+ \(queue 1, unique \d+\)")
        self.assertNotIn("slow request: SETLKW", log)
        # 10 at once, and one a second: 23 requests have been slow.
        self.assertGreaterEqual(log.count("slow request:"), before + 10)
        self.assertLess(log.count("slow request:"), before + 23)

    def test_faulty_calls_are_refused(self):
        failure = self.failure(self.inflight, page_size=-1)
        self.assertEqual(failure.violations, {"page_size": "FIELD_INVALID"})
        for call, request in ((self.exports.GetExportStats, messages.GetExportStatsRequest),
                              (self.exports.ListInflightRequests,
                               messages.ListInflightRequestsRequest)):
            failure = self.failure(call, request(name="exports/none"), timeout=TIMEOUT_SECONDS)
            self.assertEqual((failure.code, failure.reason), (Code.NOT_FOUND, "EXPORT_NOT_FOUND"))

    def test_only_metrics_are_served(self):
        with self.assertRaises(urllib.error.HTTPError) as raised:
            urllib.request.urlopen(self.url().replace("/metrics", "/"), timeout=TIMEOUT_SECONDS)
        self.assertEqual(raised.exception.code, 404)


if __name__ == "__main__":
    unittest.main(verbosity=2)
