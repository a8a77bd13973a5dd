"""fsctl as an operator meets it, over an fsd that each test case has for its own."""
import json
import os
import pty
import select
import socket
import subprocess
import time
import unittest

from running_fsd import WAIT_SECONDS, RunningFsd, binary, wait_for

(OK, FAILURE, USAGE, NOT_FOUND, CONFLICT, INVALID, PERMISSION, UNAVAILABLE, PRECONDITION, TIMED_OUT,
 NOT_SERVED) = range(11)


class Terminal:
    """A program whose stdout, stderr, or both and its stdin, are a terminal; the rest is piped."""

    def __init__(self, arguments, stdout, stderr, env=None, stdin=False):
        self.master, slave = pty.openpty()
        self.text = ""
        self.process = subprocess.Popen(arguments, stdin=slave if stdin else subprocess.DEVNULL,
                                        stdout=slave if stdout else subprocess.PIPE,
                                        stderr=slave if stderr else subprocess.PIPE, env=env)
        os.close(slave)

    def type(self, text):
        os.write(self.master, text.encode())

    def read_until(self, wanted):
        """All that was on the terminal, up to when `wanted` is there."""
        deadline = time.monotonic() + WAIT_SECONDS
        while wanted not in self.text:
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited for {wanted!r} in {self.text!r}")
            self.read_some(1)
        return self.text

    def read_some(self, seconds):
        """False when the other end is closed."""
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:  # EIO: nobody has it open any more
            return False
        self.text += data.decode()
        return bool(data)

    def finish(self):
        """The exit status, and all that was on the terminal."""
        while self.read_some(1):
            pass
        status = self.process.wait(timeout=WAIT_SECONDS)
        return status, self.text

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
        os.close(self.master)


class FsctlTestCase(unittest.TestCase):
    FSD_FLAGS = ()

    @classmethod
    def setUpClass(cls):
        cls.fsd = cls.enterClassContext(RunningFsd(*cls.FSD_FLAGS))

    def tearDown(self):
        for name in self.fsctl("export", "list", "-o", "name").split():
            self.fsctl("export", "delete", name, "--force")

    def command(self, *arguments, server=None):
        return [binary("cli/fsctl"), "--server", server or self.fsd.address, *arguments]

    def run_fsctl(self, *arguments, server=None, env=None, stdout=subprocess.PIPE, stdin=None):
        return subprocess.run(self.command(*arguments, server=server), input=stdin, stdout=stdout,
                              stderr=subprocess.PIPE, text=True, env=env, timeout=WAIT_SECONDS,
                              check=False)

    def fsctl(self, *arguments, **named):
        done = self.run_fsctl(*arguments, **named)
        self.assertEqual((done.returncode, done.stderr), (OK, ""), arguments)
        return done.stdout

    def fails(self, code, *arguments, **named):
        done = self.run_fsctl(*arguments, **named)
        self.assertEqual((done.returncode, done.stdout), (code, ""), done.stderr)
        return done.stderr

    def start(self, *arguments):
        """In the background."""
        process = subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def on_terminal(self, *arguments, stdout=True, stderr=True, env=None):
        terminal = Terminal(self.command(*arguments), stdout, stderr,
                            env=env or {**os.environ, "TERM": "xterm"})
        self.addCleanup(terminal.close)
        return terminal

    def create(self, name, *flags):
        return self.fsctl("export", "create", name, "--source", self.fsd.share(name), "--tag", "myfs",
                          *flags)

    def get(self, name):
        return json.loads(self.fsctl("export", "get", name, "-o", "json"))

    def wait_for_state(self, name, state):
        wait_for(f"{name} to be {state}", lambda: self.get(name)["status"]["state"] == state)

    def connect(self, name):
        """A front-end, as far as the export's state is concerned."""
        front_end = socket.socket(socket.AF_UNIX)
        self.addCleanup(front_end.close)
        front_end.connect(self.get(name)["socket"]["path"])
        self.wait_for_state(name, "CONNECTED")
        return front_end
