"""A supervisor with directories of its own, driven through fsctl as an operator would.

    with Service() as service:
        export = service.create("web", tag="myfs")
        ... export.socket, export.source ...
"""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))
from running_fsd import RunningFsd, binary, wait_for  # pylint: disable=wrong-import-position


def process_tree(pid):
    """The process and all its descendants."""
    found = [pid]
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children", encoding="ascii") as children:
            for child in children.read().split():
                found += process_tree(int(child))
    return found


def open_fds(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    raise ValueError(f"process {pid} has no VmRSS")


class Export:
    """An export as `fsctl export get` sees it."""

    def __init__(self, service, name, source, socket):
        self.service, self.name, self.source, self.socket = service, name, source, socket

    def get(self):
        return json.loads(self.service.fsctl("export", "get", self.name, "-o", "json"))

    def state(self):
        return self.get()["status"]["state"]

    def worker_pid(self):
        return int(self.get()["status"]["workerPid"])

    def wait_state(self, state):
        wait_for(f"export {self.name} to be {state}", lambda: self.state() == state)

    def write(self, name, data):
        with open(os.path.join(self.source, name), "wb") as file:
            file.write(data)

    def read(self, name):
        with open(os.path.join(self.source, name), "rb") as file:
            return file.read()


class Service(RunningFsd):
    """One running fsd."""

    def fsctl(self, *arguments):
        done = self.try_fsctl(*arguments)
        if done.returncode != 0:
            raise RuntimeError(f"fsctl {' '.join(arguments)} exited with {done.returncode}: {done.stderr}")
        return done.stdout

    def create(self, name, tag="myfs", source=None, *flags):
        source = source or self.share(name)
        made = json.loads(self.fsctl("export", "create", name, "--source", source, "--tag", tag,
                                     "-o", "json", *flags))
        return Export(self, name, source, made["socket"]["path"])

    def delete(self, name, *flags):
        self.fsctl("export", "delete", name, *flags)
