"""Builds the services with Bazel, only when a source is newer than the last build."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN_DIR = ROOT / ".run"
BIN_DIR = RUN_DIR / "bin"
BINARIES = {
    "router_main": "services/router/router_main",
    "shard_main": "services/shard/shard_main",
    "vision_main": "services/vision/vision_main",
    "audio_main": "services/audio/audio_main",
    "facet_client": "services/client/facet_client",
    "openai_gateway_main": "services/gateway/openai_gateway_main",
}
SOURCES = ["base", "bazel", "kernels", "model", "proto", "router", "services", "shard",
           ".bazelrc", "WORKSPACE", "BUILD"]


def is_fresh():
    """True if every binary is there and no source has changed since they were built."""
    stamp = BIN_DIR / "stamp"
    if not stamp.exists() or not all((BIN_DIR / name).exists() for name in BINARIES):
        return False
    newer = subprocess.run(["find", *SOURCES, "-newer", stamp, "-print", "-quit"], cwd=ROOT,
                           check=True, stdout=subprocess.PIPE)
    return not newer.stdout


def build():
    """Builds and copies the binaries to .run/bin, so that a later build never changes a running one."""
    if is_fresh():
        return
    print("facet: building (the first time takes some minutes)", file=sys.stderr, flush=True)
    BIN_DIR.mkdir(parents=True, exist_ok=True)
    began = BIN_DIR / "stamp.new"
    began.touch()
    labels = ["//" + path.rsplit("/", 1)[0] + ":" + name for name, path in BINARIES.items()]
    log = RUN_DIR / "build.log"
    with open(log, "wb") as out:
        done = subprocess.run(["bazel", "build", "--noshow_progress", *labels], cwd=ROOT,
                              stdout=out, stderr=subprocess.STDOUT)
    if done.returncode:
        sys.stderr.write(log.read_text(errors="replace")[-8000:])
        sys.exit(f"facet: the build failed; all of its output is in {log.relative_to(ROOT)}")
    for name, path in BINARIES.items():
        fresh = BIN_DIR / (name + ".new")
        shutil.copyfile(ROOT / ".bazel" / "bin" / path, fresh)
        fresh.chmod(0o755)
        os.replace(fresh, BIN_DIR / name)
    os.replace(began, BIN_DIR / "stamp")


def binary(name):
    return str(BIN_DIR / name)
