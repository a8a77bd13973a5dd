"""A real Linux guest under QEMU: boots in seconds, runs shell commands, speaks QMP.

    with Guest(share=(socket, "myfs")) as guest:
        guest.mount("myfs", "/mnt")
        print(guest.run("ls /mnt"))
"""
import json
import os
import queue
import re
import shlex
import socket
import subprocess
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
# Guests boot in two to eight seconds here; a loaded machine may need far longer.
BOOT_SECONDS = 180
COMMAND_SECONDS = 120
MEMORY = "256M"


class GuestError(Exception):
    """The guest did not do what was asked; says what it printed."""


# Debian 12's own kernel (6.1, FUSE 7.37) and the newest it also has (6.12, FUSE 7.41).
OLD_KERNEL = "cloud-amd64"
NEW_KERNEL = "6.12-cloud-amd64"


def image_directory(kernel):
    """The directory with this kernel's vmlinux and initramfs.cpio, made if it is missing."""
    made = subprocess.run([os.path.join(HERE, "guest_image.sh"), kernel], check=True,
                          stdout=subprocess.PIPE, text=True)
    return made.stdout.strip().splitlines()[-1]


def share_arguments(path, tag, memory=MEMORY):
    """The arguments an operator passes to QEMU for one share, as in the README."""
    return shlex.split(
        f"-chardev socket,id=char0,path={path} -device vhost-user-fs-pci,chardev=char0,tag={tag} "
        f"-object memory-backend-memfd,id=mem,size={memory},share=on -numa node,memdev=mem")


def share_device(path, tag):
    """The arguments for one of several shares; the memory is given by Guest."""
    return ["-chardev", f"socket,id=c-{tag},path={path}",
            "-device", f"vhost-user-fs-pci,chardev=c-{tag},tag={tag},queue-size=1024"]


class Qmp:
    """QEMU's machine protocol over a unix socket."""

    def __init__(self, path):
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(COMMAND_SECONDS)
        self._socket.connect(path)
        self._file = self._socket.makefile("rw")
        self._events = []
        self._read()
        self.call("qmp_capabilities")

    def _read(self):
        line = self._file.readline()
        if not line:
            raise GuestError("QEMU closed its QMP connection")
        return json.loads(line)

    def call(self, command, **arguments):
        self._file.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._file.flush()
        while True:
            message = self._read()
            if "event" in message:
                self._events.append(message)
            elif "error" in message:
                raise GuestError(f"QMP {command}: {message['error']['desc']}")
            else:
                return message["return"]

    def wait_event(self, name, **data):
        """Returns the first event of this name whose data holds all of `data`."""
        def matches(event):
            return event["event"] == name and data.items() <= event.get("data", {}).items()

        while True:
            for event in self._events:
                if matches(event):
                    self._events.remove(event)
                    return event
            message = self._read()
            if "event" in message:
                self._events.append(message)

    def close(self):
        self._file.close()
        self._socket.close()


