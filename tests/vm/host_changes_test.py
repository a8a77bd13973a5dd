#!/usr/bin/env python3
"""What the host changes under a guest shows there as soon as the cache policy says."""
import os
import subprocess
import unittest

from guest import Guest, MEMORY, share_arguments
from service import Service

FRESH = "--attr-timeout 0s --entry-timeout 0s".split()
# One share for each. Nothing here waits for a time to pass: timeouts are none or a day.
SHARES = {
    "never": ("--cache", "never"),
    "auto": ("--cache", "auto", *FRESH),
    "metadata": ("--cache", "metadata"),
    "always": ("--cache", "always"),
    "negative": ("--cache", "always", "--negative-timeout", "1d"),
}
EVERYBODY = frozenset(SHARES)


class Change:
    """What the host does to a share, and what the guest sees of it."""

    def __init__(self, ask, act, old, new, seen_by):
        self.ask, self.act, self.old, self.new, self.seen_by = ask, act, old, new, seen_by


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


CHANGES = {
    "a mode": Change("stat -c %a mode", lambda top: os.chmod(f"{top}/mode", 0o600),
                     "644", "600", {"never", "auto"}),
    "a content": Change("cat content", lambda top: write(f"{top}/content", "new"),
                        "old", "new", {"never", "auto", "metadata"}),
    "a name that goes": Change("[ -e goes ]; echo $?", lambda top: os.unlink(f"{top}/goes"),
                               "0", "1", {"never", "auto"}),
    "a name that comes": Change("[ -e comes ]; echo $?", lambda top: write(f"{top}/comes", ""),
                                "1", "0", EVERYBODY - {"negative"}),
    "another file by rename": Change("stat -c %s moved", lambda top: os.rename(f"{top}/next", f"{top}/moved"),
                                     "3", "8", {"never", "auto"}),
}


def several_shares(exports):
    """QEMU's arguments for many shares."""
    arguments = []
    for number, (tag, export) in enumerate(exports.items()):
        one = share_arguments(export.socket, tag)
        one = [argument.replace("char0", f"char{number}") for argument in one]
        arguments += one if number == 0 else one[:4]  # the memory only once
    return arguments


class HostChanges(unittest.TestCase):
    maxDiff = None

    def test_each_policy_shows_what_it_promises(self):
        with Service() as service:
            exports = {name: service.create(name, name, None, *flags)
                       for name, flags in SHARES.items()}
            for export in exports.values():
                for name, text in (("mode", ""), ("content", "old"), ("goes", ""), ("moved", "old"),
                                   ("next", "the next")):
                    export.write(name, text.encode())
            with Guest(arguments=several_shares(exports), memory=MEMORY) as guest:
                for name in exports:
                    guest.mount(name, f"/mnt/{name}")
                seen = {}
                for what, change in CHANGES.items():
                    for name, export in exports.items():
                        ask = f"cd /mnt/{name} && {change.ask}"
                        self.assertEqual(guest.run(ask), change.old, f"{name}: {what}, before")
                        change.act(export.source)
                        after = guest.run(ask)
                        self.assertIn(after, (change.old, change.new), f"{name}: {what}")
                        if after == change.new:
                            seen.setdefault(what, set()).add(name)
                self.assertEqual(seen, {what: set(change.seen_by) for what, change in CHANGES.items()})

    def test_a_file_system_mounted_later_appears_with_its_own_device(self):
        with Service() as service:
            source = service.share("web")
            os.mkdir(os.path.join(source, "later"))
            # Its mounts propagate whatever the machine's root does.
            self.mount("--bind", source, source)
            self.mount("--make-shared", source)
            try:
                shown = service.create("shown", "shown", source, "--cache", "never")
                hidden = service.create("hidden", "hidden", source, "--cache", "never", "--no-submounts")
                exports = {"shown": shown, "hidden": hidden}
                with Guest(arguments=several_shares(exports), memory=MEMORY) as guest:
                    for name in exports:
                        guest.mount(name, f"/mnt/{name}")
                        self.assertEqual(guest.run(f"ls /mnt/{name}/later"), "")
                    self.mount("-t", "tmpfs", "later", os.path.join(source, "later"))
                    write(os.path.join(source, "later", "inside"), "text")

                    devices = {}
                    for name in exports:
                        self.assertEqual(guest.run(f"cat /mnt/{name}/later/inside"), "text")
                        guest.run(f"echo made >/mnt/{name}/later/by-{name}")
                        top, below = guest.run(f"stat -c %d /mnt/{name} /mnt/{name}/later/inside").split()
                        devices[name] = top != below
                    self.assertEqual(devices, {"shown": True, "hidden": False})
                    self.assertEqual(sorted(os.listdir(os.path.join(source, "later"))),
                                     ["by-hidden", "by-shown", "inside"])
                    status, _ = guest.try_run("ln /mnt/shown/later/inside /mnt/shown/linked")
                    self.assertNotEqual(status, 0, "a link from one file system to another")

                    for name in exports:
                        guest.run(f"umount /mnt/{name}")
                    self.mount_away(os.path.join(source, "later"))
            finally:
                self.mount_away("--recursive", source)

    def mount(self, *arguments):
        subprocess.run(["mount", *arguments], check=True)

    def mount_away(self, *arguments):
        subprocess.run(["umount", "--lazy", *arguments], check=True)


if __name__ == "__main__":
    unittest.main(verbosity=2)
