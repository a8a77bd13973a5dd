"""A supervisor with directories of its own, driven through fsctl as an operator would.

    with Service() as service:
        export = service.create("web", tag="myfs")
        ... export.socket, export.source ...
"""
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

WAIT_SECONDS = 60


def binary(target):
    """A built binary: beside a test in its runfiles, else in bazel-bin of this checkout."""
    root = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
    for base in (os.getcwd(), os.path.join(root, "bazel-bin")):
        path = os.path.join(base, target)
        if os.path.exists(path):
            # The real path: fsd looks for fsd-worker beside itself.
            return os.path.realpath(path)
    raise FileNotFoundError(f"{target} is not built; run: bazel build //...")


def wait_for(what, condition, seconds=WAIT_SECONDS):
    """Returns the condition's first true value."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.02)


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


class Service:
    """One running fsd."""

    def __init__(self, *flags):
        self.directory = tempfile.mkdtemp(prefix="fsd-vm-")
        self.shares = os.path.join(self.directory, "shares")
        os.mkdir(self.shares)
        self.address = f"unix://{self.directory}/fsd.sock"
        self._log = open(os.path.join(self.directory, "log"), "wb")
        self.process = subprocess.Popen(
            [binary("server/exe/fsd"), "--listen", self.address,
             "--state-dir", os.path.join(self.directory, "state"),
             "--runtime-dir", os.path.join(self.directory, "run"),
             "--allow-source", self.shares, *flags],
            stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log)
        try:
            wait_for("the supervisor to answer", self._answers)
        except BaseException:
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(f"--- the supervisor's log\n{self.log()}---", flush=True)
        self.close()

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"fsd exited with {self.process.returncode}:\n{self.log()}")
        return self.try_fsctl("server", "info").returncode == 0

    def log(self):
        with open(os.path.join(self.directory, "log"), encoding="utf-8", errors="replace") as log:
            return log.read()

    def try_fsctl(self, *arguments):
        return subprocess.run([binary("cli/fsctl"), "--server", self.address, *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=WAIT_SECONDS)

    def fsctl(self, *arguments):
        done = self.try_fsctl(*arguments)
        if done.returncode != 0:
            raise RuntimeError(f"fsctl {' '.join(arguments)} exited with {done.returncode}: {done.stderr}")
        return done.stdout

    def create(self, name, tag="myfs", source=None, *flags):
        if source is None:
            source = os.path.join(self.shares, name)
            os.makedirs(source, exist_ok=True)
        made = json.loads(self.fsctl("export", "create", name, "--source", source, "--tag", tag,
                                     "-o", "json", *flags))
        return Export(self, name, source, made["socket"]["path"])

    def delete(self, name, *flags):
        self.fsctl("export", "delete", name, *flags)

    def close(self):
        """Stops the supervisor as a service manager would, and removes its directories."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(WAIT_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
            finally:
                self._log.close()
        shutil.rmtree(self.directory, ignore_errors=True)
