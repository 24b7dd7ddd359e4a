"""The arrows between folders point only downward, and documents name files that exist."""
import os
import re
import sys
from pathlib import Path

# Reached through a file of the tree, since the sandbox holds only what a target lists.
ROOT = Path(os.path.realpath("WORKSPACE")).parent

# What each folder may include besides itself (docs/architecture.md, "Layers").
MAY_USE = {
    "base": set(),
    "proto": set(),
    "model": {"base"},
    "kernels": {"base"},
    "router": {"base", "model", "proto"},
    "shard": {"base", "model", "kernels", "proto"},
    "services": {"base", "model", "kernels", "proto", "router", "shard"},
}
# Only the group talks to other processes.
PROTO_IN_SHARD = "shard/group/"
TEST_FILE = re.compile(r"(_test\.cc|_bench\.cc|/testing/)")
INCLUDE = re.compile(r'^#include "([a-z_]+)/', re.M)
DOC_PATH = re.compile(r"`([a-z_]+(?:/[A-Za-z0-9_.-]+)+)`")
DOC_FUNCTION = re.compile(r"`([a-z_]+/[a-z0-9_/]+\.(?:h|cc))`,? `([A-Za-z_:]+)(?:\(\))?`")

problems = []


def check_arrows():
    count = 0
    for folder, allowed in MAY_USE.items():
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in (".h", ".cc"):
                continue
            name = str(path.relative_to(ROOT))
            count += 1
            for used in set(INCLUDE.findall(path.read_text())):
                is_test = TEST_FILE.search(name)
                if used == folder or used in allowed or (is_test and used in ("base", "tests")):
                    if folder == "shard" and used == "proto" and not name.startswith(PROTO_IN_SHARD):
                        problems.append(f"{name} includes {used}/: only {PROTO_IN_SHARD} may")
                    continue
                if used in MAY_USE or used in ("tests", "deploy"):
                    problems.append(f"{name} includes {used}/, above {folder}/")
    if count < 100:
        problems.append(f"only {count} sources seen: the tree was not found")
    print(f"{count} sources follow the arrows")


def check_documents():
    count = 0
    for document in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        text = document.read_text()
        for path in sorted(set(DOC_PATH.findall(text))):
            top = path.split("/")[0]
            if top not in MAY_USE and top not in ("deploy", "tests", "docs", "tools", "bazel"):
                continue
            count += 1
            if not (ROOT / path).exists():
                problems.append(f"{document.relative_to(ROOT)} names {path}, which does not exist")
        for path, function in DOC_FUNCTION.findall(text):
            symbol = function.split("::")[-1]
            if (ROOT / path).exists() and symbol not in (ROOT / path).read_text():
                problems.append(f"{document.relative_to(ROOT)}: {path} has no {function}")
    if count < 20:
        problems.append(f"only {count} paths seen in the documents")
    print(f"{count} paths in documents exist")


check_arrows()
check_documents()
for problem in problems:
    print("FAILED:", problem)
sys.exit(1 if problems else 0)
