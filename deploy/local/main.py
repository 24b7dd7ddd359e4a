"""./facet: set up, build, test, and run a cluster on this machine."""
import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import build
import testing
from cluster import Cluster, StartError, is_alive, metric, port_is_free

DEFAULT_PORT = 50051
DEFAULT_GATEWAY_PORT = 8080
DEMO_MODEL = build.ROOT / "tests/golden/demo"
CLIENT_COMMANDS = [
    "generate", "chat", "render", "tokenize", "detokenize", "count", "models", "bench",
]

USAGE = """usage: ./facet COMMAND ...

  demo                    start a small cluster, ask it something over gRPC, stop it
  test [TARGET...]        build and run every test (or the Bazel targets named)
  up --model DIR          start a cluster in the background (./facet up --help)
  status | logs [NAME]    what runs, and what it says
  down                    stop the cluster
  generate | chat | render | tokenize | detokenize | count | models | bench
                          call a router (./facet generate --help)
"""


def main():
    command, args = (sys.argv[1] if len(sys.argv) > 1 else "help"), sys.argv[2:]
    cluster = Cluster(build.RUN_DIR)
    if command in ("help", "--help", "-h"):
        print(USAGE, end="")
        return 0
    if command in CLIENT_COMMANDS:
        return client(command, args)
    local = {"demo": demo, "up": up, "status": status, "logs": logs, "down": down}
    if command == "test":
        return testing.run(args)
    if command not in local:
        print(f"facet: unknown command '{command}'\n{USAGE}", end="", file=sys.stderr)
        return 2
    return local[command](cluster, args)


def client(command, args):
    build.build()
    os.environ.setdefault("FACET_ROUTER_FILE", str(build.RUN_DIR / "router.address"))
    os.chdir(os.environ.get("FACET_CALLER_DIR", "."))
    os.execv(build.binary("facet_client"), ["facet", command, *args])


def up_parser():
    p = argparse.ArgumentParser(prog="./facet up", description="Starts a cluster on loopback and "
                                "returns when it is ready.")
    p.add_argument("--model", required=True, help="folder of a checkpoint (config.json, *.safetensors)")
    p.add_argument("--tp", type=positive, default=1, help="ranks of a shard group (default 1)")
    p.add_argument("--expert-parallel", action="store_true",
                   help="whole experts per rank (default: each expert is split)")
    p.add_argument("--groups", type=positive, default=1, help="copies of the model (default 1)")
    p.add_argument("--routers", type=positive, default=1, help="router processes (default 1)")
    p.add_argument("--backend", choices=["cpu", "cuda"], default="cpu")
    p.add_argument("--dtype", choices=["f32", "bf16"], default="f32",
                   help="f32: float32 activations, weights as stored; bf16: bfloat16 products and "
                   "KV cache where the CPU has them (default f32)")
    p.add_argument("--kv-dtype", choices=["auto", "f32", "bf16", "int8", "fp8"], default="auto",
                   help="type of cached keys and values: int8 and fp8 take a byte an element "
                   "(default auto: as --dtype)")
    p.add_argument("--threads", type=positive, default=None,
                   help="compute threads of each rank (default: the cores shared out)")
    p.add_argument("--image-budget", type=int, choices=[70, 140, 280, 560, 1120], default=None,
                   help="soft tokens of an image that asks for no number of its own (default: the "
                   "checkpoint's)")
    p.add_argument("--port", type=positive, default=None,
                   help=f"of the first router (default {DEFAULT_PORT}, or a free one)")
    p.add_argument("--gateway", action="store_true",
                   help="start OpenAI's HTTP API, and a page to chat on, beside the router")
    p.add_argument("--gateway-port", type=positive, default=None,
                   help=f"of the gateway (default {DEFAULT_GATEWAY_PORT}, or a free one)")
    p.add_argument("--start-timeout", type=positive, default=600, help="seconds (default 600)")
    p.add_argument("--shard-flag", action="append", default=[], dest="shard_flags", metavar="FLAG",
                   help="passed on to every shard process, e.g. --shard-flag=--max_context=8192")
    p.add_argument("--router-flag", action="append", default=[], dest="router_flags", metavar="FLAG")
    p.add_argument("--gateway-flag", action="append", default=[], dest="gateway_flags", metavar="FLAG")
    return p


