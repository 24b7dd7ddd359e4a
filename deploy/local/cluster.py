"""A whole cluster on loopback: routers and shard groups as processes of this machine."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import build


ENCODERS = ["vision", "audio"]


class StartError(Exception):
    """The cluster did not come up; the message says which process and why."""


class Cluster:
    """The processes of one cluster; their ids, ports and logs live in `directory`."""

    def __init__(self, directory):
        self.directory = Path(directory)
        self.state_file = self.directory / "state.json"
        self.logs = self.directory / "logs"
        self.state = {"processes": [], "routers": []}
        if self.state_file.exists():
            self.state = json.loads(self.state_file.read_text())

    # ---- what runs

    def processes(self):
        return self.state["processes"]

    def routers(self):
        return self.state["routers"]

    def gateway(self):
        """The address of the gateway, None if there is none."""
        return self.state.get("gateway")

    def running(self):
        return [p for p in self.processes() if is_alive(p)]

    # ---- start

    def start(self, options):
        self.logs.mkdir(parents=True, exist_ok=True)
        for old in list(self.logs.iterdir()) + list(self.directory.glob("*.ports")):
            old.unlink()
        self.state = {"processes": [], "routers": [], "model": options.model}
        try:
            leaders = [self._start_group(g, options) for g in range(options.groups)]
            encoders = self._start_encoders(options)
            for k in range(options.routers):
                self._start_router(k, leaders, encoders, options)
            self._wait_ready(options)
            if options.gateway:
                self._start_gateway(options)
        except BaseException:
            self.stop(grace=2)
            raise
        (self.directory / "router.address").write_text(self.routers()[0]["address"] + "\n")

    def _start_group(self, group, options):
        common = [build.binary("shard_main"), f"--model={options.model}",
                  f"--world_size={options.tp}", f"--dtype={options.dtype}",
                  f"--kv_dtype={options.kv_dtype}", f"--threads={options.threads}",
                  f"--expert_parallel={str(options.expert_parallel).lower()}",
                  "--metrics=127.0.0.1:0", "--listen=127.0.0.1:0", *options.shard_flags]
        leader = None
        for rank in range(options.tp):
            name = f"group{group}-rank{rank}"
            flags = [f"--rank={rank}"] + ([f"--leader={leader}"] if rank else [])
            process = self._spawn(name, common + flags)
            if rank == 0:
                leader = f"127.0.0.1:{self._ports(process)['port']}"
        return leader

    def _start_encoders(self, options):
        """Those that the checkpoint has a tower for; the router's flags that name them."""
        flags = []
        for kind in media_towers(options.model):
            process = self._spawn(kind, [
                build.binary(f"{kind}_main"), f"--model={options.model}",
                f"--dtype={options.dtype}", "--listen=127.0.0.1:0", "--metrics=127.0.0.1:0"])
            flags.append(f"--{kind}_encoders=127.0.0.1:{self._ports(process)['port']}")
        if flags and options.image_budget:
            flags.append(f"--image_budget={options.image_budget}")
        return flags

    def _start_router(self, index, leaders, encoders, options):
        name = f"router{index}"
        port = options.port + index if options.port else 0
        process = self._spawn(name, [
            build.binary("router_main"), f"--model={options.model}",
            f"--groups={','.join(leaders)}", f"--listen=127.0.0.1:{port}",
            "--metrics=127.0.0.1:0", *encoders, *options.router_flags])
        ports = self._ports(process)
        self.state["routers"].append({"name": name, "address": f"127.0.0.1:{ports['port']}"})
        self._save()

    def _start_gateway(self, options):
        """OpenAI's HTTP API before all routers; returns when it answers."""
        routers = ",".join(router["address"] for router in self.routers())
        process = self._spawn("gateway", [
            build.binary("openai_gateway_main"), f"--router=ipv4:{routers}",
            f"--listen=127.0.0.1:{options.gateway_port or 0}", *options.gateway_flags])
        address = f"http://127.0.0.1:{self._ports(process)['port']}"
        deadline = time.monotonic() + 30
        while not answers(address + "/health"):
            self._raise_if_dead(process)
            if time.monotonic() > deadline:
                raise StartError("the gateway does not answer; see ./facet logs gateway")
            time.sleep(0.05)
        self.state["gateway"] = address
        self._save()

    def _spawn(self, name, command):
        ports = self.directory / f"{name}.ports"
        log = open(self.logs / f"{name}.log", "wb")
        with log:
            child = subprocess.Popen(command + [f"--port_file={ports}"], stdin=subprocess.DEVNULL,
                                     stdout=log, stderr=subprocess.STDOUT, start_new_session=True)
        process = {"name": name, "pid": child.pid, "started": start_time(child.pid)}
        self.state["processes"].append(process)
        self._save()
        return process

    def _ports(self, process):
        """The ports a process has bound: it writes them to its port file, atomically."""
        path = self.directory / f"{process['name']}.ports"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if path.exists():
                ports = json.loads(path.read_text())
                process.update(ports)
                self._save()
                return ports
            self._raise_if_dead(process)
            time.sleep(0.02)
        raise StartError(f"{process['name']} did not open its ports within 30 s")

    def _wait_ready(self, options):
        deadline = time.monotonic() + options.start_timeout
        followers = [p for p in self.processes() if "metrics_port" not in p]
        for process in followers:
            self._ports(process)
        routers = [p for p in self.processes() if p["name"].startswith("router")]
        encoders = [p for p in self.processes() if p["name"] in ENCODERS]
        while time.monotonic() < deadline:
            for process in self.processes():
                self._raise_if_dead(process)
            if (all(metric(p, "facet_router_groups_ready") == options.groups for p in routers)
                    and all("] ready: " in self.log_tail(p["name"], 100) for p in encoders)):
                return
            time.sleep(0.05)
        raise StartError(f"not ready within {options.start_timeout:.0f} s; see ./facet logs")

    def _raise_if_dead(self, process):
        if not is_alive(process):
            tail = self.log_tail(process["name"], 12)
            raise StartError(f"{process['name']} ended while starting:\n{tail}")

    # ---- look and stop

    def log_tail(self, name, lines):
        path = self.logs / f"{name}.log"
        text = path.read_text(errors="replace") if path.exists() else ""
        return "\n".join(text.splitlines()[-lines:])

    def stop(self, grace=15):
        """SIGTERM to all, routers first; SIGKILL to what is left after `grace` seconds."""
        alive = sorted(self.running(), key=lambda p: not p["name"].startswith("router"))
        for process in alive:
            send(process, signal.SIGTERM)
        deadline = time.monotonic() + grace
        while any(is_alive(p) for p in alive) and time.monotonic() < deadline:
            time.sleep(0.05)
        for process in alive:
            if is_alive(process):
                print(f"facet: {process['name']} did not stop within {grace} s; killed",
                      file=sys.stderr)
                send(process, signal.SIGKILL)
        for name in ["router.address", "state.json"]:
            (self.directory / name).unlink(missing_ok=True)
        self.state = {"processes": [], "routers": []}

    def _save(self):
        fresh = self.state_file.with_suffix(".new")
        fresh.write_text(json.dumps(self.state, indent=1))
        os.replace(fresh, self.state_file)


