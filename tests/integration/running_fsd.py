"""An fsd with directories of its own, as a client of its API meets it.

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
    """A built binary in the test's runfiles; its real path, beside which fsd finds fsd-worker."""
    return os.path.realpath(os.path.join(os.getcwd(), target))


def wait_for(what, condition):
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {WAIT_SECONDS} s for {what}")
        time.sleep(0.02)


class RunningFsd:
    def __init__(self):
        self.directory = tempfile.mkdtemp(prefix="fsd-api-", dir="/tmp")
        self.shares = os.path.join(self.directory, "shares")
        self.sockets = os.path.join(self.directory, "sockets")
        os.mkdir(self.shares)
        os.mkdir(self.sockets)
        self.socket = os.path.join(self.directory, "fsd.sock")
        self.address = "unix://" + self.socket
        self.log = os.path.join(self.directory, "log")
        self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def flags(self):
        return ["--listen", self.address, "--state-dir", os.path.join(self.directory, "state"),
                "--runtime-dir", os.path.join(self.directory, "run"),
                "--allow-source", self.shares, "--allow-socket", self.sockets]

    def start(self):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([binary("server/exe/fsd"), *self.flags()],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for("fsd to listen", self.listens)

    def listens(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"fsd exited with {self.process.returncode}:\n{self.log_text()}")
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(self.socket) == 0

    def stop(self):
        """The exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(timeout=WAIT_SECONDS)
        self.process = None
        return status

    def log_text(self):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return log.read()

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
