#!/usr/bin/env python3
"""A hundred clients that call at random, and what must hold whatever they do."""
import collections
import os
import random
import sys
import threading
import unittest

import grpc

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from api_client import ApiTestCase, Failure, State, export_pb2, export_service_pb2 as messages
from running_fsd import wait_for

CLIENTS = 100
CALLS_EACH = 12
IDS = 12
SOCKETS = 4
TIMEOUT_SECONDS = 300  # a busy machine's; only a failing test waits so long
# What a client may meet that does nothing wrong but to come at the wrong moment.
EXPECTED = {"EXPORT_BUSY", "EXPORT_NOT_FOUND", "EXPORT_EXISTS", "EXPORT_IN_USE", "SOCKET_IN_USE",
            "ETAG_MISMATCH", "OPERATION_ENDED"}


class Client(threading.Thread):
    """Calls at random; keeps what it was told is done."""

    def __init__(self, number, test):
        super().__init__()
        self.random = random.Random(number)
        self.test = test
        self.exports = test.exports
        self.created = []  # (name, uid)
        self.deleted = []  # name
        self.labelled = []  # (name, uid, key)
        self.failures = collections.Counter()
        self.unexpected = []

    def run(self):
        calls = (self.create, self.create, self.create, self.delete, self.delete, self.update, self.update,
                 self.get, self.list, self.drain, self.resume, self.disconnect, self.restart)
        for number in range(CALLS_EACH):
            self.number = number
            try:
                self.random.choice(calls)(f"e{self.random.randrange(IDS)}")
            except grpc.RpcError as error:
                reason = Failure(error).reason
                self.failures[reason] += 1
                if reason not in EXPECTED:
                    self.unexpected.append(str(error))

    def create(self, name):
        spec = self.test.spec("shared")
        if self.random.random() < 0.5:
            spec.socket.path = f"{self.test.fsd.sockets}/s{self.random.randrange(SOCKETS)}.sock"
        export = self.exports.CreateExport(messages.CreateExportRequest(export_id=name, export=spec),
                                           timeout=TIMEOUT_SECONDS)
        self.created.append((export.name, export.uid))

    def delete(self, name):
        mode = self.random.choice(("SAFE", "DRAIN", "FORCE"))
        self.exports.DeleteExport(messages.DeleteExportRequest(name=f"exports/{name}", mode=mode),
                                  timeout=TIMEOUT_SECONDS)
        self.deleted.append(f"exports/{name}")

    def update(self, name):
        key = f"{self.name}-{self.number}"
        paths, export = [f"labels.{key}"], export_pb2.Export(name=f"exports/{name}", labels={key: "x"})
        if self.random.random() < 0.3:
            paths.append("cache.policy")
            export.cache.policy = self.random.randrange(1, 5)
        updated = self.exports.UpdateExport(
            messages.UpdateExportRequest(export=export, update_mask={"paths": paths}),
            timeout=TIMEOUT_SECONDS).export
        self.labelled.append((updated.name, updated.uid, key))

    def get(self, name):
        self.exports.GetExport(messages.GetExportRequest(name=f"exports/{name}"), timeout=TIMEOUT_SECONDS)

    def list(self, _):
        sockets = [e.socket.path for e in self.exports.ListExports(
            messages.ListExportsRequest(filter="status.state != DELETING"), timeout=TIMEOUT_SECONDS).exports]
        if len(set(sockets)) != len(sockets):
            self.unexpected.append(f"two exports of one socket: {sorted(sockets)}")

    def drain(self, name):
        self.exports.DrainExport(messages.DrainExportRequest(name=f"exports/{name}", timeout={"seconds": 60}),
                                 timeout=TIMEOUT_SECONDS)

    def resume(self, name):
        self.exports.ResumeExport(messages.ResumeExportRequest(name=f"exports/{name}"),
                                  timeout=TIMEOUT_SECONDS)

    def disconnect(self, name):
        self.exports.DisconnectExport(messages.DisconnectExportRequest(name=f"exports/{name}"),
                                      timeout=TIMEOUT_SECONDS)

    def restart(self, name):
        self.exports.RestartWorker(messages.RestartWorkerRequest(name=f"exports/{name}", force=True),
                                   timeout=TIMEOUT_SECONDS)


class Watcher(threading.Thread):
    """What there is, as a watcher sees it."""

    def __init__(self, exports):
        super().__init__(daemon=True)
        self.stream = exports.WatchExports(messages.WatchExportsRequest())
        self.seen = {}
        self.error = None

    def run(self):
        try:
            for response in self.stream:
                if response.kind == messages.WatchExportsResponse.REMOVED:
                    del self.seen[response.export.name]
                elif response.kind != messages.WatchExportsResponse.BOOKMARK:
                    self.seen[response.export.name] = response.export.etag
        except grpc.RpcError as error:
            self.error = error


class ConcurrentCallsTest(ApiTestCase):
    def records(self):
        return sorted(f"exports/{name}" for name in os.listdir(f"{self.fsd.directory}/state/exports"))

    def listed(self):
        return {export.name: export for export in self.list(page_size=1000)}

    def test_a_hundred_clients_leave_everything_as_they_were_told(self):
        watcher = Watcher(self.exports)
        watcher.start()
        clients = [Client(number, self) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()

        failures = sum((client.failures for client in clients), collections.Counter())
        print(f"{CLIENTS * CALLS_EACH} calls, refused: {dict(failures)}", flush=True)
        self.assertEqual([error for client in clients for error in client.unexpected], [])
        self.check_that_what_was_told_is_so(clients)
        listed = self.listed()
        wait_for("the watcher to see the same",
                 lambda: watcher.seen == {name: export.etag for name, export in self.listed().items()})
        self.assertIsNone(watcher.error)
        self.assertEqual(self.records(), sorted(listed))
        self.check_that_a_restart_changes_nothing(listed)

    def check_that_what_was_told_is_so(self, clients):
        listed = self.listed()
        created = collections.defaultdict(set)
        for client in clients:
            for name, uid in client.created:
                created[name].add(uid)
        deleted = collections.Counter(name for client in clients for name in client.deleted)
        self.assertGreater(sum(map(len, created.values())), IDS, "or else nothing has been tried")
        self.assertGreater(sum(deleted.values()), 0)
        for name, uids in created.items():
            # Each incarnation that somebody was told of is there, or somebody was told that it is gone.
            self.assertEqual(len(uids), deleted[name] + (name in listed), name)
            if name in listed:
                self.assertIn(listed[name].uid, uids)
        self.assertLessEqual(set(listed), set(created))
        sockets = [export.socket.path for export in listed.values()]
        self.assertEqual(len(set(sockets)), len(sockets))
        for client in clients:
            for name, uid, key in client.labelled:
                if name in listed and listed[name].uid == uid:
                    self.assertIn(key, listed[name].labels)

    def check_that_a_restart_changes_nothing(self, listed):
        self.fsd.stop()
        self.fsd.start()

        def back():
            try:
                now = self.listed()
            except grpc.RpcError:
                return None
            settled = all(export.status.state != State.Value("CREATING") for export in now.values())
            return now if settled else None

        now = wait_for("every export to be back", back)
        self.assertEqual({name: (export.uid, export.etag) for name, export in now.items()},
                         {name: (export.uid, export.etag) for name, export in listed.items()})
        self.assertEqual({State.Name(export.status.state) for export in now.values()}
                         - {"LISTENING", "DRAINING"}, set())


if __name__ == "__main__":
    unittest.main(verbosity=2)
