"""./facet test: every test through Bazel, and the count of what passed."""
import glob
import json
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

import build


def run(targets):
    """Runs the tests named, all by default; prints a line a target and the totals last."""
    env = dict(os.environ)
    flags = [f"--test_env={name}=" + env.get(name, str(Path.home() / ".cache" / folder))
             for name, folder in [("FACET_VENV", "facet-venv"), ("FACET_SOURCES", "facet-sources")]]
    shared = build.ROOT.parent / "shared"
    if (shared / "data").is_dir():
        flags.append(f"--test_env=FACET_SHARED_DIR={shared}")
    if env.get("CI"):
        flags.append("--config=ci")
    with tempfile.TemporaryDirectory() as scratch:
        events = Path(scratch) / "events.json"
        command = ["bazel", "test", "--keep_going", "--test_summary=none", "--noshow_progress",
                   f"--build_event_json_file={events}", *flags, *(targets or ["//..."])]
        code = subprocess.run(command, cwd=build.ROOT, env=env).returncode
        logs = subprocess.run(["bazel", "info", "bazel-testlogs"], cwd=build.ROOT, env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        passed, failed = report(events, logs.stdout.strip())
    if failed == 0 and (code or not passed):
        print(f"bazel ended with status {code}")
        failed = 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def report(events, logs):
    """Prints a line for each test target; returns (passed, failed) test cases."""
    tests, built, status = set(), {}, {}
    for line in events.read_text().splitlines() if events.exists() else []:
        event = json.loads(line)
        key = event["id"]
        if "targetConfigured" in key:
            if event.get("configured", {}).get("targetKind", "").endswith("_test rule"):
                tests.add(key["targetConfigured"]["label"])
        elif "targetCompleted" in key:
            built[key["targetCompleted"]["label"]] = event.get("completed", {}).get("success", False)
        elif "testSummary" in key and "testSummary" in event:
            status[key["testSummary"]["label"]] = event["testSummary"].get("overallStatus", "NO_STATUS")
    total_passed = total_failed = total_skipped = 0
    for label in sorted(tests):
        state = status.get(label) if built.get(label) else "NOT BUILT"
        passed, failed, skipped = cases(logs, label)
        if state not in ("PASSED", "FLAKY"):
            # A crash or a time limit leaves no failing case behind: it counts as one.
            passed, failed = (passed, max(failed, 1)) if state != "NOT BUILT" else (0, 1)
        elif passed + failed + skipped == 0:
            passed = 1  # a test that is one script
        print(f"{label}: {state}, {passed} passed, {failed} failed, {skipped} skipped")
        total_passed, total_failed = total_passed + passed, total_failed + failed
        total_skipped += skipped
    if total_skipped:
        print(f"skipped cases: {total_skipped} (this machine lacks what they need; their logs say what)")
    return total_passed, total_failed


def cases(logs, label):
    """(passed, failed, skipped) cases of a target, from the XML that GoogleTest wrote."""
    package, name = label[2:].split(":")
    folder = os.path.join(logs, package, name)
    passed = failed = skipped = 0
    for path in glob.glob(folder + "/test.xml") + glob.glob(folder + "/shard_*/test.xml"):
        try:
            root = ET.parse(path).getroot()
        except ET.ParseError:
            continue
        if root.find(".//testcase[@status]") is None:
            continue  # written by Bazel around a script: the target is its one case
        for case in root.iter("testcase"):
            if case.get("status") == "notrun":
                continue
            if case.find("failure") is not None or case.find("error") is not None:
                failed += 1
            elif case.find("skipped") is not None or case.get("result") == "skipped":
                skipped += 1
            else:
                passed += 1
    return passed, failed, skipped
