"""What the manifests say of each other and of the programs: names, ports and flags must fit."""
import re
import sys
from pathlib import Path

import yaml

FOLDER = Path("deploy/kubernetes")
PROGRAM_OF_CONTAINER = {"router": "Router", "shard": "Shard", "vision": "Vision encoder",
                        "audio": "Audio encoder", "gateway": "Gateway (OpenAI's HTTP API)"}


def read(name):
    return [d for d in yaml.safe_load_all((FOLDER / name).read_text()) if d]


def of_kind(documents, kind):
    found = [d for d in documents if d["kind"] == kind]
    assert len(found) == 1, f"{len(found)} of kind {kind}"
    return found[0]


def documented_flags():
    """The flags of each program, by its heading in docs/configuration.md."""
    flags, heading = {}, ""
    for line in Path("docs/configuration.md").read_text().splitlines():
        if line.startswith("## "):
            heading = line[3:]
        if match := re.match(r"\| `--(\w+)`", line):
            flags.setdefault(heading, set()).add(match[1])
    return flags


def container_of(workload):
    containers = workload["spec"]["template"]["spec"]["containers"]
    assert len(containers) == 1, containers
    return containers[0]


def args_of(container):
    return dict(arg.removeprefix("--").split("=", 1) for arg in container["args"])


def check_flags():
    known = documented_flags()
    checked = 0
    for path in sorted(FOLDER.glob("*.yaml")):
        for document in read(path.name):
            if document["kind"] not in ("Deployment", "StatefulSet"):
                continue
            container = container_of(document)
            heading = next(h for h in known if h.startswith(PROGRAM_OF_CONTAINER[container["name"]]))
            unknown = set(args_of(container)) - known[heading]
            assert not unknown, f"{path}: {container['name']} has no flag {unknown}"
            checked += 1
    assert checked >= 5, checked


def check_probes(container, port):
    for probe, service in (("readinessProbe", "readiness"), ("livenessProbe", "liveness")):
        assert container[probe]["grpc"] == {"port": port, "service": service}, (probe, container[probe])


def check_encoder(kind, router_args):
    documents = read(f"{kind}.yaml")
    service, deployment = of_kind(documents, "Service"), of_kind(documents, "Deployment")
    name, port = service["metadata"]["name"], service["spec"]["ports"][0]["port"]
    # The router dials every pod of the headless service.
    assert router_args[f"{kind}_encoders"] == f"dns:///{name}.facet.svc:{port}", router_args
    assert service["spec"]["clusterIP"] == "None", service["spec"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    for selector in (service["spec"]["selector"], deployment["spec"]["selector"]["matchLabels"],
                     of_kind(documents, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"]):
        assert selector.items() <= labels.items(), (selector, labels)
    scaler = of_kind(documents, "HorizontalPodAutoscaler")["spec"]
    assert scaler["scaleTargetRef"] == {"apiVersion": deployment["apiVersion"], "kind": "Deployment",
                                        "name": deployment["metadata"]["name"]}, scaler
    assert scaler["minReplicas"] == deployment["spec"]["replicas"], scaler
    container = container_of(deployment)
    args = args_of(container)
    assert args["listen"].endswith(f":{port}") and args["model"] == "/model", args
    check_probes(container, port)
    assert container["resources"]["requests"]["cpu"] == args["threads"], container["resources"]
    shard = args_of(container_of(of_kind(read("shard-group.yaml"), "StatefulSet")))
    assert args["dtype"] == shard["dtype"], "encoders must compute in the type of the shard groups"
    return args["grace_period"], deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]


def main():
    check_flags()
    router_args = args_of(container_of(of_kind(read("router.yaml"), "Deployment")))
    for kind in ("vision", "audio"):
        grace, limit = check_encoder(kind, router_args)
        assert int(grace.removesuffix("s")) < limit, (grace, limit)
        print(f"ok: {kind}.yaml fits the router and the program")


if __name__ == "__main__":
    sys.exit(main())
