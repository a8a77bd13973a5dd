"""A stock Python client of the API: python3-grpcio and protoc's stubs, made when this is imported.

A test case derives from ApiTestCase, which has an fsd of its own.
"""
import glob
import os
import socket
import subprocess
import sys
import tempfile
import unittest

import grpc

from running_fsd import RunningFsd, wait_for


def generate_stubs():
    """What any client does with the .proto files, which are imported below proto/."""
    directory = tempfile.mkdtemp(dir=os.environ["TEST_TMPDIR"])
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
from fsd.v1 import (error_reason_pb2, export_pb2, export_service_pb2, export_service_pb2_grpc,
                    server_service_pb2, server_service_pb2_grpc)
from google.protobuf import any_pb2  # noqa: F401  (status_pb2 needs it)
from google.rpc import error_details_pb2, status_pb2

Code = grpc.StatusCode
State = export_pb2.ExportStatus.State
TIMEOUT_SECONDS = 60


class Failure:
    """What a stock client finds in a failed call."""

    def __init__(self, error):
        self.code = error.code()
        self.message = error.details()
        self.reason = self.domain = None
        self.metadata = {}
        self.violations = {}
        for key, value in error.trailing_metadata():
            if key == "grpc-status-details-bin":
                self._decode(status_pb2.Status.FromString(value))

    def _decode(self, status):
        for detail in status.details:
            info, bad = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
            if detail.Unpack(info):
                self.reason, self.domain, self.metadata = info.reason, info.domain, dict(info.metadata)
            elif detail.Unpack(bad):
                self.violations = {v.field: v.reason for v in bad.field_violations}


class ApiTestCase(unittest.TestCase):
    FSD_FLAGS = ()

    @classmethod
    def setUpClass(cls):
        cls.fsd = cls.enterClassContext(RunningFsd(*cls.FSD_FLAGS))
        cls.channel = cls.enterClassContext(grpc.insecure_channel(cls.fsd.address))
        cls.exports = export_service_pb2_grpc.ExportServiceStub(cls.channel)
        cls.server = server_service_pb2_grpc.ServerServiceStub(cls.channel)

    def tearDown(self):
        for export in self.list():
            self.delete(export.name, mode="FORCE")

    def spec(self, name="web", **fields):
        source = export_pb2.Source(passthrough=export_pb2.Passthrough(path=self.fsd.share(name)))
        return export_pb2.Export(**{"source": source, "tag": "myfs", **fields})

    def create(self, name="web", spec=None, **arguments):
        request = export_service_pb2.CreateExportRequest(export_id=name, export=spec or self.spec(name),
                                                         **arguments)
        return self.exports.CreateExport(request, timeout=TIMEOUT_SECONDS)

    def get(self, name):
        return self.exports.GetExport(export_service_pb2.GetExportRequest(name=name),
                                      timeout=TIMEOUT_SECONDS)

    def list(self, **arguments):
        return self.exports.ListExports(export_service_pb2.ListExportsRequest(**arguments),
                                        timeout=TIMEOUT_SECONDS).exports

    def delete(self, name, **arguments):
        request = export_service_pb2.DeleteExportRequest(name=name, **arguments)
        return self.exports.DeleteExport(request, timeout=TIMEOUT_SECONDS)

    def failure(self, call, *arguments, **named):
        with self.assertRaises(grpc.RpcError) as raised:
            call(*arguments, **named)
        failure = Failure(raised.exception)
        self.assertEqual(failure.domain, "fsd")
        self.assertIn(failure.reason, error_reason_pb2.ErrorReason.keys())
        return failure

    def connect(self, export):
        """A front-end, as far as the export's state is concerned."""
        front_end = socket.socket(socket.AF_UNIX)
        self.addCleanup(front_end.close)
        front_end.connect(export.socket.path)
        wait_for("the connection to be seen",
                 lambda: self.get(export.name).status.state == State.Value("CONNECTED"))
        return front_end
