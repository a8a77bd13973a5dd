#!/usr/bin/env python3
"""The control API, as a stock Python client sees it: python3-grpcio and protoc's stubs, no code of ours."""
import os
import stat
import subprocess
import sys
import unittest

import grpc

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from api_client import (TIMEOUT_SECONDS, ApiTestCase, Code, State, export_pb2, export_service_pb2,
                        export_service_pb2_grpc, server_service_pb2)
from running_fsd import RunningFsd, binary, wait_for


class ApiTest(ApiTestCase):
    FSD_FLAGS = ("--allow-capabilities", "CAP_LINUX_IMMUTABLE", "--allow-socket-uid", "0-999")

    def everything(self):
        """Every option but those that exclude the others."""
        return self.spec(
            cache=export_pb2.Cache(policy="ALWAYS", attr_timeout={"seconds": 1, "nanos": 500000000},
                                   entry_timeout={"seconds": 86400}, negative_timeout={"nanos": 250000000},
                                   writeback=True, direct_io=True, mmap=True,
                                   readdirplus="READDIRPLUS_ALWAYS", symlinks=True),
            semantics=export_pb2.Semantics(
                xattr=True, xattr_rules=[{"type": "BAD", "scope": "CLIENT", "key": "user.secret."},
                                         {"type": "MAP", "key": "trusted.", "prepend": "user.vm."}],
                posix_acl="USE_AUTO", security_label="USE_AUTO", killpriv="USE_NEVER", submounts=False,
                locks="SHARED", lock_wait={"seconds": 5}, preserve_noatime=True),
            ids=export_pb2.IdMapping(
                uid_translations=[{"kind": "MAP", "host_first": 100000, "count": 1000},
                                  {"kind": "FORBID_GUEST", "guest_first": 1000, "count": 64536}],
                gid_translations=[{"kind": "SQUASH_GUEST", "host_first": 7, "count": 4294967295}]),
            inodes=export_pb2.Inodes(host_handles="PREFER", max_file_descriptors=1000),
            transport=export_pb2.Transport(request_queues=4, poll_us=50))

    def jail(self):
        """Every option of the jail, as strict as any server takes it."""
        return self.spec(
            ids=export_pb2.IdMapping(
                uid_namespace=[{"outside_first": 100000, "count": 65536}],
                gid_namespace=[{"outside_first": 200000, "count": 1000},
                               {"inside_first": 1000, "outside_first": 300000, "count": 1}]),
            sandbox=export_pb2.Sandbox(
                mode="NAMESPACE", seccomp="KILL", add_capabilities=["CAP_LINUX_IMMUTABLE"],
                drop_capabilities=["CAP_MKNOD", "CAP_SETFCAP"],
                limits=export_pb2.Limits(
                    memory_bytes=1 << 29, open_files=4096, threads=64, cpu_microseconds_per_second=500000,
                    io_read_bytes_per_second=1 << 20, io_write_bytes_per_second=1 << 20,
                    io_read_operations_per_second=100, io_write_operations_per_second=100)))

    # A life.

    def test_an_export_is_created_shown_listed_and_deleted(self):
        spec = self.spec(read_only=True, labels={"tier": "front"},
                         owner=export_pb2.Owner(system="test", vm_id="7"),
                         cache=export_pb2.Cache(policy="METADATA"),
                         socket=export_pb2.Socket(path=f"{self.fsd.sockets}/web.sock", mode=0o660))
        created = self.create(spec=spec, request_id="first")

        self.assertEqual(created.name, "exports/web")
        self.assertEqual(created.status.state, State.Value("LISTENING"))
        self.assertGreater(created.status.worker_pid, 0)
        self.assertTrue(created.uid)
        for field in ("source", "tag", "read_only", "labels", "owner", "cache"):
            self.assertEqual(getattr(created, field), getattr(spec, field), field)
        mode = os.stat(created.socket.path).st_mode
        self.assertTrue(stat.S_ISSOCK(mode))
        self.assertEqual(stat.S_IMODE(mode), 0o660)
        self.assertEqual(self.get("exports/web"), created)
        self.assertEqual(list(self.list()), [created])
        self.delete("exports/web")
        self.assertFalse(os.path.exists(created.socket.path))
        self.assertEqual(list(self.list()), [])
        self.assertTrue(os.path.isdir(spec.source.passthrough.path))

    def test_the_call_that_made_an_export_may_be_repeated_after_an_update(self):
        spec = self.spec()
        created = self.create(spec=spec, request_id="first")
        self.exports.UpdateExport(export_service_pb2.UpdateExportRequest(
            export=export_pb2.Export(name="exports/web", labels={"tier": "front"}),
            update_mask={"paths": ["labels"]}), timeout=TIMEOUT_SECONDS)

        repeated = self.create(spec=spec, request_id="first")

        self.assertEqual(repeated.uid, created.uid)
        self.assertEqual(dict(repeated.labels), {"tier": "front"})
        for other in ("second", ""):
            failure = self.failure(self.create, spec=spec, request_id=other)
            self.assertEqual(failure.reason, "EXPORT_EXISTS", other)

    def test_every_option_is_shown_as_it_was_set(self):
        spec = self.everything()
        created = self.create(spec=spec)
        for field in ("cache", "semantics", "ids", "inodes"):
            self.assertEqual(getattr(created, field), getattr(spec, field), field)
        self.assertEqual(self.get("exports/web"), created)
        self.assertEqual(self.create(spec=created).uid, created.uid, "the same specification")

    def test_every_option_of_the_jail_is_shown_as_it_was_set(self):
        spec = self.jail()
        # Whether this host can make that jail is another matter.
        checked = self.create(spec=spec, validate_only=True)
        self.assertEqual((checked.ids, checked.sandbox), (spec.ids, spec.sandbox))

    def test_limits_that_this_server_cannot_enforce_are_a_condition(self):
        spec = self.spec(sandbox=export_pb2.Sandbox(limits=export_pb2.Limits(threads=64, open_files=4096)))
        created = self.create(spec=spec)
        self.assertEqual(created.status.state, State.Value("LISTENING"))
        self.assertEqual([c.reason for c in created.status.conditions], ["LIMITS_NOT_ENFORCED"])
        self.assertIn("threads: ", created.status.conditions[0].message)
        self.assertNotIn("open_files", created.status.conditions[0].message)

    def test_creation_is_idempotent_and_a_difference_is_a_conflict(self):
        first = self.create()
        self.assertEqual(self.create().uid, first.uid)
        failure = self.failure(self.create, spec=self.spec(tag="other"))
        self.assertEqual((failure.code, failure.reason), (Code.ALREADY_EXISTS, "EXPORT_EXISTS"))
        self.assertEqual(failure.metadata["export"], "exports/web")

    def test_what_the_server_shows_can_be_created_again(self):
        shown = self.create(spec=self.spec(labels={"a": "b"}))
        self.delete("exports/web")
        again = self.create(spec=shown)
        self.assertEqual((again.source, again.labels, again.socket),
                         (shown.source, shown.labels, shown.socket))
        self.assertNotEqual(again.uid, shown.uid)

    def test_validate_only_creates_nothing(self):
        self.assertEqual(self.create(validate_only=True).name, "exports/web")
        self.assertEqual(list(self.list()), [])

    def test_pages_hold_every_export_once(self):
        names = [f"exports/e{i}" for i in range(5)]
        for name in reversed(names):
            self.create(name.split("/")[1])
        seen, token = [], ""
        for _ in range(3):
            page = self.exports.ListExports(
                export_service_pb2.ListExportsRequest(page_size=2, page_token=token))
            seen += [export.name for export in page.exports]
            token = page.next_page_token
        self.assertEqual((seen, token), (names, ""))

    # What is refused, and how.

    def test_every_bad_field_is_named_at_once(self):
        spec = self.spec(tag="t" * 37, transport=export_pb2.Transport(max_queue_size=64),
                         qos=export_pb2.Qos(read=export_pb2.Rate(bytes_per_second=1, burst_operations=1)),
                         semantics=export_pb2.Semantics(posix_acl="USE_AUTO", lock_wait={"seconds": 1}),
                         ids=export_pb2.IdMapping(uid_namespace=[{"count": 1}],
                                                  gid_translations=[{"count": 1}]),
                         sandbox=export_pb2.Sandbox(mode="NONE", add_capabilities=["CAP_BPF", "CAP_FLY"],
                                                    drop_capabilities=["CAP_BPF"],
                                                    limits=export_pb2.Limits(threads=1)))
        spec.source.passthrough.path = "relative"
        failure = self.failure(self.create, "Bad", spec)
        self.assertEqual(failure.code, Code.INVALID_ARGUMENT)
        self.assertEqual(failure.violations, {
            "export_id": "FIELD_INVALID",
            "export.tag": "FIELD_INVALID",
            "export.source.passthrough.path": "FIELD_INVALID",
            "export.transport.max_queue_size": "FIELD_NOT_SERVED",
            "export.qos.read.bytes_per_second": "FIELD_INVALID",
            "export.qos.read.burst_operations": "FIELD_INVALID",
            "export.ids.uid_namespace": "FIELD_INVALID",
            "export.ids.gid_namespace": "FIELD_REQUIRED",
            "export.ids.gid_translations[0].kind": "FIELD_REQUIRED",
            "export.sandbox.add_capabilities[1]": "FIELD_INVALID",
            "export.sandbox.drop_capabilities": "FIELD_INVALID",
            "export.sandbox.limits.threads": "FIELD_INVALID",
            "export.semantics.posix_acl": "FIELD_INVALID",
            "export.semantics.lock_wait": "FIELD_INVALID",
        })

    def test_no_field_outside_the_served_ones_is_taken(self):
        served = set(self.server.GetServerInfo(server_service_pb2.GetServerInfoRequest())
                     .served_export_fields)
        self.assertIn("source.passthrough.path", served)
        spec = self.spec(transport=export_pb2.Transport(max_queue_size=64))
        failure = self.failure(self.create, spec=spec)
        self.assertEqual((failure.reason, list(failure.violations)),
                         ("FIELD_NOT_SERVED", ["export.transport.max_queue_size"]))

    def test_a_field_of_a_newer_api_is_refused(self):
        spec = export_pb2.Export.FromString(self.spec().SerializeToString() + b"\xc0\x3e\x01")
        failure = self.failure(self.create, spec=spec)
        self.assertEqual(failure.violations, {"export.1000": "FIELD_NOT_SERVED"})

    def test_filters_orders_and_tokens_that_cannot_be_read_are_refused_by_name(self):
        for arguments, field in (({"filter": "labels.a b"}, "filter"), ({"order_by": "tag"}, "order_by"),
                                 ({"page_size": -1}, "page_size"), ({"page_token": "x"}, "page_token")):
            self.assertEqual(list(self.failure(self.list, **arguments).violations), [field])

    def test_bad_sources_have_their_reasons(self):
        open(os.path.join(self.fsd.shares, "file"), "w", encoding="ascii").close()
        for path, code, reason in (
                (f"{self.fsd.shares}/none", None, "SOURCE_NOT_FOUND"),
                (f"{self.fsd.shares}/file", None, "SOURCE_NOT_A_DIRECTORY"),
                ("/etc", Code.PERMISSION_DENIED, "SOURCE_NOT_ALLOWED")):
            spec = self.spec()
            spec.source.passthrough.path = path
            failure = self.failure(self.create, spec=spec)
            self.assertEqual(failure.reason, reason)
            self.assertIn(failure.code, [code] if code else [Code.NOT_FOUND, Code.FAILED_PRECONDITION])
        self.assertEqual(list(self.list()), [])

    def test_a_socket_outside_the_allowed_places_is_refused(self):
        spec = self.spec(socket=export_pb2.Socket(path="/etc/web.sock"))
        self.assertEqual(self.failure(self.create, spec=spec).reason, "SOCKET_NOT_ALLOWED")

    def test_a_jail_or_owner_beyond_the_servers_bounds_is_refused_with_its_reason(self):
        for spec, reason in (
                (self.spec(sandbox=export_pb2.Sandbox(mode="NONE")), "SANDBOX_NOT_ALLOWED"),
                (self.spec(sandbox=export_pb2.Sandbox(seccomp="LOG")), "SANDBOX_NOT_ALLOWED"),
                (self.spec(sandbox=export_pb2.Sandbox(add_capabilities=["CAP_SYS_ADMIN"])),
                 "CAPABILITY_NOT_ALLOWED"),
                (self.spec(socket=export_pb2.Socket(uid=1000)), "SOCKET_OWNER_NOT_ALLOWED")):
            failure = self.failure(self.create, spec=spec)
            self.assertEqual((failure.code, failure.reason), (Code.PERMISSION_DENIED, reason))
        self.assertEqual(list(self.list()), [])

    def test_what_is_not_there_is_not_found(self):
        self.assertEqual(self.failure(self.get, "exports/none").reason, "EXPORT_NOT_FOUND")
        self.assertEqual(self.failure(self.delete, "exports/none").code, Code.NOT_FOUND)
        self.delete("exports/none", allow_missing=True)

    def test_deletion_compares_the_etag(self):
        created = self.create()
        failure = self.failure(self.delete, created.name, etag='"stale"')
        self.assertEqual((failure.code, failure.reason), (Code.ABORTED, "ETAG_MISMATCH"))
        self.delete(created.name, etag=created.etag)

    def test_an_export_in_use_is_deleted_only_by_force(self):
        created = self.create()
        front_end = self.connect(created)
        self.assertEqual(self.failure(self.delete, created.name).reason, "EXPORT_IN_USE")
        self.delete(created.name, mode="FORCE")
        front_end.settimeout(TIMEOUT_SECONDS)
        self.assertEqual(front_end.recv(1), b"", "the connection is cut")

    # The server itself.

    def test_the_server_tells_its_bounds(self):
        info = self.server.GetServerInfo(server_service_pb2.GetServerInfoRequest())
        self.assertEqual(info.weakest_sandbox, export_pb2.Sandbox.NAMESPACE)
        self.assertEqual(info.weakest_seccomp, export_pb2.Sandbox.KILL)
        self.assertEqual(list(info.allowed_capabilities), ["CAP_LINUX_IMMUTABLE"])
        self.assertEqual(list(info.allowed_socket_uids), ["0-999"])
        self.assertEqual(list(info.allowed_socket_gids), ["0-4294967294"])
        self.assertEqual(info.cgroup_directory, "")

    def test_only_the_owner_may_connect(self):
        self.assertEqual(stat.S_IMODE(os.stat(self.fsd.socket).st_mode), 0o600)

    def test_the_standard_health_service_knows_the_server_and_its_exports(self):
        check = self.channel.unary_unary("/grpc.health.v1.Health/Check")
        serving = b"\x08\x01"  # HealthCheckResponse{status: SERVING}

        def request(service):
            return b"\x0a" + bytes([len(service)]) + service.encode()

        self.assertEqual(check(b""), serving)
        self.create()
        self.assertEqual(check(request("exports/web")), serving)
        with self.assertRaises(grpc.RpcError) as raised:
            check(request("exports/none"))
        self.assertEqual(raised.exception.code(), Code.NOT_FOUND)

    def test_reflection_lists_the_services_and_gives_their_files(self):
        reflect = self.channel.stream_stream(
            "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")

        def ask(request):
            return next(reflect(iter([request]), timeout=TIMEOUT_SECONDS))

        services = ask(b"\x3a\x00")  # ServerReflectionRequest{list_services: ""}
        for service in (b"fsd.v1.ExportService", b"fsd.v1.ServerService", b"grpc.health.v1.Health"):
            self.assertIn(service, services)
        symbol = b"fsd.v1.ExportService"  # {file_containing_symbol: …}
        self.assertIn(b"fsd/v1/export_service.proto", ask(b"\x22" + bytes([len(symbol)]) + symbol))