def positive(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def up(cluster, args):
    options = up_parser().parse_args(args)
    if cluster.running():
        return fail("a cluster is running already; ./facet down stops it")
    model = Path(os.environ.get("FACET_CALLER_DIR", "."), options.model).resolve()
    if not (model / "config.json").is_file():
        return fail(f"--model: no config.json in {model}")
    if options.backend == "cuda":
        return fail("--backend cuda: this version computes on the CPU only")
    options.model = str(model)
    if options.threads is None:
        cores = len(os.sched_getaffinity(0))
        options.threads = max(1, cores // (options.tp * options.groups))
    if options.port is None:
        options.port = DEFAULT_PORT if port_is_free(DEFAULT_PORT) else 0
    elif not port_is_free(options.port):
        return fail(f"--port: {options.port} is in use")
    if options.gateway_port is None:
        options.gateway_port = DEFAULT_GATEWAY_PORT if port_is_free(DEFAULT_GATEWAY_PORT) else 0
    elif not options.gateway:
        return fail("--gateway-port: it needs --gateway", 2)
    elif not port_is_free(options.gateway_port):
        return fail(f"--gateway-port: {options.gateway_port} is in use")
    build.build()
    return start(cluster, options)


def start(cluster, options):
    print(f"facet: starting {options.routers} router(s) and {options.groups} group(s) of "
          f"{options.tp} rank(s) for {options.model}", file=sys.stderr, flush=True)
    try:
        cluster.start(options)
    except StartError as error:
        return fail(str(error))
    for router in cluster.routers():
        print(f"router: {router['address']}", flush=True)
    if cluster.gateway():
        print(f"gateway: {cluster.gateway()}", flush=True)
    return 0


def demo(_, args):
    if args:
        return fail("demo takes no arguments", 2)
    build.build()
    cluster = Cluster(build.RUN_DIR / "demo")
    if cluster.running():
        cluster.stop()
    options = up_parser().parse_args(["--model", str(DEMO_MODEL), "--tp", "2", "--threads", "1"])
    options.port = 0
    if start(cluster, options):
        return 1
    try:
        prompt = "Hello! Tell me about the sea."
        print(f"prompt: {prompt}\nanswer (of a tiny model with random weights, so: noise): ",
              end="", flush=True)
        asked = subprocess.run([
            build.binary("facet_client"), "generate", "--router", cluster.routers()[0]["address"],
            "--prompt", prompt, "--max-tokens", "24", "--seed", "1", "--ignore-eos"])
        print(flush=True)
        return asked.returncode
    finally:
        print("facet: stopping", file=sys.stderr, flush=True)
        cluster.stop()


def status(cluster, _):
    if not cluster.processes():
        print("no cluster is running")
        return 1
    print(f"model: {cluster.state.get('model')}")
    dead = 0
    for process in cluster.processes():
        alive = is_alive(process)
        dead += not alive
        where = f"127.0.0.1:{process.get('port', '?')}"
        pages = f"metrics http://127.0.0.1:{process.get('metrics_port', '?')}/metrics"
        print(f"{process['name']:16} {'running' if alive else 'ENDED  '} pid {process['pid']:<8} "
              f"{where:21} {pages}")
        if alive and process["name"].startswith("router"):
            print(f"{'':16} groups ready: {metric(process, 'facet_router_groups_ready') or 0:.0f}")
    return 1 if dead else 0


def logs(cluster, args):
    names = sorted(path.stem for path in cluster.logs.glob("*.log")) if cluster.logs.exists() else []
    if args and args[0] not in names:
        return fail(f"no log of '{args[0]}'; there are: {', '.join(names) or 'none'}", 2)
    for name in args[:1] or names:
        print(f"==> {name} <==\n{cluster.log_tail(name, 10**6 if args else 20)}")
    return 0


def down(cluster, _):
    if not cluster.processes():
        print("no cluster is running")
        return 0
    cluster.stop()
    shutil.rmtree(cluster.directory / "demo", ignore_errors=True)
    print("stopped")
    return 0


def fail(message, code=1):
    print(f"facet: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
