#!/usr/bin/env python3
"""Who may call the API: unix sockets of two roles, TLS with certificates of openssl's, and the audit log. The client
is stock: python3-grpcio and protoc's stubs."""
import glob
import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import time
import unittest

import grpc

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from running_fsd import WAIT_SECONDS, RunningFsd, binary, wait_for

WORK = tempfile.mkdtemp(dir=os.environ["TEST_TMPDIR"])


def generate_stubs():
    directory = os.path.join(WORK, "stubs")
    os.mkdir(directory)
    protos = [os.path.relpath(path, "proto") for pattern in ("fsd/v1", "google/rpc")
              for path in glob.glob(f"proto/{pattern}/*.proto")]
    subprocess.run(["protoc", "-Iproto", f"--python_out={directory}", f"--grpc_python_out={directory}",
                    "--plugin=protoc-gen-grpc_python=/usr/bin/grpc_python_plugin", *protos], check=True)
    sys.path.insert(0, directory)
    # The installed google package is no namespace package; let it find google.rpc too.
    import google
    google.__path__.append(os.path.join(directory, "google"))


generate_stubs()
# pylint: disable=wrong-import-position
from fsd.v1 import (export_pb2, export_service_pb2, export_service_pb2_grpc, server_service_pb2,
                    server_service_pb2_grpc)
from google.protobuf import any_pb2  # noqa: F401  (status_pb2 needs it)
from google.rpc import error_details_pb2, status_pb2

Code = grpc.StatusCode
SERVICES = (export_service_pb2.DESCRIPTOR.services_by_name["ExportService"],
            server_service_pb2.DESCRIPTOR.services_by_name["ServerService"])
READING = re.compile(r"(Get|List|Watch|Check)")
OTHER_USER, OTHER_GROUP = 54321, 54322  # nobody's


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], cwd=WORK, check=True, stdout=subprocess.DEVNULL,
                   stderr=subprocess.PIPE)


def make_authority(name):
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-keyout", f"{name}.key", "-out", f"{name}.crt", "-subj", f"/CN={name}")


def make_certificate(authority, name, subject, *names):
    """NAME.crt and NAME.key, of `authority`, for `subject` and the alternative names."""
    with open(os.path.join(WORK, f"{name}.ext"), "w", encoding="ascii") as file:
        file.write(f"subjectAltName={','.join(names)}\n" if names else "basicConstraints=CA:FALSE\n")
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key",
            "-out", f"{name}.csr", "-subj", subject)
    openssl("x509", "-req", "-in", f"{name}.csr", "-CA", f"{authority}.crt", "-CAkey", f"{authority}.key",
            "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.crt")


def pem(name):
    with open(os.path.join(WORK, name), "rb") as file:
        return file.read()


def make_certificates():
    for authority in ("servers", "clients", "strangers"):
        make_authority(authority)
    make_certificate("servers", "server", "/CN=fsd", "DNS:localhost", "IP:127.0.0.1")
    make_certificate("clients", "orchestrator", "/CN=orchestrator")
    make_certificate("clients", "monitor", "/CN=anything", "DNS:monitor.example.org")
    make_certificate("clients", "nobody", "/CN=nobody")
    make_certificate("strangers", "impostor", "/CN=orchestrator")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def reason_of(error):
    for key, value in error.trailing_metadata():
        if key == "grpc-status-details-bin":
            info = error_details_pb2.ErrorInfo()
            status = status_pb2.Status.FromString(value)
            if status.details[0].Unpack(info) and info.domain == "fsd":
                return info.reason
    return None


class FsdWithListeners(RunningFsd):
    """An fsd whose configuration file says where it listens."""

    def __init__(self, listen):
        super().__init__()
        self.config = os.path.join(self.directory, "fsd.yaml")
        self.reader_socket = os.path.join(self.directory, "reader.sock")
        if "READER" in listen:
            self.api_sockets.append(self.reader_socket)
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(listen.replace("SOCKET", self.socket).replace("READER", self.reader_socket))

    def flags(self):
        inherited = super().flags()
        del inherited[:2]  # --listen
        return ["--config", self.config, *inherited]


