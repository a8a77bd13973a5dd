#!/usr/bin/env python3
"""What a user of zsh or fish gets by TAB, from the scripts that fsctl writes; bash's is in fsctl_output_test."""
import os
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True  # this directory is the checkout itself
sys.path.insert(0, os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "harness"))

from fsctl_case import FsctlTestCase, Terminal
from running_fsd import WAIT_SECONDS, binary

PROMPT = "fsctl-test> "


class ShellCompletionTest(FsctlTestCase):
    def setUp(self):
        self.create("web")
        self.home = self.enterContext(tempfile.TemporaryDirectory(dir="/tmp"))
        programs = os.path.join(self.home, "bin")
        os.mkdir(programs)
        os.symlink(binary("cli/fsctl"), os.path.join(programs, "fsctl"))
        self.env = {"HOME": self.home, "PATH": f"{programs}:/usr/bin:/bin", "TERM": "xterm", "LC_ALL": "C.UTF-8",
                    "FSCTL_SERVER": self.fsd.address}

    def script(self, shell, name):
        path = os.path.join(self.home, name)
        with open(path, "w", encoding="utf-8") as file:
            file.write(self.fsctl("completion", shell))
        return path

    def zsh(self, typed):
        """What the line is after TAB, in a zsh on a terminal."""
        self.script("zsh", "_fsctl")
        with open(os.path.join(self.home, ".zshrc"), "w", encoding="utf-8") as file:
            # After the completion the line is shown, between marks.
            file.write(f"""
fpath=({self.home} $fpath)
autoload -Uz compinit && compinit -u -D
unsetopt zle_bracketed_paste
PS1='{PROMPT}'
complete-and-tell() {{ zle expand-or-complete; print -rn -- "[[$BUFFER]]"; }}
zle -N complete-and-tell
bindkey '^I' complete-and-tell
""")
        return self.after_tab(["zsh", "-i", "+m"], typed)

    def after_tab(self, command, typed):
        terminal = Terminal(command, stdout=True, stderr=True, env=self.env, stdin=True)
        self.addCleanup(terminal.close)
        terminal.read_until(PROMPT)
        terminal.type(typed + "\t")
        return terminal.read_until("]]").rsplit("[[", 1)[1].split("]]")[0].strip()

    def fish(self, typed):
        """What fish offers for the line."""
        script = self.script("fish", "fsctl.fish")
        done = subprocess.run(["fish", "--no-config", "-c", f"source {script}; complete -C '{typed}'"],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self.env,
                              timeout=WAIT_SECONDS, check=False)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_zsh_completes_a_command(self):
        self.assertEqual(self.zsh("fsctl export disc"), "fsctl export disconnect")

    def test_zsh_completes_an_exports_name(self):
        self.assertEqual(self.zsh("fsctl export get w"), "fsctl export get web")

    def test_fish_completes_a_command(self):
        self.assertEqual(self.fish("fsctl export disc"), ["disconnect"])

    def test_fish_completes_an_exports_name(self):
        self.create("db")
        self.assertEqual(sorted(self.fish("fsctl export get ")), ["db", "web"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
