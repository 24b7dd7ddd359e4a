"""A real Prometheus scrapes a real cluster: one router and a two-rank group on loopback.

Also lints the page of every process with promtool.
"""
import json
import os
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path.cwd()
sys.path.insert(0, str(ROOT / "deploy/local"))
import build  # noqa: E402
import main as launcher  # noqa: E402
from cluster import Cluster  # noqa: E402

TMP = Path(os.environ["TEST_TMPDIR"])
EXPECTED_SERIES = ["facet_router_groups_ready", "facet_requests_running", "facet_kv_pages_capacity",
                   "facet_generation_tokens_total", "facet_step_duration_seconds_count",
                   "facet_time_to_first_token_seconds_count"]


def use_test_binaries():
    build.BIN_DIR = TMP / "bin"
    build.BIN_DIR.mkdir()
    for name, path in build.BINARIES.items():
        (build.BIN_DIR / name).symlink_to(ROOT / path)


def fetch(url):
    with urllib.request.urlopen(url, timeout=5) as answer:
        return answer.read().decode()


def lint(name, page):
    done = subprocess.run(["promtool", "check", "metrics"], input=page, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 0, f"{name}: promtool says\n{done.stdout}"
    print(f"ok: promtool finds nothing in the page of {name}")


def generate(address):
    done = subprocess.run([build.binary("facet_client"), "generate", "--router", address,
                           "--prompt-ids", "2,7,8", "--max-tokens", "5", "--ignore-eos", "--json"],
                          stdout=subprocess.PIPE, check=True)
    assert json.loads(done.stdout)["usage"]["completion_tokens"] == 5, done.stdout


def start_prometheus(targets):
    config = TMP / "prometheus.yaml"
    config.write_text(json.dumps({
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "facet", "static_configs": [{"targets": targets}]}]}))
    subprocess.run(["promtool", "check", "config", str(config)], check=True)
    log = open(TMP / "prometheus.log", "wb")
    return subprocess.Popen(["prometheus", f"--config.file={config}",
                             f"--storage.tsdb.path={TMP / 'tsdb'}",
                             "--web.listen-address=127.0.0.1:0"], stdout=log, stderr=log)


def prometheus_address(server):
    """Prometheus logs the address that it listens on."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        assert server.poll() is None, (TMP / "prometheus.log").read_text()
        for line in (TMP / "prometheus.log").read_text().splitlines():
            if "Listening on" in line and "address=" in line:
                return line.split("address=")[1].split()[0]
        time.sleep(0.1)
    raise AssertionError("prometheus did not listen within 30 s")


def query(address, expression):
    url = f"http://{address}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    return json.loads(fetch(url))["data"]["result"]


def wait_for_series(address, targets):
    deadline = time.monotonic() + 30
    while True:
        up = [r for r in query(address, "up == 1")]
        missing = [name for name in EXPECTED_SERIES if not query(address, f"{name} > 0 or {name} == 0")]
        tokens = query(address, "sum(facet_generation_tokens_total)")
        if len(up) == len(targets) and not missing and tokens and float(tokens[0]["value"][1]) >= 5:
            print(f"ok: {len(up)} targets up, {tokens[0]['value'][1]} tokens counted")
            return
        assert time.monotonic() < deadline, f"up: {up}; missing series: {missing}; tokens: {tokens}"
        time.sleep(0.3)


def main():
    use_test_binaries()
    options = launcher.up_parser().parse_args(["--model", str(ROOT / "tests/golden/demo"), "--tp", "2",
                                               "--threads", "1"])
    options.port = 0
    cluster = Cluster(TMP / "run")
    prometheus = None
    cluster.start(options)
    try:
        generate(cluster.routers()[0]["address"])
        for process in cluster.processes():
            lint(process["name"], fetch(f"http://127.0.0.1:{process['metrics_port']}/metrics"))
        targets = [f"127.0.0.1:{p['metrics_port']}" for p in cluster.processes()]
        prometheus = start_prometheus(targets)
        wait_for_series(prometheus_address(prometheus), targets)
    finally:
        if prometheus:
            prometheus.terminate()
            prometheus.wait(timeout=20)
        cluster.stop()


main()
