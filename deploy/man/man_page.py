#!/usr/bin/env python3
"""A program's man page, of what its --help says and what stands in a template beside it.

    man_page.py PROGRAM TEMPLATE > PAGE

The template is roff; its line "@COMMANDS@" becomes a section of each command with its options, its
line "@OPTIONS@" the program's own options. Both are asked of the program, and so cannot differ from it.
"""
import re
import subprocess
import sys

ENTRY = re.compile(r"  (?! )(.+?)(?:  +(\S.*)|\s*)$")
# One whose name ends where descriptions begin: one space is left.
FULL_ENTRY = re.compile(r"  (-\S.{24}\S) ([A-Z]\S* .*)$")


def roff(text):
    """Text that roff prints as it stands."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq")
    return "\\&" + text if text.startswith(".") else text


class Help:
    """What `program path... --help` says."""

    def __init__(self, program, path):
        done = subprocess.run([program, *path, "--help"], stdout=subprocess.PIPE, text=True, check=True)
        lines = done.stdout.splitlines()
        self.about = lines[0]
        self.usage = ""
        self.sections = []  # of a title and of pairs of a name and its description
        self.footer = []
        for line in lines[1:]:
            self._take(line)

    def _take(self, line):
        title = re.fullmatch(r"(\S[^:]*):", line)
        entry = FULL_ENTRY.fullmatch(line) or ENTRY.fullmatch(line)
        if line.startswith("Usage: "):
            self.usage = line[len("Usage: "):]
        elif title and not self.footer:
            self.sections.append((title[1], []))
        elif line.startswith("   ") and self.sections and not self.footer:
            name, about = self.sections[-1][1].pop()
            self.sections[-1][1].append((name, f"{about} {line.strip()}".strip()))
        elif entry and self.sections and not self.footer:
            self.sections[-1][1].append((entry[1], entry[2] or ""))
        elif line.strip():
            self.footer.append(line.strip())

    def commands(self):
        return [name for title, entries in self.sections if title == "Subcommands" for name, _ in entries]


def print_options(text):
    for title, entries in text.sections:
        if title == "Subcommands":
            continue
        entries = [(name, about) for name, about in entries if not name.startswith("-h,")]
        if entries and title not in ("Options", "Positionals"):
            print(f".PP\n{roff(title)}:")
        for name, about in entries:
            print(f".TP\n.B {roff(name.replace(' REQUIRED', ''))}\n{roff(about)}")


def print_commands(program, path):
    text = Help(program, path)
    commands = text.commands()
    if path and not commands:
        print(f".SS {roff(' '.join(path))}\n{roff(text.about)}.\n.PP\n.B {roff(text.usage)}")
        print_options(text)
        if text.footer and not text.footer[0].startswith("Exit status:"):
            print(".PP")
            print("\n".join(roff(line) for line in text.footer))
    for command in commands:
        print_commands(program, [*path, command])


def main():
    program, template = sys.argv[1:]
    with open(template, encoding="utf-8") as file:
        for line in file:
            if line == "@COMMANDS@\n":
                print_commands(program, [])
            elif line == "@OPTIONS@\n":
                print_options(Help(program, []))
            else:
                print(line, end="")


if __name__ == "__main__":
    main()
