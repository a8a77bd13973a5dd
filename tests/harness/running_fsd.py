"""An fsd with directories of its own, as a client of its API or an operator meets it.

    with RunningFsd() as fsd:
        fsd.address, fsd.share("web"), ...
"""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

WAIT_SECONDS = 60


def binary(target):
    """A built binary: in the test's runfiles, else in bazel-bin of this checkout."""
    root = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
    for base in (os.getcwd(), os.path.join(root, "bazel-bin")):
        path = os.path.join(base, target)
        if os.path.exists(path):
            # The real path: fsd looks for fsd-worker beside itself.
            return os.path.realpath(path)
    raise FileNotFoundError(f"{target} is not built; run: bazel build //...")


def wait_for(what, condition):
    """Returns the condition's first true value."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {WAIT_SECONDS} s for {what}")
        time.sleep(0.02)


def connects(path):
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(path) == 0


class RunningFsd:
    def __init__(self, *more_flags):
        self.more_flags = more_flags
        self.directory = tempfile.mkdtemp(prefix="fsd-api-", dir="/tmp")
        self.shares = os.path.join(self.directory, "shares")
        self.sockets = os.path.join(self.directory, "sockets")
        os.mkdir(self.shares)
        os.mkdir(self.sockets)
        self.socket = os.path.join(self.directory, "fsd.sock")
        self.address = "unix://" + self.socket
        self.api_sockets = [self.socket]  # it has started when it listens on all of them
        self.log = os.path.join(self.directory, "log")
        self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(f"--- the supervisor's log\n{self.log_text()}---", flush=True)
        self.close()

    def flags(self):
        return ["--listen", self.address, "--state-dir", os.path.join(self.directory, "state"),
                "--runtime-dir", os.path.join(self.directory, "run"),
                "--allow-source", self.shares, "--allow-socket", self.sockets,
                *self.more_flags]

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([binary("server/exe/fsd"), *self.flags()],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for("fsd to listen", self.listens)

    def listens(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"fsd exited with {self.process.returncode}:\n{self.log_text()}")
        return all(connects(path) for path in self.api_sockets)

    def stop(self):
        """The exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=WAIT_SECONDS)
        self.process = None
        return status

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

    def try_fsctl(self, *arguments):
        return subprocess.run([binary("cli/fsctl"), "--server", self.address, *arguments],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=WAIT_SECONDS, check=False)

    def share(self, name):
        """A new directory that may be shared."""
        path = os.path.join(self.shares, name)
        os.makedirs(path, exist_ok=True)
        return path

    def close(self):
        if self.process is not None:
            try:
                self.stop()
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                print(f"fsd did not stop; its log:\n{self.log_text()}", flush=True)
        shutil.rmtree(self.directory, ignore_errors=True)
