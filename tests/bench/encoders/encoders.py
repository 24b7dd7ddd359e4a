"""Encoders beside transformers: images and seconds of audio per second, at the published shapes with random weights.

  python3 tests/bench/encoders/encoders.py [--shape e2b|31b] [--threads N] [--batches 1,8] [--dtype f32|bf16]

Needs torch, transformers, safetensors, and bazel build -c opt //tests/bench/encoders:encoders_bench. Makes the weights, then runs
both on the same inputs in turns, and compares what they give.
"""
import argparse
import json
import subprocess
import tempfile
import time
from pathlib import Path

import torch
import transformers
from transformers import Gemma4Config, Gemma4ForConditionalGeneration

BINARY = Path(__file__).resolve().parents[3] / ".bazel/bin/tests/bench/encoders/encoders_bench"
VISION = {
    "e2b": dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=16, num_attention_heads=12,
                num_key_value_heads=12, head_dim=64, use_clipped_linears=True, standardize=False),
    "31b": dict(hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16,
                num_key_value_heads=16, head_dim=72, use_clipped_linears=False, standardize=True),
}
HIDDEN = {"e2b": 1536, "31b": 5376}
ROWS, COLUMNS, AUDIO_FRAMES = 24, 24, 999     # patches of an image of 64 soft tokens; mel frames of 10 s


def make(shape, out):
    text = dict(vocab_size=64, hidden_size=HIDDEN[shape], intermediate_size=64, num_hidden_layers=1,
                num_attention_heads=1, num_key_value_heads=1, head_dim=16, global_head_dim=16,
                layer_types=["full_attention"], hidden_size_per_layer_input=0, vocab_size_per_layer_input=64)
    audio = dict(hidden_size=1024, num_hidden_layers=12, num_attention_heads=8, output_proj_dims=1536)
    ids = {name: i for i, name in enumerate(["boi_token_id", "eoi_token_id", "image_token_id", "boa_token_id",
                                             "eoa_token_index", "audio_token_id", "video_token_id"])}
    torch.manual_seed(1)
    config = Gemma4Config(text_config=text, vision_config=dict(VISION[shape], position_embedding_size=256),
                          audio_config=audio if shape == "e2b" else None, **ids)
    model = Gemma4ForConditionalGeneration(config)
    bounds = {name: t for name, t in model.state_dict().items() if name.endswith(("_min", "_max"))}
    for name, bound in bounds.items():
        bound.fill_(-20.0 if name.endswith("_min") else 20.0)
    for name, parameter in model.named_parameters():
        if "_tower" in name and parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    model.to(torch.bfloat16).save_pretrained(out)


def inputs(batch):
    generator = torch.Generator().manual_seed(2)
    bytes_ = torch.randint(0, 256, (batch, ROWS * COLUMNS, 768), generator=generator)
    grid = torch.stack(torch.meshgrid(torch.arange(COLUMNS), torch.arange(ROWS), indexing="xy"), -1).reshape(-1, 2)
    return bytes_ / 255.0, grid.expand(batch, -1, -1), torch.randn(batch, AUDIO_FRAMES, 128, generator=generator) - 3


@torch.no_grad()
def time_reference(model, kind, batch, dtype):
    pixels, grid, mel = inputs(batch)
    mask = torch.ones(batch, AUDIO_FRAMES, dtype=torch.bool)
    begin = time.perf_counter()
    if kind == "vision":
        model.model.get_image_features(pixels.to(dtype), grid)
    else:
        model.model.get_audio_features(mel.to(dtype), mask)
    return time.perf_counter() - begin


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(VISION), default="e2b")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--model", type=Path, help="made before; default: a temporary folder")
    a = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(a.threads)
    folder = a.model or Path(tempfile.mkdtemp())
    if not (folder / "config.json").exists():
        make(a.shape, folder)
    dtype = torch.float32 if a.dtype == "f32" else torch.bfloat16
    model = Gemma4ForConditionalGeneration.from_pretrained(folder, dtype=dtype).eval()
    for kind in ["vision"] + (["audio"] if a.shape == "e2b" else []):
        for batch in map(int, a.batches.split(",")):
            theirs, ours = [], []
            for _ in range(a.rounds):           # in turns: the machine's load changes
                theirs.append(time_reference(model, kind, batch, dtype))
                run = subprocess.run([BINARY, f"--model={folder}", f"--kind={kind}", f"--batch={batch}",
                                      f"--threads={a.threads}", f"--dtype={a.dtype}"], stdout=subprocess.PIPE, check=True)
                ours.append(json.loads(run.stdout)["seconds"])
            unit = batch if kind == "vision" else batch * AUDIO_FRAMES / 100
            print(f"{a.shape} {kind} {a.dtype}, batch {batch}, {a.threads} threads: transformers {unit / min(theirs):.3g} "
                  f"{'images' if kind == 'vision' else 's of audio'} a second, ours {unit / min(ours):.3g}: "
                  f"{min(theirs) / min(ours):.2f} times", flush=True)


if __name__ == "__main__":
    main()
