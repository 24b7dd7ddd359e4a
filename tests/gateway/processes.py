"""Processes of the gateway's tests: started with a port file, ended with the test."""
import contextlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path.cwd()
TMP = Path(os.environ["TEST_TMPDIR"])
GATEWAY = "services/gateway/openai_gateway_main"
SCRIPTED_ROUTER = "services/gateway/testing/scripted_router_main"


def wait_for(what, condition, seconds=30):
    """The first true value of `condition()`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError(f"{what} did not come within {seconds} s")


@contextlib.contextmanager
def running(name, command, ends_well=True):
    """Runs the command; yields it and its log. `ends_well`: with status 0 on SIGTERM."""
    log = TMP / f"{name}.log"
    with open(log, "wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        yield process, log
        assert process.poll() is None, f"{name} ended by itself:\n{log.read_text()}"
        process.terminate()
        status = process.wait(timeout=30)
        assert status == 0 or not ends_well, f"{name} ended with {status}:\n{log.read_text()}"
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def port_in(path):
    def read():
        return json.loads(path.read_text())["port"] if path.exists() else None
    return wait_for(f"{path.name}", read)


@contextlib.contextmanager
def scripted_gateway(*flags):
    """A gateway before a scripted router; yields its URL and the logs of both."""
    with contextlib.ExitStack() as stack:
        router_ports, gateway_ports = TMP / "router.ports", TMP / "gateway.ports"
        for old in (router_ports, gateway_ports):
            old.unlink(missing_ok=True)
        _, router_log = stack.enter_context(
            running("router", [str(ROOT / SCRIPTED_ROUTER), str(router_ports)]))
        router = port_in(router_ports)
        _, gateway_log = stack.enter_context(
            running("gateway", [str(ROOT / GATEWAY), f"--router=127.0.0.1:{router}",
                                "--listen=127.0.0.1:0", f"--port_file={gateway_ports}", *flags]))
        yield f"http://127.0.0.1:{port_in(gateway_ports)}", router_log, gateway_log


@contextlib.contextmanager
def facet_cluster(model, *flags):
    """What `./facet up --gateway` starts for a checkpoint of this tree; yields the gateway's URL."""
    sys.path.insert(0, str(ROOT / "deploy/local"))
    import build
    import main as launcher
    from cluster import Cluster
    build.BIN_DIR = TMP / "bin"
    build.BIN_DIR.mkdir()
    for name, path in build.BINARIES.items():
        (build.BIN_DIR / name).symlink_to(ROOT / path)
    options = launcher.up_parser().parse_args(
        ["--model", str(ROOT / model), "--threads", "1", "--gateway", *flags])
    options.port = 0
    cluster = Cluster(TMP / "run")
    cluster.start(options)
    try:
        yield cluster.gateway()
    finally:
        cluster.stop()
