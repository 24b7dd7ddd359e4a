"""Measures a served model and the machine under it in one run.

  tests/bench/serving.py --model DIR [--tp N] [--threads N] [--dtype bf16]

Prints the machine's read bandwidth and multiply-add peak before and after, and decode (1 and 8
sequences) and prefill (512 tokens) through router and gRPC, with the share of the bandwidth that
decode reaches. Starts a local cluster and stops it.
"""
import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def facet(*args):
    done = subprocess.run([ROOT / "facet", *args], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"./facet {' '.join(args)} failed")
    return done.stdout


def bench(concurrency, requests, prompt, output):
    return json.loads(facet("bench", "--json", "--concurrency", str(concurrency), "--requests",
                            str(requests), "--prompt-tokens", str(prompt), "--output-tokens",
                            str(output)))


def limits():
    subprocess.run(["bazel", "build", "--noshow_progress", "//tests/bench:machine_limits"], cwd=ROOT,
                   check=True, stderr=subprocess.DEVNULL)
    out = subprocess.run([ROOT / ".bazel/bin/tests/bench/machine_limits"], stdout=subprocess.PIPE,
                         text=True, check=True).stdout
    print(out, end="", flush=True)


def show(title, result):
    print(title, json.dumps(result), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--tp", default="1")
    p.add_argument("--threads")
    p.add_argument("--dtype", default="bf16")
    a = p.parse_args()
    threads = ["--threads", a.threads] if a.threads else []
    facet("up", "--model", str(Path(a.model).resolve()), "--tp", a.tp, "--dtype", a.dtype,
          "--shard-flag=--max_context=4096", *threads)
    try:
        limits()
        show("decode, 1 sequence:", bench(1, 2, 8, 48))
        show("decode, 8 sequences:", bench(8, 8, 8, 32))
        show("prompt of 512 tokens:", bench(1, 3, 512, 1))
        limits()
    finally:
        facet("down")


main()
