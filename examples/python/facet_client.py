"""A small client of Facet's Chat call, for the examples beside it. Needs grpcio, and either grpcio-tools or
Debian's protobuf-compiler-grpc: the stubs are made from the .proto files when this is imported.

    client = FacetClient("127.0.0.1:50051")
    answer = client.ask([image("cat.png"), text("What is this?")])
    print(answer.content)
"""
import argparse
import atexit
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import grpc

ROOT = Path(__file__).resolve().parents[2]
DEFAULT_ROUTER = os.environ.get("FACET_ROUTER", "127.0.0.1:50051")
MAX_MESSAGE_BYTES = 256 << 20


def _make_stubs():
    """Python modules of proto/facet/v1, in a folder that goes when the program ends."""
    out = tempfile.mkdtemp(prefix="facet-stubs-")
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    protos = [str(path.relative_to(ROOT)) for path in (ROOT / "proto/facet/v1").glob("*.proto")]
    flags = [f"-I{ROOT}", f"--python_out={out}"]
    if importlib.util.find_spec("grpc_tools"):
        command = [sys.executable, "-m", "grpc_tools.protoc", *flags, f"--grpc_python_out={out}"]
    else:
        plugin = shutil.which("grpc_python_plugin")
        if not plugin:
            sys.exit("facet: install grpcio-tools, or Debian's protobuf-compiler-grpc")
        command = ["protoc", *flags, f"--plugin=protoc-gen-grpc={plugin}", f"--grpc_out={out}"]
    subprocess.run(command + protos, cwd=ROOT, check=True)
    sys.path.insert(0, out)


_make_stubs()
from proto.facet.v1 import chat_pb2, generation_pb2_grpc, media_pb2, output_pb2, sampling_pb2  # noqa: E402


def text(value):
    return chat_pb2.ContentPart(text=value)


def _file(kind, path, **settings):
    return chat_pb2.ContentPart(media=media_pb2.Media(kind=kind, data=Path(path).read_bytes(), **settings))


def image(path, max_soft_tokens=0):
    """`max_soft_tokens`: 70, 140, 280, 560 or 1120; more show more detail and cost as many tokens. 0: the default."""
    return _file(media_pb2.Media.IMAGE, path, max_soft_tokens=max_soft_tokens)


def audio(path):
    """A clip longer than the model takes at once is split."""
    return _file(media_pb2.Media.AUDIO, path, split_long_audio=True)


def video(path, max_soft_tokens=0):
    """`max_soft_tokens` of each frame."""
    return _file(media_pb2.Media.VIDEO, path, max_soft_tokens=max_soft_tokens)


def json_form(schema):
    """What holds an answer to a JSON schema (a JSON text)."""
    return sampling_pb2.ResponseFormat(json_schema=schema)


def user(parts):
    return chat_pb2.ChatMessage(role=chat_pb2.ChatMessage.USER, content=parts)


@dataclass
class Answer:
    content: str = ""
    reasoning: str = ""
    calls: list = field(default_factory=list)  # chat_pb2.ToolCall
    finish_reason: str = ""
    media: list = field(default_factory=list)  # media_pb2.MediaUsage
    usage: output_pb2.Usage = None


class FacetClient:
    def __init__(self, router=DEFAULT_ROUTER, timeout=600):
        self.timeout = timeout
        self.channel = grpc.insecure_channel(router, options=[
            ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
            ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES)])
        self.stub = generation_pb2_grpc.GenerationStub(self.channel)

    def ask(self, parts, on_text=None, **settings):
        """One question. `settings`: fields of ChatRequest."""
        return self.chat([user(parts)], on_text, **settings)

    def chat(self, messages, on_text=None, max_tokens=None, seed=None, temperature=None, **settings):
        """The whole answer; `on_text` gets its content piece by piece, as it comes. Raises grpc.RpcError."""
        request = chat_pb2.ChatRequest(messages=messages, **settings)
        for part, name, value in ((request.stopping, "max_tokens", max_tokens), (request.sampling, "seed", seed),
                                  (request.sampling, "temperature", temperature)):
            if value is not None:
                setattr(part, name, value)
        answer, calls = Answer(), {}
        for event in self.stub.Chat(request, timeout=self.timeout):
            kind = event.WhichOneof("event")
            if kind == "start":
                answer.media = list(event.start.media)
            elif kind == "delta":
                answer.content += event.delta.content
                answer.reasoning += event.delta.reasoning
                if on_text and event.delta.content:
                    on_text(event.delta.content)
                for part in event.delta.tool_calls:
                    call = calls.setdefault(part.index, chat_pb2.ToolCall())
                    call.id, call.name = part.id or call.id, part.name or call.name
                    call.arguments += part.arguments
            elif kind == "sequence_end":
                answer.finish_reason = output_pb2.FinishReason.Name(event.sequence_end.finish_reason)
            elif kind == "end":
                answer.usage = event.end.usage
        answer.calls = [calls[index] for index in sorted(calls)]
        return answer


def arguments(description):
    """A parser with what all examples take."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--router", default=DEFAULT_ROUTER, metavar="HOST:PORT")
    parser.add_argument("--max-tokens", type=int, metavar="N")
    parser.add_argument("--seed", type=int, metavar="N", help="equal seeds give equal answers")
    parser.add_argument("--temperature", type=float, metavar="T", help="0: greedy (default: the checkpoint's)")
    return parser


def sampling(args):
    return {"max_tokens": args.max_tokens, "seed": args.seed, "temperature": args.temperature}


def show(piece):
    print(piece, end="", flush=True)


def run(main):
    """Runs an example; an error of the call is one line and status 1."""
    try:
        main()
    except grpc.RpcError as error:
        sys.exit(f"facet: {error.code().name}: {error.details()}")
    except (OSError, ValueError) as error:
        sys.exit(f"facet: {error}")
