#!/usr/bin/env python3
"""Every method of every service that the server says it has, by a stock client: one call that does what it should,
and one that is refused with its code and reason."""
import os
import sys
import unittest

import grpc
from google.protobuf import descriptor_pb2

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from api_client import (TIMEOUT_SECONDS, ApiTestCase, Code, Failure, State, export_pb2,
                        export_service_pb2 as messages, server_service_pb2)
from running_fsd import wait_for

EXPORTS, SERVER = "fsd.v1.ExportService/", "fsd.v1.ServerService/"
HEALTH, REFLECTION = "grpc.health.v1.Health/", "grpc.reflection.v1alpha.ServerReflection/"
SERVING, NOT_SERVING, SERVICE_UNKNOWN = b"\x08\x01", b"\x08\x02", b"\x08\x03"  # HealthCheckResponse
UNKNOWN_FIELD = b"\xc0\x3e\x01"  # of a newer API
Kind = messages.WatchExportsResponse.Kind


def field(number, content):
    """A length-delimited field of a message, in bytes."""
    assert len(content) < 128
    return bytes([number << 3 | 2, len(content)]) + content


def fields(data):
    """(number, content) of the length-delimited fields of a message; others are skipped."""
    def varint(at):
        value = shift = 0
        while True:
            byte = data[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value, at
    at = 0
    while at < len(data):
        tag, at = varint(at)
        value, at = varint(at)
        if tag & 7 == 2:
            yield tag >> 3, data[at:at + value]
            at += value


class ApiWalkTest(ApiTestCase):
    def setUp(self):
        self.web = self.create()

    # Calls in bytes, for services whose stubs are of other packages.

    def health(self, service, method="Check"):
        call = self.channel.unary_unary if method == "Check" else self.channel.unary_stream
        return call(f"/{HEALTH}{method}")(field(1, service.encode()), timeout=TIMEOUT_SECONDS)

    def reflect(self, request):
        stream = self.channel.stream_stream(f"/{REFLECTION}ServerReflectionInfo")
        return dict(fields(next(stream(iter([request]), timeout=TIMEOUT_SECONDS))))

    def methods(self):
        """What the server says that it has, by reflection alone: "package.Service/Method"."""
        found = set()
        for _, listed in fields(self.reflect(field(7, b""))[6]):  # list_services
            service = dict(fields(listed))[1]
            described = self.reflect(field(4, service)).get(4)  # file_containing_symbol
            if described is None:  # gRPC's own, without a file
                self.assertEqual(service.decode() + "/", HEALTH)
                found |= {HEALTH + "Check", HEALTH + "Watch"}
                continue
            for _, file in fields(described):
                proto = descriptor_pb2.FileDescriptorProto.FromString(file)
                for one in proto.service:
                    if f"{proto.package}.{one.name}".encode() == service:
                        found |= {f"{proto.package}.{one.name}/{method.name}" for method in one.method}
        return found

    def ask(self, stub, method, request):
        return getattr(stub, method)(request, timeout=TIMEOUT_SECONDS)

    def named(self, method, name="exports/web", **arguments):
        return self.ask(self.exports, method, getattr(messages, f"{method}Request")(name=name, **arguments))

    def refused(self, code, reason, call, *arguments, **named):
        failure = self.failure(call, *arguments, **named)
        self.assertEqual((failure.code, failure.reason), (code, reason))
        self.assertTrue(failure.message)

    # One for each method.

    def walk_create(self):
        self.assertEqual(self.create("other").status.state, State.Value("LISTENING"))
        self.refused(Code.INVALID_ARGUMENT, "FIELD_REQUIRED", self.create, "third", self.spec(tag=""))

    def walk_get(self):
        self.assertEqual(self.get("exports/web"), self.web)
        self.refused(Code.NOT_FOUND, "EXPORT_NOT_FOUND", self.get, "exports/none")

    def walk_list(self):
        self.assertEqual(list(self.list()), [self.web])
        self.refused(Code.INVALID_ARGUMENT, "FILTER_INVALID", self.list, filter="tag = (")

    def update(self, path, **values):
        request = messages.UpdateExportRequest(export=export_pb2.Export(name="exports/web", **values),
                                               update_mask={"paths": [path]})
        return self.ask(self.exports, "UpdateExport", request)

    def walk_update(self):
        response = self.update("labels.tier", labels={"tier": "front"})
        self.assertEqual(response.export.labels, {"tier": "front"})
        self.assertEqual([(e.field, e.effect) for e in response.effects],
                         [("labels", messages.FieldEffect.LIVE)])
        self.refused(Code.FAILED_PRECONDITION, "FIELD_NOT_LIVE", self.update, "tag", tag="other")

    def walk_delete(self):
        self.refused(Code.ABORTED, "ETAG_MISMATCH", self.delete, "exports/web", etag='"stale"')
        self.delete("exports/web")
        self.assertEqual(list(self.list()), [])

    def walk_watch(self):
        watch = self.exports.WatchExports(messages.WatchExportsRequest(), timeout=TIMEOUT_SECONDS)
        self.assertEqual(next(watch).export, self.web)
        bookmark = next(watch)
        self.assertEqual(bookmark.kind, Kind.Value("BOOKMARK"))
        watch.cancel()
        self.update("labels.seen", labels={"seen": "yes"})
        resumed = self.exports.WatchExports(
            messages.WatchExportsRequest(resume_token=bookmark.resume_token), timeout=TIMEOUT_SECONDS)
        self.assertEqual(next(resumed).export.labels, {"seen": "yes"})
        resumed.cancel()

        def watch_from_nowhere():
            next(self.exports.WatchExports(messages.WatchExportsRequest(resume_token="x"),
                                           timeout=TIMEOUT_SECONDS))
        self.refused(Code.INVALID_ARGUMENT, "RESUME_TOKEN_INVALID", watch_from_nowhere)

    def walk_drain(self):
        front_end = self.connect(self.web)
        self.refused(Code.DEADLINE_EXCEEDED, "DRAIN_TIMED_OUT", self.named, "DrainExport",
                     timeout={"nanos": 1})
        front_end.close()
        self.assertEqual(self.named("DrainExport", timeout={"seconds": TIMEOUT_SECONDS}).status.state,
                         State.Value("DRAINING"))

    def walk_resume(self):
        self.named("DrainExport")
        self.assertEqual(self.named("ResumeExport").status.state, State.Value("LISTENING"))
        self.refused(Code.NOT_FOUND, "EXPORT_NOT_FOUND", self.named, "ResumeExport", "exports/none")

    def walk_disconnect(self):
        front_end = self.connect(self.web)
        self.refused(Code.ABORTED, "ETAG_MISMATCH", self.named, "DisconnectExport", etag='"stale"')
        self.assertFalse(self.named("DisconnectExport").status.HasField("connection"))
        front_end.settimeout(TIMEOUT_SECONDS)
        self.assertEqual(front_end.recv(1), b"")

    def walk_restart(self):
        self.connect(self.web)
        self.refused(Code.FAILED_PRECONDITION, "EXPORT_IN_USE", self.named, "RestartWorker")
        self.assertEqual(self.named("RestartWorker", force=True).status.restarts, 1)

    def walk_stats(self):
        self.connect(self.web)
        wait_for("the connection to be counted",
                 lambda: self.named("GetExportStats").connections_accepted == 1)
        self.assertEqual(self.named("GetExportStats").uid, self.web.uid)
        self.refused(Code.NOT_FOUND, "EXPORT_NOT_FOUND", self.named, "GetExportStats", "exports/none")

    def walk_inflight(self):
        self.assertEqual(self.named("ListInflightRequests").total_requests, 0)
        self.refused(Code.INVALID_ARGUMENT, "FIELD_INVALID", self.named, "ListInflightRequests",
                     page_size=-1)

    def walk_info(self):
        request = server_service_pb2.GetServerInfoRequest
        self.assertEqual(self.ask(self.server, "GetServerInfo", request()).exports, 1)
        self.refused(Code.INVALID_ARGUMENT, "FIELD_NOT_SERVED", self.ask, self.server, "GetServerInfo",
                     request.FromString(UNKNOWN_FIELD))

    def walk_log_level(self):
        request = server_service_pb2.SetLogLevelRequest
        self.ask(self.server, "SetLogLevel", request(level="LOG_LEVEL_DEBUG"))
        answer = self.ask(self.server, "SetLogLevel", request(level="LOG_LEVEL_INFO"))
        self.assertEqual(answer.previous_level, server_service_pb2.LOG_LEVEL_DEBUG)
        self.refused(Code.INVALID_ARGUMENT, "FIELD_REQUIRED", self.ask, self.server, "SetLogLevel", request())

    def walk_slow_request(self):
        request, method = server_service_pb2.SetSlowRequestThresholdRequest, "SetSlowRequestThreshold"
        self.ask(self.server, method, request(threshold={"nanos": 50000000}))
        info = self.ask(self.server, "GetServerInfo", server_service_pb2.GetServerInfoRequest())
        self.assertEqual(info.slow_request_threshold.ToMilliseconds(), 50)
        answer = self.ask(self.server, method, request(threshold={"seconds": 1}))
        self.assertEqual(answer.previous_threshold.ToMilliseconds(), 50)
        self.assertIn("SetSlowRequestThreshold", self.fsd.log_text(), "the audit log has it")
        self.refused(Code.INVALID_ARGUMENT, "FIELD_INVALID", self.ask, self.server, method,
                     request(threshold={"seconds": -1}))

    def walk_check_host(self):
        request, level = server_service_pb2.CheckHostRequest, server_service_pb2.HostCheck
        checks = {(c.check, c.subject): c for c in self.ask(self.server, "CheckHost", request()).checks}
        self.assertEqual(checks["SECCOMP", ""].level, level.OK)
        self.assertIn(("SOURCE", self.fsd.shares), checks)
        self.assertTrue({("EXPORT_SOURCES", ""), ("EXPORT_SOURCE", f"{self.fsd.shares}/web")} & set(checks))
        self.assertEqual(checks["LEFTOVER_SOCKETS", ""].level, level.OK, "the export's socket is alive")
        for check in checks.values():
            fine = check.level == level.OK
            self.assertEqual((fine, fine), (not check.cost, not check.remedy), check)
        self.refused(Code.INVALID_ARGUMENT, "FIELD_NOT_SERVED", self.ask, self.server, "CheckHost",
                     request.FromString(UNKNOWN_FIELD))

    def walk_health_check(self):
        self.assertEqual((self.health(""), self.health("exports/web")), (SERVING, SERVING))
        with self.assertRaises(grpc.RpcError) as raised:
            self.health("exports/none")
        self.assertEqual(raised.exception.code(), Code.NOT_FOUND)

    def walk_health_watch(self):
        watch = self.health("exports/web", "Watch")
        self.assertEqual(next(watch), SERVING)
        self.named("DrainExport")
        self.assertTrue(any(state == NOT_SERVING for state in watch))  # what changes nothing is told too
        watch.cancel()
        unknown = self.health("exports/none", "Watch")
        self.assertEqual(next(unknown), SERVICE_UNKNOWN)
        unknown.cancel()

    def walk_reflection(self):
        symbol = b"fsd.v1.ExportService"
        self.assertIn(b"fsd/v1/export_service.proto", self.reflect(field(4, symbol))[4])
        self.assertIn(7, self.reflect(field(4, b"fsd.v1.None")), "error_response")

    WALKS = {
        EXPORTS + "CreateExport": walk_create,
        EXPORTS + "GetExport": walk_get,
        EXPORTS + "ListExports": walk_list,
        EXPORTS + "UpdateExport": walk_update,
        EXPORTS + "DeleteExport": walk_delete,
        EXPORTS + "WatchExports": walk_watch,
        EXPORTS + "DrainExport": walk_drain,
        EXPORTS + "ResumeExport": walk_resume,
        EXPORTS + "DisconnectExport": walk_disconnect,
        EXPORTS + "RestartWorker": walk_restart,
        EXPORTS + "GetExportStats": walk_stats,
        EXPORTS + "ListInflightRequests": walk_inflight,
        SERVER + "GetServerInfo": walk_info,
        SERVER + "SetLogLevel": walk_log_level,
        SERVER + "SetSlowRequestThreshold": walk_slow_request,
        SERVER + "CheckHost": walk_check_host,
        HEALTH + "Check": walk_health_check,
        HEALTH + "Watch": walk_health_watch,
        REFLECTION + "ServerReflectionInfo": walk_reflection,
    }

    def test_every_method_is_walked(self):
        self.assertEqual(self.methods(), set(self.WALKS))

    def test_a_method_that_is_not_there_is_nobodys(self):
        with self.assertRaises(grpc.RpcError) as raised:
            self.channel.unary_unary("/fsd.v1.ExportService/None")(b"", timeout=TIMEOUT_SECONDS)
        failure = Failure(raised.exception)
        self.assertEqual((failure.code, failure.reason), (Code.PERMISSION_DENIED, "METHOD_NOT_ALLOWED"))


def walked(walk):
    return lambda self: walk(self)


for name, walk in ApiWalkTest.WALKS.items():
    setattr(ApiWalkTest, "test_" + name.replace(".", "_").replace("/", "_"), walked(walk))


if __name__ == "__main__":
    unittest.main(verbosity=2)
