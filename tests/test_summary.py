#!/usr/bin/env python3
"""Prints 'N passed, N failed, N skipped' for runs of `bazel test`, from their build event files.

usage: tests/test_summary.py FILE... (bazel test --build_event_json_file=FILE ...)

Counts gtest cases where a test wrote test.xml itself, else the target as one test; and in a FILE that is no
event file each line that begins with 'passed: ' or 'failed: ' (tests/fuzz/run.sh).
Exits 1 on a failure, 2 if no test ran.
"""
import json
import sys
import urllib.parse
import xml.etree.ElementTree as ET


def cases(uri):
    path = urllib.parse.unquote(urllib.parse.urlparse(uri).path)
    try:
        root = ET.parse(path).getroot()
    except (OSError, ET.ParseError):
        return None
    passed = failed = skipped = 0
    for case in root.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.get("status") == "notrun" or case.get("result") in ("skipped", "suppressed") or case.find("skipped") is not None:
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


def rows(paths):
    for path in paths:
        with open(path, encoding="utf-8", errors="replace") as f:
            yield from f


def main():
    total = [0, 0, 0]
    attempts = {}
    built = True
    for path in sys.argv[1:]:
        with open(path, encoding="utf-8", errors="replace") as f:
            text = f.read()
        if '"finished":{' not in text and "passed: " not in text and "failed: " not in text:
            total[1] += 1
            print("not run to its end:", path)
    for row in rows(sys.argv[1:]):
        if row.startswith(("passed: ", "failed: ")):
            total[row.startswith("failed: ")] += 1
        try:
            event = json.loads(row) if row.startswith("{") else {}
        except ValueError:  # a run that was cut off, or what a fuzzer says
            continue
        if "testResult" in event:
            i = event["id"]["testResult"]
            # The last attempt of a (target, run, shard) is the one that counts.
            attempts[(i["label"], i.get("run", 1), i.get("shard", 1))] = event["testResult"]
        if "finished" in event:
            built = built and event["finished"]["exitCode"].get("code", 0) in (0, 3)
        if event.get("testSummary", {}).get("overallStatus") in ("NO_STATUS", "FAILED_TO_BUILD"):
            total[1] += 1
            print("not run:", event["id"]["testSummary"]["label"])
    for (label, run, shard), result in sorted(attempts.items()):
        ok = result.get("status") in ("PASSED", "FLAKY")
        found = None
        for output in result.get("testActionOutput", []):
            if output["name"] == "test.xml":
                found = cases(output["uri"])
        if not found or not sum(found):
            found = (1, 0, 0) if ok else (0, 1, 0)
        if not ok and not found[1]:
            found = (found[0], 1, found[2])  # crashed or timed out
        if not ok:
            print("failed:", label, "run", run, "shard", shard, result.get("status"))
        total = [a + b for a, b in zip(total, found)]
    print(f"{total[0]} passed, {total[1]} failed, {total[2]} skipped")
    sys.exit(1 if total[1] or not built else 0 if total[0] else 2)


if __name__ == "__main__":
    main()
