#!/usr/bin/env python3
"""The API beyond an export's making: finding, changing, watching, draining, restarting; over a real fsd."""
import os
import socket
import sys
import threading
import time
import unittest

import grpc

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from api_client import (TIMEOUT_SECONDS, ApiTestCase, Code, Failure, State, export_pb2,
                        export_service_pb2 as messages, server_service_pb2)
from running_fsd import wait_for

Effect = messages.FieldEffect.Effect
Kind = messages.WatchExportsResponse.Kind


class MaintenanceTest(ApiTestCase):
    def state(self, name="exports/web"):
        return State.Name(self.get(name).status.state)

    def wait_for_state(self, state, name="exports/web"):
        wait_for(f"{name} to be {state}", lambda: self.state(name) == state)

    def call(self, method, name="exports/web", **arguments):
        """DrainExport and its like."""
        request = getattr(messages, f"{method}Request")(name=name, **arguments)
        return getattr(self.exports, method)(request, timeout=TIMEOUT_SECONDS)

    def update(self, paths, name="exports/web", etag="", validate_only=False, **fields):
        request = messages.UpdateExportRequest(export=export_pb2.Export(name=name, **fields),
                                               update_mask={"paths": paths}, etag=etag,
                                               validate_only=validate_only)
        return self.exports.UpdateExport(request, timeout=TIMEOUT_SECONDS)

    def effects(self, response):
        return {effect.field: Effect.Name(effect.effect) for effect in response.effects}

    def turned_away(self, export):
        """Whether a front-end that connects is cut off."""
        with socket.socket(socket.AF_UNIX) as front_end:
            front_end.settimeout(TIMEOUT_SECONDS)
            front_end.connect(export.socket.path)
            return front_end.recv(1) == b""

    def names(self, **arguments):
        return [export.name for export in self.list(**arguments)]

    # Finding.

    def test_exports_are_filtered_and_ordered(self):
        self.create("a", self.spec("a", labels={"tier": "front", "example.com/zone": "1"}))
        self.create("b", self.spec("b", labels={"tier": "back"}, owner={"system": "libvirt", "vm_id": "7"}))
        self.create("c", self.spec("c", tag="other"))
        for text, names in (('labels.tier = front', "a"), ('labels:tier', "ab"), ('-labels:tier', "c"),
                            ('labels."example.com/zone" = 1', "a"), ('owner.system = "lib*"', "b"),
                            ('owner.vm_id != 7 AND tag = myfs', "a"), ('tag = other OR labels.tier = back', "bc"),
                            ('status.state = LISTENING AND NOT (tag : oth)', "ab"),
                            (f'source.passthrough.path = {self.fsd.shares}/c', "c")):
            self.assertEqual(self.names(filter=text), [f"exports/{n}" for n in names], text)
        self.assertEqual(self.names(order_by="create_time desc"), ["exports/c", "exports/b", "exports/a"])
        failure = self.failure(self.list, filter="tag = x AND size = 3")
        self.assertEqual(failure.reason, "FILTER_INVALID")
        self.assertIn("at character 13: no such field", failure.message)

    # Changing.

    def test_labels_and_owner_change_at_once(self):
        created = self.create(spec=self.spec(labels={"keep": "1", "drop": "1"}))
        response = self.update(["labels.tier", "labels.drop", "owner.vm_id"], labels={"tier": "front"},
                               owner={"vm_id": "7"}, etag=created.etag)
        self.assertEqual(self.effects(response), {"labels": "LIVE", "owner.vm_id": "LIVE"})
        shown = self.get("exports/web")
        self.assertEqual(dict(shown.labels), {"keep": "1", "tier": "front"})
        self.assertEqual(shown.status.worker_pid, created.status.worker_pid)
        self.assertNotEqual(shown.etag, created.etag)
        self.assertEqual(self.failure(self.update, ["labels"], etag=created.etag).reason, "ETAG_MISMATCH")

    def test_what_the_worker_reads_at_its_start_waits_for_the_front_end_to_leave(self):
        created = self.create()
        front_end = self.connect(created)
        response = self.update(["cache.attr_timeout", "read_only"], read_only=True,
                               cache={"attr_timeout": {"seconds": 5}})
        self.assertEqual(self.effects(response), {"cache.attr_timeout": "NEXT_CONNECTION",
                                                  "read_only": "NEXT_CONNECTION"})
        shown = self.get("exports/web")
        self.assertEqual(shown.status.worker_pid, created.status.worker_pid)
        self.assertEqual([c.reason for c in shown.status.conditions], ["UPDATE_PENDING"])
        front_end.close()
        wait_for("the worker to be exchanged",
                 lambda: self.get("exports/web").status.worker_pid not in (0, created.status.worker_pid))
        self.wait_for_state("LISTENING")
        self.assertEqual(list(self.get("exports/web").status.conditions), [])
        self.connect(created)

    def test_updates_are_refused_by_name_and_do_nothing(self):
        created = self.create()
        for paths, fields, code, reason in (
                (["uid"], {}, Code.INVALID_ARGUMENT, "FIELD_OUTPUT_ONLY"),
                (["status.state"], {}, Code.INVALID_ARGUMENT, "FIELD_OUTPUT_ONLY"),
                (["colour"], {}, Code.INVALID_ARGUMENT, "FIELD_NOT_SERVED"),
                ([], {}, Code.INVALID_ARGUMENT, "FIELD_REQUIRED"),
                (["cache.attr_timeout"], {"cache": {"attr_timeout": {"seconds": -1}}},
                 Code.INVALID_ARGUMENT, "FIELD_INVALID"),
                (["tag", "labels"], {"tag": "other", "labels": {"a": "b"}},
                 Code.FAILED_PRECONDITION, "FIELD_NOT_LIVE"),
                (["socket.path"], {}, Code.FAILED_PRECONDITION, "FIELD_NOT_LIVE"),
                (["sandbox.mode"], {"sandbox": {"mode": "NONE"}}, Code.PERMISSION_DENIED,
                 "SANDBOX_NOT_ALLOWED")):
            if paths == ["socket.path"]:
                fields = {"socket": {"path": f"{self.fsd.sockets}/other.sock"}}
            failure = self.failure(self.update, paths, **fields)
            self.assertEqual((failure.code, failure.reason), (code, reason), paths)
        self.update(["read_only"], read_only=True, validate_only=True)
        self.assertEqual(self.get("exports/web"), created)

    def test_an_update_outlives_the_server(self):
        self.create()
        self.update(["labels", "cache"], labels={"a": "b"}, cache={"policy": "NEVER"})
        self.fsd.process.kill()
        self.fsd.process.wait()
        self.fsd.process = None
        # Its workers are left behind; their export is given up, and its record is what counts here.
        self.fsd.start()
        wait_for("the server", lambda: self.channel_works())
        shown = self.get("exports/web")
        self.assertEqual(dict(shown.labels), {"a": "b"})
        self.assertEqual(shown.cache.policy, export_pb2.Cache.NEVER)

    def channel_works(self):
        try:
            return self.list() is not None
        except grpc.RpcError:
            return False

    # Out of service and back.

    def test_a_drained_export_turns_front_ends_away_until_it_is_resumed(self):
        created = self.create()
        front_end = self.connect(created)
        self.assertEqual(self.call("DrainExport").status.state, State.Value("DRAINING"))
        self.assertTrue(self.turned_away(created))
        self.assertTrue(self.get("exports/web").status.HasField("connection"), "who was there stays")
        front_end.close()
        wait_for("the front-end to be gone",
                 lambda: not self.get("exports/web").status.HasField("connection"))
        self.assertTrue(self.turned_away(created))
        self.call("ResumeExport")
        self.connect(created)

    def test_a_drain_survives_the_server(self):
        self.create()
        self.call("DrainExport", timeout={"seconds": TIMEOUT_SECONDS})
        self.fsd.stop()
        self.fsd.start()
        wait_for("the server", self.channel_works)
        self.wait_for_state("DRAINING")
        self.call("ResumeExport")
        self.wait_for_state("LISTENING")

    def test_a_drain_that_is_not_done_leaves_the_export_as_it_was(self):
        created = self.create()
        self.connect(created)
        failure = self.failure(self.call, "DrainExport", timeout={"nanos": 10000000})
        self.assertEqual((failure.code, failure.reason), (Code.DEADLINE_EXCEEDED, "DRAIN_TIMED_OUT"))
        self.assertEqual(self.state(), "CONNECTED")
        failure = self.failure(self.delete, "exports/web", mode="DRAIN", drain_timeout={"nanos": 10000000})
        self.assertEqual(failure.reason, "DRAIN_TIMED_OUT")
        self.assertEqual(self.state(), "CONNECTED")

    def test_a_client_that_leaves_ends_its_drain(self):
        created = self.create()
        self.connect(created)
        request = messages.DeleteExportRequest(name="exports/web", mode="DRAIN")
        waiting = self.exports.DeleteExport.future(request)
        self.wait_for_state("DRAINING")
        self.assertEqual(self.failure(self.call, "DrainExport").reason, "EXPORT_BUSY")
        waiting.cancel()
        self.wait_for_state("CONNECTED")
        # As does one whose deadline is over.
        with self.assertRaises(grpc.RpcError) as raised:
            self.exports.DeleteExport(request, timeout=0.2)
        self.assertEqual(raised.exception.code(), Code.DEADLINE_EXCEEDED)
        self.wait_for_state("CONNECTED")

    def test_a_deletion_that_drains_is_done_when_the_front_end_leaves(self):
        created = self.create()
        front_end = self.connect(created)
        waiting = self.exports.DeleteExport.future(
            messages.DeleteExportRequest(name="exports/web", mode="DRAIN",
                                         drain_timeout={"seconds": TIMEOUT_SECONDS}))
        self.wait_for_state("DRAINING")
        front_end.close()
        waiting.result(timeout=TIMEOUT_SECONDS)
        self.assertEqual(self.names(), [])

    def test_resuming_ends_a_drain_that_waits(self):
        created = self.create()
        self.connect(created)
        waiting = self.exports.DrainExport.future(
            messages.DrainExportRequest(name="exports/web", timeout={"seconds": TIMEOUT_SECONDS}))
        self.wait_for_state("DRAINING")
        self.call("ResumeExport")
        self.assertEqual(Failure(waiting.exception(timeout=TIMEOUT_SECONDS)).reason, "OPERATION_ENDED")
        self.assertEqual(self.state(), "CONNECTED")

    def test_a_disconnected_front_end_is_cut_off_and_the_export_listens(self):
        created = self.create()
        front_end = self.connect(created)
        shown = self.call("DisconnectExport")
        self.assertEqual(shown.status.state, State.Value("LISTENING"))
        self.assertEqual(shown.status.worker_pid, created.status.worker_pid)
        front_end.settimeout(TIMEOUT_SECONDS)
        self.assertEqual(front_end.recv(1), b"")
        self.connect(created)

    def test_a_worker_is_restarted_by_force_only_while_it_is_used(self):
        created = self.create()
        shown = self.call("RestartWorker")
        self.assertNotEqual(shown.status.worker_pid, created.status.worker_pid)
        self.assertEqual((shown.status.state, shown.status.restarts), (State.Value("LISTENING"), 1))
        front_end = self.connect(created)
        failure = self.failure(self.call, "RestartWorker")
        self.assertEqual((failure.code, failure.reason), (Code.FAILED_PRECONDITION, "EXPORT_IN_USE"))
        self.call("RestartWorker", force=True)
        front_end.settimeout(TIMEOUT_SECONDS)
        self.assertEqual(front_end.recv(1), b"")

    # Watching.

    def watch(self, **arguments):
        stream = self.exports.WatchExports(messages.WatchExportsRequest(**arguments))
        self.addCleanup(stream.cancel)
        return stream

    def until(self, stream, kind, state=None):
        """The next response of this kind, and of an export in this state."""
        for response in stream:
            wanted = state is None or response.export.status.state == State.Value(state)
            if response.kind == Kind.Value(kind) and wanted:
                return response
        raise AssertionError("the stream has ended")

    def test_a_watcher_sees_an_exports_whole_life(self):
        self.create("old")
        stream = self.watch()
        first = next(stream)
        self.assertEqual((first.kind, first.export.name), (Kind.Value("ADDED"), "exports/old"))
        self.assertEqual(next(stream).kind, Kind.Value("BOOKMARK"))
        created = self.create()
        self.assertEqual(self.until(stream, "ADDED").export.name, "exports/web")
        self.until(stream, "MODIFIED", "LISTENING")
        front_end = self.connect(created)
        token = self.until(stream, "MODIFIED", "CONNECTED").resume_token
        self.update(["labels"], labels={"a": "b"})
        self.assertEqual(dict(self.until(stream, "MODIFIED").export.labels), {"a": "b"})
        front_end.close()
        self.until(stream, "MODIFIED", "LISTENING")
        self.delete("exports/web")
        self.assertEqual(self.until(stream, "REMOVED").export.name, "exports/web")
        # The same again, from the token on.
        again = self.watch(resume_token=token)
        self.assertEqual(dict(next(again).export.labels), {"a": "b"})
        self.until(again, "REMOVED")

    def test_a_watcher_with_a_filter_sees_exports_come_and_go(self):
        stream = self.watch(filter="status.state = CONNECTED")
        self.assertEqual(next(stream).kind, Kind.Value("BOOKMARK"))
        front_end = self.connect(self.create())
        self.assertEqual(next(stream).kind, Kind.Value("ADDED"))
        front_end.close()
        removed = next(stream)
        self.assertEqual((removed.kind, removed.export.status.state),
                         (Kind.Value("REMOVED"), State.Value("LISTENING")))

    def test_a_token_of_an_earlier_server_is_expired(self):
        stream = self.watch()
        token = next(stream).resume_token
        self.fsd.stop()
        with self.assertRaises(grpc.RpcError) as raised:
            next(stream)
        self.assertEqual((raised.exception.code(), Failure(raised.exception).reason),
                         (Code.UNAVAILABLE, "SHUTTING_DOWN"))
        self.fsd.start()
        wait_for("the server", self.channel_works)
        failure = self.failure(next, self.watch(resume_token=token))
        self.assertEqual((failure.code, failure.reason), (Code.OUT_OF_RANGE, "RESUME_TOKEN_EXPIRED"))
        self.assertEqual(self.failure(next, self.watch(resume_token="x")).reason, "RESUME_TOKEN_INVALID")

    # The server.

    def test_the_log_level_changes_at_once_here_and_in_workers(self):
        created = self.create()
        request = server_service_pb2.SetLogLevelRequest(level="LOG_LEVEL_ERROR")
        before = self.server.SetLogLevel(request, timeout=TIMEOUT_SECONDS).previous_level
        self.assertEqual(before, server_service_pb2.LOG_LEVEL_INFO)
        info = self.server.GetServerInfo(server_service_pb2.GetServerInfoRequest())
        self.assertEqual(info.log_level, server_service_pb2.LOG_LEVEL_ERROR)

        def lines():  # without those of the audit, which no level silences
            return len([line for line in self.fsd.log_text().splitlines() if ": audit:" not in line])

        silent = lines()
        self.connect(created).close()
        self.wait_for_state("LISTENING")
        self.call("RestartWorker")
        self.assertEqual(lines(), silent, self.fsd.log_text())
        request.level = server_service_pb2.LOG_LEVEL_INFO
        self.server.SetLogLevel(request, timeout=TIMEOUT_SECONDS)
        self.connect(created)
        wait_for("the worker to log", lambda: lines() > silent)

    def test_the_health_of_an_export_follows_it(self):
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        name = b"exports/web"

        def serving():
            return check(b"\x0a" + bytes([len(name)]) + name) == b"\x08\x01"

        self.create()
        self.assertTrue(serving())
        self.call("DrainExport")
        self.assertFalse(serving())
        self.call("ResumeExport")
        self.assertTrue(serving())
        self.delete("exports/web")
        self.assertFalse(serving())


if __name__ == "__main__":
    unittest.main(verbosity=2)
