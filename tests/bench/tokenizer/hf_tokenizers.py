"""Bytes of text a second that the Hugging Face tokenizers library encodes on one core, in pieces of
8 KB, to be read beside Encode/FILE/8192 of tokenizer_bench.

  python3 tests/bench/tokenizer/hf_tokenizers.py CHECKPOINT/tokenizer.json TEXT_FILE..

CPU time, of at most MOST characters of each file, after a first round over them.
"""
import os
import sys
import time

MOST, PIECE = 400_000, 8192


def main():
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(sys.argv[1])
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8", newline="") as file:
            text = file.read()[:MOST]
        pieces = [text[i : i + PIECE] for i in range(0, len(text), PIECE)]
        for _ in range(2):
            began = time.process_time()
            for piece in pieces:
                tokenizer.encode(piece, add_special_tokens=False)
            seconds = time.process_time() - began
        rate = len(text.encode()) / seconds / 1e6
        print(f"{os.path.basename(path)}: {rate:.2f} MB/s", flush=True)


main()