def media_towers(model):
    """The encoders of which a checkpoint has settings and weights."""
    config = json.loads((Path(model) / "config.json").read_text())
    names = tensor_names(Path(model))
    return [kind for kind in ENCODERS if config.get(f"{kind}_config")
            and any(name.startswith(f"model.{kind}_tower.") for name in names)]


def tensor_names(model):
    """From the headers of all *.safetensors of a folder."""
    names = set()
    for path in model.glob("*.safetensors"):
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size <= 100 << 20:  # else it is none; the shards say so
                names.update(json.loads(file.read(size)))
    return names


def start_time(pid):
    """Clock ticks since boot at which a process began: tells it from a later one with its id."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] == "Z" else int(fields[19])


def is_alive(process):
    reap(process["pid"])
    return process["started"] is not None and start_time(process["pid"]) == process["started"]


def reap(pid):
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        pass  # started by an earlier call


def send(process, signum):
    if is_alive(process):
        os.kill(process["pid"], signum)


def metric(process, name):
    """The value of an unlabelled metric of a process, None if it cannot be read."""
    try:
        url = f"http://127.0.0.1:{process['metrics_port']}/metrics"
        with urllib.request.urlopen(url, timeout=2) as page:
            for line in page.read().decode().splitlines():
                if line.startswith(name + " "):
                    return float(line.split()[1])
    except (OSError, KeyError, ValueError):
        pass
    return None


def answers(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def port_is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
