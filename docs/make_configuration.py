"""Writes docs/configuration.md from what the programs say of their flags.

  docs/make_configuration.py ROUTER_BINARY SHARD_BINARY VISION_BINARY AUDIO_BINARY GATEWAY_BINARY \
    > docs/configuration.md
"""
import re
import subprocess
import sys

FLAG = re.compile(r"--(\w+) \((.*?)\); default: (.*?);(?= --|$)", re.S)


def flags(binary):
    text = subprocess.run([binary, "--help"], stdout=subprocess.PIPE, text=True).stdout
    body = text.split("_main.cc:", 1)[1].split("\n\n", 1)[0]
    return FLAG.findall(" ".join(body.split()))


def table(binary):
    found = flags(binary)
    assert len(found) >= 15, f"{binary}: only {len(found)} flags were understood"
    yield "| flag | default | meaning |"
    yield "| --- | --- | --- |"
    for name, meaning, default in found:
        default = default.replace('"', "")
        shown = f"`{default}`" if default else ""
        yield f"| `--{name}` | {shown} | {meaning.replace('|', chr(92) + '|')} |"


def main():
    titles = ["Router", "Shard (one rank of a group)", "Vision encoder", "Audio encoder",
              "Gateway (OpenAI's HTTP API)"]
    print("# Configuration\n")
    print("Made from the programs' own `--help` by `docs/make_configuration.py`; a test keeps it true.\n")
    print("Each flag can be set in the environment instead: `--max_queue` as `FACET_MAX_QUEUE`. Dashes and underscores are the same. "
          "Times are written like `500ms`, `10s`, `5m`. The effective settings are the first line of a process's log.\n")
    print("`./facet up` sets the common ones (`./facet up --help`) and passes others on: "
          "`--shard-flag=--max_context=8192`, `--router-flag=--max_requests=64`.\n")
    for title, binary in zip(titles, sys.argv[1:], strict=True):
        print(f"## {title}\n")
        print("\n".join(table(binary)) + "\n")
    print("## Client\n")
    print("`./facet generate --help`, and the same for `chat`, `render`, `tokenize`, `detokenize`, `count`, `models`, `bench`. "
          "`FACET_ROUTER` names the router.")


main()