class RestartTest(unittest.TestCase):
    def test_exports_outlive_the_server_and_sigterm_leaves_nothing_running(self):
        with RunningFsd() as fsd, grpc.insecure_channel(fsd.address) as channel:
            exports = export_service_pb2_grpc.ExportServiceStub(channel)
            source = export_pb2.Source(passthrough=export_pb2.Passthrough(path=fsd.share("web")))
            created = exports.CreateExport(export_service_pb2.CreateExportRequest(
                export_id="web", export=export_pb2.Export(source=source, tag="myfs")))
            worker = created.status.worker_pid

            self.assertEqual(fsd.stop(), 0)
            self.assertFalse(os.path.exists(f"/proc/{worker}"))
            self.assertFalse(os.path.exists(created.socket.path))
            fsd.start()

            def listening():
                request = export_service_pb2.GetExportRequest(name="exports/web")
                again = exports.GetExport(request, wait_for_ready=True, timeout=TIMEOUT_SECONDS)
                return again if again.status.state == State.Value("LISTENING") else None

            again = wait_for("the export to be back", listening)
            self.assertEqual((again.uid, again.etag, again.socket.path),
                             (created.uid, created.etag, created.socket.path))

    def test_a_second_server_on_the_same_socket_ends_with_an_error(self):
        with RunningFsd() as fsd:
            flags = fsd.flags()
            flags[flags.index("--state-dir") + 1] += "-other"
            flags[flags.index("--runtime-dir") + 1] += "-other"
            second = subprocess.run([binary("server/exe/fsd"), *flags], stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True, timeout=TIMEOUT_SECONDS)
            self.assertEqual(second.returncode, 1)
            self.assertIn(fsd.socket, second.stderr)
            self.assertTrue(fsd.listens())


if __name__ == "__main__":
    unittest.main(verbosity=2)
