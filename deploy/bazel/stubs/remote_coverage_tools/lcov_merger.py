#!/usr/bin/env python3
"""Turns coverage data into one lcov file (stand-in for Bazel's Java CoverageOutputGenerator).

Called twice by `bazel coverage`: per test with --coverage_dir (gcov JSON files, and
*.dat files in lcov format), and once with --reports_file (a list of lcov files).
"""
import argparse
import collections
import glob
import gzip
import json
import os
import re


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--coverage_dir")
    p.add_argument("--reports_file")
    p.add_argument("--output_file", required=True)
    p.add_argument("--filter_sources", action="append", default=[])
    p.add_argument("--source_file_manifest")
    a, _ = p.parse_known_args()
    drop = [re.compile(f) for f in a.filter_sources]
    lines = collections.defaultdict(collections.Counter)

    def add(path, line, count):
        path = re.sub(r"^/proc/self/cwd/", "", path)
        if not path.startswith(("/", "bazel-out/")) and not any(d.fullmatch(path) for d in drop):
            lines[path][line] += count

    def add_lcov(name):
        path = None
        with open(name, encoding="utf-8", errors="replace") as f:
            for row in f:
                if row.startswith("SF:"):
                    path = row[3:].strip()
                elif row.startswith("DA:") and path:
                    number, count = row[3:].split(",")[:2]
                    add(path, int(number), int(count))

    if a.coverage_dir:
        for name in glob.glob(os.path.join(a.coverage_dir, "**/*.gcov.json.gz"), recursive=True):
            with gzip.open(name, "rt") as f:
                for source in json.load(f)["files"]:
                    for line in source["lines"]:
                        add(source["file"], line["line_number"], line["count"])
        for name in glob.glob(os.path.join(a.coverage_dir, "**/*.dat"), recursive=True):
            if os.path.abspath(name) != os.path.abspath(a.output_file):
                add_lcov(name)
    if a.reports_file:
        with open(a.reports_file) as f:
            for name in f.read().split():
                if os.path.exists(name) and not name.endswith("baseline_coverage.dat"):
                    add_lcov(name)

    with open(a.output_file, "w") as out:
        for path in sorted(lines):
            hits = lines[path]
            out.write(f"SF:{path}\n")
            for number in sorted(hits):
                out.write(f"DA:{number},{hits[number]}\n")
            out.write(f"LH:{sum(1 for n in hits.values() if n)}\nLF:{len(hits)}\nend_of_record\n")


if __name__ == "__main__":
    main()