class Client:
    def __init__(self, channel):
        self.channel = channel
        self.exports = export_service_pb2_grpc.ExportServiceStub(channel)
        self.server = server_service_pb2_grpc.ServerServiceStub(channel)

    def create(self, fsd, export_id="web"):
        source = export_pb2.Source(passthrough=export_pb2.Passthrough(path=fsd.share(export_id)))
        export = export_pb2.Export(tag=export_id, source=source)
        return self.exports.CreateExport(
            export_service_pb2.CreateExportRequest(export_id=export_id, export=export), timeout=WAIT_SECONDS)

    def delete(self, export_id="web"):
        self.exports.DeleteExport(export_service_pb2.DeleteExportRequest(name="exports/" + export_id),
                                  timeout=WAIT_SECONDS)

    def list(self):
        return [export.name for export in self.exports.ListExports(
            export_service_pb2.ListExportsRequest(), timeout=WAIT_SECONDS).exports]

    def call_with_nothing(self, service, method):
        """Any method, with an empty request; the error that it ends with, or None."""
        kind = self.channel.unary_stream if method.server_streaming else self.channel.unary_unary
        call = kind(f"/{service.full_name}/{method.name}", request_serializer=lambda message: message,
                    response_deserializer=lambda message: message)
        try:
            if method.server_streaming:
                stream = call(b"", timeout=WAIT_SECONDS)
                next(stream, None)
                stream.cancel()
            else:
                call(b"", timeout=WAIT_SECONDS)
        except grpc.RpcError as error:
            return error
        return None


class AccessTest(unittest.TestCase):
    def assert_refused(self, code, reason, call):
        with self.assertRaises(grpc.RpcError) as raised:
            call()
        self.assertEqual((raised.exception.code(), reason_of(raised.exception)), (code, reason),
                         raised.exception.details())

    def wait_for_line(self, pattern):
        return wait_for(pattern, lambda: re.search(pattern, self.fsd.log_text()))

    def connect(self, address, credentials=None):
        channel = grpc.insecure_channel(address) if credentials is None else \
            grpc.secure_channel(address, credentials)
        return Client(self.enterContext(channel))


