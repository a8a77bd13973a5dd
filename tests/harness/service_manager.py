"""A small stand-in for systemd, as far as a service can tell: it starts a unit's program as the unit file says
(sockets, capabilities, environment), hears what the program notifies, watches it, and ends it by KillMode=.

    with ServiceManager(unit, program=[...]) as manager:
        manager.start()              # returns when the service is ready
        manager.main.pid, manager.status, manager.heard("WATCHDOG"), ...

systemd.exec(5), systemd.kill(5), sd_notify(3), sd_listen_fds(3). What it does not know it refuses.
"""
import configparser
import ctypes
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time

from running_fsd import WAIT_SECONDS, wait_for

LIBC = ctypes.CDLL(None, use_errno=True)
PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER, PR_SET_NO_NEW_PRIVS, PR_SET_MDWE = 24, 36, 38, 65
LISTEN_FDS_START = 3
CAPABILITIES = [
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE"]


class Unit:
    """A unit file. Settings that are given several times are lists, joined by a blank where systemd joins them."""

    def __init__(self, path):
        # configparser has no repeated keys: each gets a number of its own.
        parser = configparser.RawConfigParser(delimiters="=", comment_prefixes="#", strict=False)
        parser.optionxform = str
        seen = 0
        lines = []
        with open(path, encoding="utf-8") as file:
            for line in file:
                if "=" in line and not line.startswith(("#", "[")):
                    seen += 1
                    line = f"{seen}:{line}"
                lines.append(line)
        parser.read_string("".join(lines))
        self.settings = {}
        for section in parser.sections():
            for key, value in parser.items(section):
                self.settings.setdefault((section, key.split(":", 1)[1]), []).append(value)

    def all(self, section, key):
        return self.settings.get((section, key), [])

    def get(self, section, key, default=None):
        values = self.all(section, key)
        return values[-1] if values else default


def children_of(pid):
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", encoding="utf-8") as stat:
                # The command's name may have blanks and brackets.
                state, parent = stat.read().rsplit(")", 1)[1].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(parent) == pid and state != "Z":
            found.append(int(entry))
    return found


class ServiceManager:
    def __init__(self, unit, program, sockets=(), environment=None, watchdog_seconds=None):
        """`program` replaces the program of ExecStart= and its arguments. `sockets` are (unit of a socket, path in
        place of ListenStream=). `watchdog_seconds` are in place of WatchdogSec=."""
        self.unit = unit
        self.program = program
        self.environment = environment or {}
        self.watchdog_seconds = watchdog_seconds
        assert unit.get("Service", "Type") == "notify" and unit.get("Service", "NotifyAccess") == "main"
        self.directory = tempfile.mkdtemp(prefix="fsd-manager-", dir="/tmp")
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(os.path.join(self.directory, "notify"))
        self.notify.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.lock = threading.Lock()
        self.messages = []  # (key, value) of the main process, in order
        self.sockets = [self._listen(socket_unit, path) for socket_unit, path in sockets]
        self.main = None
        self.log = b""
        LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # a service's orphans stay the service's
        threading.Thread(target=self._hear, daemon=True).start()

    @staticmethod
    def _listen(unit, path):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        os.chmod(path, int(unit.get("Socket", "SocketMode"), 8))
        listener.listen()
        return listener, unit.get("Socket", "FileDescriptorName")

    def _hear(self):
        while True:
            data, ancillary, _, _ = self.notify.recvmsg(4096, socket.CMSG_SPACE(12))
            sender = int.from_bytes(ancillary[0][2][:4], "little") if ancillary else 0
            with self.lock:
                if self.main is None or sender != self.main.pid:
                    continue  # NotifyAccess=main
                for line in data.decode().splitlines():
                    self.messages.append(tuple(line.split("=", 1)))

    def heard(self, key):
        with self.lock:
            return [value for known, value in self.messages if known == key]

    @property
    def status(self):
        said = self.heard("STATUS")
        return said[-1] if said else None

    def forget(self):
        with self.lock:
            self.messages.clear()

    def _confine(self):
        """In the child."""
        kept = " ".join(self.unit.all("Service", "CapabilityBoundingSet")).split()
        for number, name in enumerate(CAPABILITIES):
            if kept and "CAP_" + name not in kept and LIBC.prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0:
                raise OSError(ctypes.get_errno(), "drop CAP_" + name)
        if self.unit.get("Service", "NoNewPrivileges") == "yes":
            LIBC.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if self.unit.get("Service", "MemoryDenyWriteExecute") == "yes":
            LIBC.prctl(PR_SET_MDWE, 1, 0, 0, 0)  # of Linux 6.3
        os.umask(int(self.unit.get("Service", "UMask", "0022"), 8))

    def spawn(self, listen_pid="$$"):
        """Starts the program, and does not wait for it."""
        environment = {"PATH": os.environ["PATH"], "NOTIFY_SOCKET": self.notify.getsockname(),
                       **self.environment}
        if self.watchdog_seconds:
            environment["WATCHDOG_USEC"] = str(int(self.watchdog_seconds * 1e6))
        reading, writing = os.pipe()
        stream = os.fstat(writing)
        environment["JOURNAL_STREAM"] = f"{stream.st_dev}:{stream.st_ino}"
        if self.sockets:
            environment["LISTEN_FDS"] = str(len(self.sockets))
            environment["LISTEN_FDNAMES"] = ":".join(name for _, name in self.sockets)
        # The shell becomes the program, whose pid the variables name. Its descriptors: high first, as a
        # socket may have the number that another is to get.
        moved = [os.dup2(listener.fileno(), 200 + i) for i, (listener, _) in enumerate(self.sockets)]
        redirections = " ".join(f"{LISTEN_FDS_START + i}<&{fd} {fd}<&-" for i, fd in enumerate(moved))
        variables = f"WATCHDOG_PID=$$ LISTEN_PID={listen_pid}"
        with self.lock:
            self.main = subprocess.Popen(
                ["bash", "-c", f'export {variables}; exec "$@" {redirections}', "bash", *self.program],
                env=environment, stdin=subprocess.DEVNULL, stdout=writing, stderr=writing, pass_fds=moved,
                preexec_fn=self._confine)
        os.close(writing)
        for fd in moved:
            os.close(fd)
        threading.Thread(target=self._read_log, args=(reading,), daemon=True).start()

    def _read_log(self, reading):
        while chunk := os.read(reading, 65536):
            self.log += chunk
        os.close(reading)

    def start(self):
        self.forget()
        self.spawn()
        wait_for("READY=1", self._is_ready)

    def _is_ready(self):
        if self.main.poll() is not None:
            raise RuntimeError(f"the service ended with {self.main.returncode}:\n{self.log_text()}")
        return "1" in self.heard("READY")

    def log_text(self):
        return self.log.decode(errors="replace")

    def processes(self):
        """All of the service but its main process."""
        main = self.main.pid if self.main else None
        found, fresh = set(), {os.getpid()}
        while fresh:
            fresh = {child for pid in fresh for child in children_of(pid)} - found
            found |= fresh
        return found - {main}

    def kill(self, number):
        """As a stop or a watchdog would, by KillMode=."""
        mode = self.unit.get("Service", "KillMode", "control-group")
        assert mode in ("process", "control-group", "mixed"), mode
        self.main.send_signal(number)
        if mode == "control-group":
            for pid in self.processes():
                os.kill(pid, number)
        status = self.main.wait(timeout=WAIT_SECONDS)
        if mode != "process":
            for pid in self.processes():
                os.kill(pid, signal.SIGKILL)
        return status

    def stop(self):
        return self.kill(signal.SIGTERM)

    def is_hung(self):
        """Whether the main process says nothing for as long as systemd would wait."""
        self.forget()
        deadline = time.monotonic() + self.watchdog_seconds
        while time.monotonic() < deadline:
            time.sleep(0.05)
            if self.heard("WATCHDOG"):
                return False
        return True

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            print(f"--- the service's log\n{self.log_text()}---", flush=True)
        if self.main is not None and self.main.poll() is None:
            self.main.kill()
            self.main.wait()
        self.main = None
        for pid in self.processes():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        wait_for("the service's processes to end", lambda: not self.processes())
        for listener, _ in self.sockets:
            os.unlink(listener.getsockname())
            listener.close()