class Guest:
    """One QEMU process. Ended with kill() or, as an operator would, power_off()."""

    def __init__(self, share=None, arguments=None, hotplug_ports=0, memory=MEMORY,
                 kernel=OLD_KERNEL, processors=1):
        """share: (socket path, tag). arguments: QEMU arguments in its stead, e.g. fsctl's or those of
        several shares (share_device); shared memory is added if they have none."""
        image = image_directory(kernel)
        self._directory = tempfile.mkdtemp(prefix="fsd-guest-")
        qmp_path = os.path.join(self._directory, "qmp.sock")
        # Room for a second processor in any case: with one, QEMU translates the guest's memory barriers
        # and atomic operations to none, and the guest can miss that its device has not called it.
        command = ["qemu-system-x86_64", "-M", "q35", "-accel", "tcg", "-cpu", "qemu64",
                   "-smp", f"{processors},maxcpus={max(processors, 2)}", "-m", memory, "-nodefaults", "-no-user-config", "-display", "none",
                   "-serial", "stdio", "-qmp", f"unix:{qmp_path},server=on,wait=off",
                   "-kernel", os.path.join(image, "vmlinux"),
                   "-initrd", os.path.join(image, "initramfs.cpio"),
                   "-append", "console=ttyS0 quiet panic=-1 reboot=t"]
        if arguments is None and share is not None:
            arguments = share_arguments(*share, memory=memory)
        if arguments is None:
            arguments = []
        if "-object" not in arguments:
            arguments = shlex.split(f"-object memory-backend-memfd,id=mem,size={memory},share=on "
                                    "-numa node,memdev=mem") + arguments
        for port in range(hotplug_ports):
            command += ["-device", f"pcie-root-port,id=rp{port},chassis={port + 1},slot={port + 1}"]
        self.process = subprocess.Popen(command + arguments, stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._lines = queue.Queue()
        self.console = []
        threading.Thread(target=self._read_console, daemon=True).start()
        self._qmp_path = qmp_path
        self._qmp = None
        try:
            self.wait_ready()
        except BaseException:
            self.kill()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def _read_console(self):
        for raw in self.process.stdout:
            line = raw.decode("utf-8", "replace").rstrip("\r\n")
            self.console.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def _next_line(self, deadline, doing):
        try:
            line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
        except queue.Empty:
            line = None
        if line is None:
            said = "\n  ".join(self.console[-25:])
            raise GuestError(f"the guest did not finish {doing}; its console:\n  {said}")
        return line

    def wait_ready(self):
        """Waits for the guest to have booted (again)."""
        deadline = time.monotonic() + BOOT_SECONDS
        while "@@READY" not in self._next_line(deadline, "booting"):
            pass

    def start(self, command):
        """Sends a command without waiting for its end."""
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()

    def try_run(self, command, seconds=COMMAND_SECONDS):
        """Runs one line of shell; returns (status, output)."""
        assert "\n" not in command and len(command) < 4000, "one line of shell, at most 4000 bytes"
        self.start(command)
        return self.finish(command, seconds)

    def finish(self, command, seconds=COMMAND_SECONDS):
        """Waits for a started command; returns (status, output)."""
        deadline = time.monotonic() + seconds
        output = []
        while True:
            line = self._next_line(deadline, command)
            end = re.search(r"@@END (\d+)$", line)
            if end:
                # Output without a newline of its own stands in front of the mark.
                output.append(line[:end.start()])
                return int(end.group(1)), "\n".join(output).rstrip("\n")
            output.append(line)

    def run(self, command, seconds=COMMAND_SECONDS):
        """Runs one line of shell that must succeed; returns its output."""
        status, output = self.try_run(command, seconds)
        if status != 0:
            raise GuestError(f"`{command}` in the guest exited with {status}: {output}")
        return output

    def mount(self, tag, directory, seconds=COMMAND_SECONDS):
        """Mounts a share; waits for the device to appear, as after a hot-plug."""
        self.run(f"mkdir -p {directory}; n=0; until mount -t virtiofs {tag} {directory} 2>/tmp/e; do "
                 f"n=$((n+1)); [ $n -lt 600 ] || {{ cat /tmp/e; false; break; }}; usleep 50000; done",
                 seconds)

    @property
    def qmp(self):
        if self._qmp is None:
            self._qmp = Qmp(self._qmp_path)
        return self._qmp

    def plug(self, commands, port=0):
        """Hot-plugs a share as an orchestrator does: `commands` as `fsctl export args --for qmp -o json`
        has them. Returns the device's id, for unplug()."""
        for command in commands:
            arguments = dict(command["arguments"])
            if command["execute"] == "device_add":
                arguments["bus"] = f"rp{port}"
                device = arguments["id"]
            self.qmp.call(command["execute"], **arguments)
        return device

    def unplug(self, device):
        """Unplugs it and waits until the guest has let go."""
        self.qmp.call("device_del", id=device)
        self.qmp.wait_event("DEVICE_DELETED", device=device)
        self.qmp.call("chardev-remove", id=device)

    def reboot(self):
        self.start("sync; reboot -f")
        self.wait_ready()

    def power_off(self):
        """Shuts the guest down from within and waits for QEMU to end."""
        self.start("sync; poweroff -f")
        try:
            self.process.wait(BOOT_SECONDS)
        except subprocess.TimeoutExpired:
            raise GuestError("QEMU did not end after the guest powered off") from None
        self.kill()

    def kill(self):
        """Ends QEMU at once, as a crash of the VMM would."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self._qmp is not None:
            self._qmp.close()
            self._qmp = None
        for stream in (self.process.stdin, self.process.stdout):
            try:
                stream.close()
            except BrokenPipeError:
                pass
        for name in os.listdir(self._directory) if os.path.isdir(self._directory) else []:
            os.unlink(os.path.join(self._directory, name))
        if os.path.isdir(self._directory):
            os.rmdir(self._directory)