class UnixSockets(AccessTest):
    def setUp(self):
        self.fsd = self.enterContext(FsdWithListeners(f"""listen:
  - {{address: "unix://SOCKET", role: admin, group: {OTHER_GROUP}, mode: "0660"}}
  - {{address: "unix://READER", role: reader, owner: {OTHER_USER}, group: {OTHER_GROUP}, mode: "0666"}}
"""))
        self.administrator = self.connect(self.fsd.address)
        self.reader = self.connect("unix://" + self.fsd.reader_socket)

    def test_they_have_their_owner_group_and_mode(self):
        def access(path):
            found = os.stat(path)
            return found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)

        self.assertEqual(access(self.fsd.socket), (0, OTHER_GROUP, 0o660))
        self.assertEqual(access(self.fsd.reader_socket), (OTHER_USER, OTHER_GROUP, 0o666))

    def test_an_administrator_does_everything(self):
        self.assertEqual(self.administrator.create(self.fsd).name, "exports/web")
        self.assertEqual(self.administrator.list(), ["exports/web"])
        self.administrator.delete()
        self.assertEqual(self.administrator.list(), [])

    def test_a_reader_sees_it_and_changes_nothing(self):
        self.administrator.create(self.fsd)

        self.assertEqual(self.reader.list(), ["exports/web"])
        self.assert_refused(Code.PERMISSION_DENIED, "ROLE_NOT_SUFFICIENT", self.reader.delete)
        self.assert_refused(Code.PERMISSION_DENIED, "ROLE_NOT_SUFFICIENT",
                            lambda: self.reader.create(self.fsd, "db"))
        self.assertEqual(self.administrator.list(), ["exports/web"])

    def test_every_method_that_changes_something_is_refused_to_a_reader_and_no_other(self):
        seen = 0
        for service in SERVICES:
            for method in service.methods:
                seen += 1
                error = self.reader.call_with_nothing(service, method)
                refused = error is not None and error.code() == Code.PERMISSION_DENIED
                self.assertEqual(refused, not READING.match(method.name), method.full_name)
                if refused:
                    self.assertEqual(reason_of(error), "ROLE_NOT_SUFFICIENT", method.full_name)
                # Whatever an administrator's call ends with, it is not that.
                error = self.administrator.call_with_nothing(service, method)
                self.assertNotEqual(error.code() if error else None, Code.PERMISSION_DENIED, method.full_name)
        self.assertGreaterEqual(seen, 5)

    def test_what_is_no_method_is_refused(self):
        call = self.administrator.channel.unary_unary("/fsd.v1.ExportService/FormatHost")
        self.assert_refused(Code.PERMISSION_DENIED, "METHOD_NOT_ALLOWED", lambda: call(b"", timeout=WAIT_SECONDS))

    def test_health_and_reflection_are_there_for_both(self):
        for client in (self.administrator, self.reader):
            health = client.channel.unary_unary("/grpc.health.v1.Health/Check")
            self.assertEqual(health(b"", timeout=WAIT_SECONDS), b"\x08\x01")  # SERVING
            reflect = client.channel.stream_stream(
                "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
            answers = reflect(iter([b"\x3a\x01*"]), timeout=WAIT_SECONDS)  # list_services: "*"
            self.assertIn(b"fsd.v1.ExportService", next(answers))

    def test_health_is_watched(self):
        watch = self.reader.channel.unary_stream("/grpc.health.v1.Health/Watch")
        states = watch(b"\x0a\x0bexports/web", timeout=WAIT_SECONDS)
        self.assertEqual(next(states), b"\x08\x03")  # SERVICE_UNKNOWN
        self.administrator.create(self.fsd)
        self.assertTrue(any(state == b"\x08\x01" for state in states))  # until it serves
        states.cancel()

    def test_the_audit_log_says_who_did_what_and_how_it_ended(self):
        self.administrator.create(self.fsd)
        with self.assertRaises(grpc.RpcError):
            self.administrator.delete("other")

        caller = f"audit: uid={os.getuid()} gid={os.getgid()} pid={os.getpid()} role=admin called=/fsd.v1."
        self.wait_for_line(caller + r'ExportService/CreateExport resource="exports/web" code=OK duration_us=\d+\n')
        self.wait_for_line(caller + r'ExportService/DeleteExport resource="exports/other" code=NOT_FOUND')
        self.assertNotIn("ListExports", self.fsd.log_text())

    def run_as_other(self, socket_path):
        # Where anybody can run it.
        os.chmod(self.fsd.directory, 0o755)
        program = shutil.copy(binary("cli/fsctl"), self.fsd.directory)
        return subprocess.run([program, "--server", "unix://" + socket_path, "export", "delete", "web"],
                              user=OTHER_USER, group=OTHER_USER, extra_groups=[], check=False, cwd="/",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=WAIT_SECONDS)

    def test_another_user_is_told_by_its_own_ids(self):
        self.assertNotEqual(self.run_as_other(self.fsd.reader_socket).returncode, 0)

        self.wait_for_line(rf"audit: uid={OTHER_USER} gid={OTHER_USER} pid=\d+ role=reader was refused "
                           r'"/fsd.v1.ExportService/DeleteExport" code=PERMISSION_DENIED')

    def test_who_may_not_connect_does_not(self):
        done = self.run_as_other(self.fsd.socket)

        self.assertNotEqual(done.returncode, 0)
        self.assertNotIn("was refused", self.fsd.log_text())

    def test_many_clients_come_and_go(self):
        self.administrator.create(self.fsd)
        for _ in range(150):
            with grpc.insecure_channel("unix://" + self.fsd.reader_socket,
                                       options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                self.assertEqual(Client(channel).list(), ["exports/web"])
        wait_for("their descriptors to be closed",
                 lambda: len(os.listdir(f"/proc/{self.fsd.process.pid}/fd")) < 100)


class Tls(AccessTest):
    @classmethod
    def setUpClass(cls):
        make_certificates()

    def listen(self, **changes):
        settings = {"certificate": f"{WORK}/server.crt", "key": f"{WORK}/server.key",
                    "client_ca": f"{WORK}/clients.crt",
                    "clients": "[{role: admin, common_name: orchestrator}, "
                               "{role: reader, alternative_name: monitor.example.org}]", **changes}
        self.port = free_port()
        lines = "".join(f"    {key}: {value}\n" for key, value in settings.items() if value)
        return (f"listen:\n  - {{address: \"unix://SOCKET\", role: admin}}\n"
                f"  - address: tcp://127.0.0.1:{self.port}\n{lines}")

    def start(self):
        self.fsd = self.enterContext(FsdWithListeners(self.listen()))

    def client(self, name=None, authority="servers"):
        certificate = (pem(name + ".key"), pem(name + ".crt")) if name else (None, None)
        return self.connect(f"127.0.0.1:{self.port}",
                            grpc.ssl_channel_credentials(pem(authority + ".crt"), *certificate))

    def test_roles_are_by_certificate(self):
        self.start()
        orchestrator, monitor = self.client("orchestrator"), self.client("monitor")

        orchestrator.create(self.fsd)
        self.assertEqual(monitor.list(), ["exports/web"])
        self.assert_refused(Code.PERMISSION_DENIED, "ROLE_NOT_SUFFICIENT", monitor.delete)
        orchestrator.delete()

        self.wait_for_line(r'audit: cn="orchestrator" peer=ipv4:127.0.0.1:\d+ role=admin '
                           r'called=/fsd.v1.ExportService/DeleteExport resource="exports/web" code=OK')
        self.wait_for_line(r'audit: cn="anything" san="monitor.example.org" peer=\S+ role=reader was refused')

    def test_a_certificate_without_a_role_may_do_nothing(self):
        self.start()
        self.assert_refused(Code.PERMISSION_DENIED, "ROLE_NOT_SUFFICIENT", self.client("nobody").list)
        self.wait_for_line(r'audit: cn="nobody" peer=\S+ role=none was refused .*PERMISSION_DENIED')

    def test_a_client_without_a_certificate_is_told_what_it_lacks(self):
        self.start()
        self.assert_refused(Code.UNAUTHENTICATED, "CLIENT_UNKNOWN", self.client().list)
        for service in SERVICES:
            for method in service.methods:
                error = self.client().call_with_nothing(service, method)
                self.assertEqual(error.code(), Code.UNAUTHENTICATED, method.full_name)
        self.wait_for_line(r"audit: peer=\S+ role=none was refused .*UNAUTHENTICATED")

    def test_a_certificate_of_other_authorities_does_not_get_through(self):
        self.start()
        with self.assertRaises(grpc.RpcError) as raised:
            self.client("impostor").list()
        self.assertEqual(raised.exception.code(), Code.UNAVAILABLE)
        self.wait_for_line(r"warning fsd.*grpc: Handshake failed.*certificate verify failed")
        self.assertEqual(self.client("orchestrator").list(), [])

    def test_a_client_that_does_not_speak_tls_does_not_get_through(self):
        self.start()
        with self.assertRaises(grpc.RpcError) as raised:
            self.connect(f"127.0.0.1:{self.port}").list()
        self.assertEqual(raised.exception.code(), Code.UNAVAILABLE)

    def test_the_server_has_a_certificate_too(self):
        self.start()
        with self.assertRaises(grpc.RpcError) as raised:
            self.client("orchestrator", authority="strangers").list()
        self.assertEqual(raised.exception.code(), Code.UNAVAILABLE)

    def refusal_to_start(self, listen):
        fsd = FsdWithListeners(listen)
        self.addCleanup(fsd.close)
        done = subprocess.run([binary("server/exe/fsd"), *fsd.flags()], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=WAIT_SECONDS, check=False)
        self.assertNotEqual(done.returncode, 0)
        return done.stdout

    def test_without_a_part_of_mutual_tls_it_does_not_start_and_names_the_part(self):
        for part in ("certificate", "key", "client_ca", "clients"):
            self.assertIn(f"lacks {part}", self.refusal_to_start(self.listen(**{part: None})))
        said = self.refusal_to_start(self.listen(certificate=None, key=f"{WORK}/none.key"))
        self.assertIn("lacks certificate", said)
        self.assertIn("none.key cannot be read",
                      self.refusal_to_start(self.listen(key=f"{WORK}/none.key")))

    def test_with_a_key_of_another_certificate_it_does_not_start(self):
        self.assertIn("do not belong together", self.refusal_to_start(self.listen(key=f"{WORK}/nobody.key")))

    def test_files_that_hold_something_else_are_named(self):
        for setting, kind, said in (("certificate", "CERTIFICATE", "holds no certificate in PEM"),
                                    ("client_ca", "CERTIFICATE", "holds no certificate in PEM"),
                                    ("key", "PRIVATE KEY", "holds no key in PEM")):
            path = os.path.join(WORK, "empty")
            with open(path, "w", encoding="ascii") as file:
                file.write(f"-----BEGIN {kind}-----\n-----END {kind}-----\n")
            self.assertIn(f"{path} {said}", self.refusal_to_start(self.listen(**{setting: path})))

    def test_files_that_are_renewed_are_used_without_a_restart(self):
        live = os.path.join(WORK, "live")
        os.mkdir(live)

        def put(**files):
            for name, source in files.items():
                # By rename, as those who renew certificates do.
                shutil.copy(os.path.join(WORK, source), os.path.join(live, "new"))
                os.rename(os.path.join(live, "new"), os.path.join(live, name))

        put(certificate="server.crt", key="server.key", client_ca="clients.crt")
        self.fsd = self.enterContext(FsdWithListeners(self.listen(
            **{name: os.path.join(live, name) for name in ("certificate", "key", "client_ca")})))
        before = self.client("orchestrator")
        self.assertEqual(before.list(), [])

        make_certificate("strangers", "renewed", "/CN=fsd", "DNS:localhost", "IP:127.0.0.1")
        put(certificate="renewed.crt", key="renewed.key", client_ca="strangers.crt")

        def renewed():
            try:
                return self.connect_anew("impostor") == []
            except grpc.RpcError as error:
                self.assertEqual(error.code(), Code.UNAVAILABLE)
                time.sleep(0.5)
                return False
        wait_for("the new certificate", renewed)
        self.assertEqual(before.list(), [], "who is connected stays")
        with self.assertRaises(grpc.RpcError):
            self.connect_anew("orchestrator")

    def connect_anew(self, name):
        credentials = grpc.ssl_channel_credentials(pem("strangers.crt"), pem(name + ".key"), pem(name + ".crt"))
        with grpc.secure_channel(f"127.0.0.1:{self.port}", credentials,
                                 options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            return Client(channel).list()

    def test_on_an_address_that_is_taken_it_does_not_start(self):
        self.start()
        taken = self.port
        other = self.listen().replace(str(self.port), str(taken))
        self.assertIn(f"cannot listen on tcp://127.0.0.1:{taken}", self.refusal_to_start(other))


if __name__ == "__main__":
    unittest.main(verbosity=2)
