"""The tests that README.md names for each case exist."""
import os
import re
import sys
from pathlib import Path

# Reached through a file of the tree, since the sandbox holds only what a target lists.
ROOT = Path(os.path.realpath("WORKSPACE")).parent
ROW = re.compile(r"^\| ([A-Z]\d+) \|.*\| ([^|]+) \|$", re.M)
TEST = re.compile(r"`([\w/]+\.(?:cc|py))` `(\w+)`")
# Every row has a test; a number left out would be seen here.
CASES = [f"P{i}" for i in range(1, 17)] + [f"T{i}" for i in range(1, 10)] + ["O10", "O11", "O12", "M4", "M5", "M6", "M7"]


def main():
    rows = ROW.findall((ROOT / "tests/README.md").read_text())
    problems = [] if [case for case, _ in rows] == CASES else [f"the rows are {[case for case, _ in rows]}"]
    for case, tests in rows:
        named = TEST.findall(tests)
        if not named:
            problems.append(f"{case} names no test")
        for path, name in named:
            file = ROOT / path
            text = file.read_text() if file.exists() else ""
            if not re.search(rf"TEST(?:_F|_P)?\(\w+,\s*{name}\)|def {name}\(", text):
                problems.append(f"{case}: {path} has no {name}")
    for problem in problems:
        print("FAILED:", problem)
    print(f"{len(rows)} cases")
    sys.exit(1 if problems else 0)


main()
