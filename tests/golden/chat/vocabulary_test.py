"""Our tokenizer with the real vocabulary of Gemma 4: its pieces and merges as a GGUF file has them.

The file, and texts with the ids that Hugging Face's tokenizer gives them, are part of llama.cpp's
own tests; deploy/setup.sh downloads the archive that carries them. tokenizer.json is made of the
pieces and merges in the frame of tests/golden/tokenizer/small, which is Gemma 4's.
"""
import hashlib
import json
import os
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

ARCHIVE = "llama_cpp_python-0.3.36.tar.gz"
FOLDER = "llama_cpp_python-0.3.36/vendor/llama.cpp/models/ggml-vocab-gemma-4.gguf"
SHA256 = "58b1ba0b57f3b4d7c468ba4ffd91ad85190346a3d7ad7e71d1cabaae8a14bb65"
# The control tokens by id (the model card's names; the file types some of them otherwise).
SPECIALS = {0: "<pad>", 1: "<eos>", 2: "<bos>", 3: "<unk>", 4: "<mask>", 46: "<|tool>", 47: "<tool|>", 48: "<|tool_call>",
            49: "<tool_call|>", 50: "<|tool_response>", 51: "<tool_response|>", 52: "<|\"|>", 98: "<|think|>", 100: "<|channel>",
            101: "<channel|>", 105: "<|turn>", 106: "<turn|>", 255999: "<|image>", 256000: "<|audio>", 258880: "<|image|>",
            258881: "<|audio|>", 258882: "<image|>", 258883: "<audio|>", 258884: "<|video|>"}
PUBLISHED = [("Hello world! Café déjà vu — 123 😊",
              [9259, 1902, 236888, 62367, 29234, 11042, 2192, 236743, 236770, 236778, 236800, 103453])]
FORMATS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}


class Gguf:
    """The metadata at the head of a GGUF file."""

    def __init__(self, data):
        self.data, self.at = data, 0
        magic, _version, _tensors, count = self.take("IIQQ")
        assert magic == 0x46554747, "no GGUF file"
        self.values = {}
        for _ in range(count):
            key = self.string()
            self.values[key] = self.value(*self.take("I"))

    def take(self, form):
        values = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize("<" + form)
        return values

    def string(self):
        (size,) = self.take("Q")
        self.at += size
        return self.data[self.at - size:self.at].decode()

    def value(self, kind):
        if kind == 8:
            return self.string()
        if kind != 9:
            return self.take(FORMATS[kind])[0]
        kind, count = self.take("IQ")
        if kind in FORMATS:
            return self.take(f"{count}{FORMATS[kind]}")
        return [self.value(kind) for _ in range(count)]


def read_archive():
    with tarfile.open(Path(os.environ["FACET_SOURCES"]) / ARCHIVE) as archive:
        return [archive.extractfile(FOLDER + suffix).read() for suffix in ("", ".inp", ".out")]


def write_tokenizer(gguf, path):
    pieces, merges = gguf["tokenizer.ggml.tokens"], gguf["tokenizer.ggml.merges"]
    assert len(pieces) == 262144 and len(merges) == 514906, (len(pieces), len(merges))
    for token, name in SPECIALS.items():
        assert pieces[token] == name, f"token {token} is {pieces[token]}, not {name}"
    frame = json.loads(Path("tests/golden/tokenizer/small/tokenizer.json").read_text())
    frame["model"]["vocab"] = {piece: i for i, piece in enumerate(pieces)}
    frame["model"]["merges"] = merges
    frame["added_tokens"] = [dict(id=i, content=name, single_word=False, lstrip=False, rstrip=False,
                                  normalized=False, special=True) for i, name in SPECIALS.items()]
    path.write_text(json.dumps(frame))


def main():
    data, texts, ids = read_archive()
    assert hashlib.sha256(data).hexdigest() == SHA256
    tokenizer = Path(os.environ["TEST_TMPDIR"]) / "tokenizer.json"
    write_tokenizer(Gguf(data).values, tokenizer)
    rows = list(PUBLISHED)
    for text, line in zip(texts.decode().split("\n__ggml_vocab_test__\n"), ids.decode().splitlines()):
        rows.append((text, [int(token) for token in line.split()]))
    lines = "".join(json.dumps(text) + "\n" for text, _ in rows)
    done = subprocess.run([sys.argv[1], tokenizer], input=lines, text=True, check=True, stdout=subprocess.PIPE)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    failed = 0
    for (text, want), got in zip(rows, found):
        if got != want:
            failed += 1
            print(f"FAILED: {text!r}\n  want {want}\n  got  {got}")
    print(f"{len(rows)} texts")
    assert len(found) == len(rows) > 40
    sys.exit(f"FAILED: {failed} texts" if failed else 0)


main()
