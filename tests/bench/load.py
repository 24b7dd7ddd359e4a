"""Measures a served model under load.

  tests/bench/load.py --model DIR [--tp N] [--threads N] [--dtype bf16] [--most 32]

Prints throughput at 1, 2, 4, .. concurrent sequences through router and gRPC, the time to the first
token of a prompt with a cold and with a warm prefix cache, and the share of a step that is neither
kernel nor exchange between ranks (the leader's host time). Starts a local cluster and stops it.
"""
import argparse
import json
import re
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def facet(*args):
    done = subprocess.run([ROOT / "facet", *args], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"./facet {' '.join(args)} failed")
    return done.stdout


def bench(concurrency, requests, prompt, output, seed):
    return json.loads(facet("bench", "--json", "--concurrency", str(concurrency), "--requests",
                            str(requests), "--prompt-tokens", str(prompt), "--output-tokens",
                            str(output), "--seed", str(seed)))


def leader_page():
    """The leader's samples, by name and labels."""
    status = facet("status")
    port = re.search(r"rank-?0.*?metrics[^\d]*(?:127\.0\.0\.1:)?(\d+)", status)
    if not port:
        sys.exit(f"no leader in:\n{status}")
    with urllib.request.urlopen(f"http://127.0.0.1:{port.group(1)}/metrics", timeout=5) as page:
        lines = page.read().decode().splitlines()
    return {name: float(value) for name, _, value in (l.rpartition(" ") for l in lines
                                                     if l and not l.startswith("#"))}


def total(page, name):
    return sum(value for sample, value in page.items() if sample.split("{")[0] == name)


def throughput(most):
    count = 1
    while count <= most:
        before = leader_page()
        result = bench(count, count, 32, 32, seed=count)
        after = leader_page()
        host = total(after, "facet_step_host_seconds_sum") - total(before, "facet_step_host_seconds_sum")
        steps = (total(after, "facet_step_duration_seconds_sum")
                 - total(before, "facet_step_duration_seconds_sum"))
        tokens = result["output_tokens_per_second"]
        gap = result["inter_token_latency_seconds"]["p50"]
        print(f"{count:3} sequences: {tokens:6.1f} tokens/s together, {1000 * gap:6.1f} ms between two "
              f"tokens of one; host time {100 * host / (host + steps):.2f} % of {steps:.1f} s of steps",
              flush=True)
        count *= 2


def first_token(prompt):
    cold = bench(1, 1, prompt, 1, seed=1000 + prompt)
    warm = bench(1, 1, prompt, 1, seed=1000 + prompt)
    seconds = [r["time_to_first_token_seconds"]["p50"] for r in (cold, warm)]
    print(f"prompt of {prompt}: first token after {seconds[0]:.3f} s cold, {seconds[1]:.3f} s warm "
          f"({seconds[0] / seconds[1]:.1f} times)", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("--model", required=True)
    p.add_argument("--tp", default="1")
    p.add_argument("--threads")
    p.add_argument("--dtype", default="bf16")
    p.add_argument("--most", type=int, default=32, help="concurrent sequences to end with")
    a = p.parse_args()
    threads = ["--threads", a.threads] if a.threads else []
    facet("up", "--model", str(Path(a.model).resolve()), "--tp", a.tp, "--dtype", a.dtype,
          "--shard-flag=--max_context=4096", *threads)
    try:
        throughput(a.most)
        for prompt in (512, 2048):
            first_token(prompt)
    finally:
        facet("down")


main()
