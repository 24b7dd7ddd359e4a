"""Encoders beside transformers, at the published shapes with random weights: seconds of CPU for an image and for ten
seconds of sound, and how far that is from what the machine can do.

  python3 tests/bench/encoders/encoders.py [--shape e2b|31b] [--batches 1,8] [--budgets 70,280] [--dtype f32|bf16]

Needs torch, transformers, safetensors, pillow, and bazel build -c opt //tests/bench/encoders:encoders_bench. Makes the
weights, then runs both in turns on images of the same size and clips of the same length. An image comes from
transformers' own processor, which fills the list of patches up to the budget; ours has no filling. The floor is the
arithmetic of the products, by formula, at the rate of multiply-adds that one core reaches in the same minute.
"""
import argparse
import json
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from transformers import Gemma4Config, Gemma4ForConditionalGeneration
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

BINARY = Path(__file__).resolve().parents[3] / ".bazel/bin/tests/bench/encoders/encoders_bench"
VISION = {
    "e2b": dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=16, num_attention_heads=12,
                num_key_value_heads=12, head_dim=64, use_clipped_linears=True, standardize=False),
    "31b": dict(hidden_size=1152, intermediate_size=4304, num_hidden_layers=27, num_attention_heads=16,
                num_key_value_heads=16, head_dim=72, use_clipped_linears=False, standardize=True),
}
HIDDEN = {"e2b": 1536, "31b": 5376}
PICTURE = (480, 640)      # height, width
AUDIO_FRAMES = 999        # mel frames of 10 s
AUDIO = dict(hidden_size=1024, num_hidden_layers=12, num_attention_heads=8, output_proj_dims=1536)


def make(shape, out):
    text = dict(vocab_size=64, hidden_size=HIDDEN[shape], intermediate_size=64, num_hidden_layers=1,
                num_attention_heads=1, num_key_value_heads=1, head_dim=16, global_head_dim=16,
                layer_types=["full_attention"], hidden_size_per_layer_input=0, vocab_size_per_layer_input=64)
    ids = {name: i for i, name in enumerate(["boi_token_id", "eoi_token_id", "image_token_id", "boa_token_id",
                                             "eoa_token_index", "audio_token_id", "video_token_id"])}
    torch.manual_seed(1)
    config = Gemma4Config(text_config=text, vision_config=dict(VISION[shape], position_embedding_size=256),
                          audio_config=AUDIO if shape == "e2b" else None, **ids)
    model = Gemma4ForConditionalGeneration(config)
    bounds = {name: t for name, t in model.state_dict().items() if name.endswith(("_min", "_max"))}
    for name, bound in bounds.items():
        bound.fill_(-20.0 if name.endswith("_min") else 20.0)
    for name, parameter in model.named_parameters():
        if "_tower" in name and parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=parameter[0].numel() ** -0.5)
    model.to(torch.bfloat16).save_pretrained(out)


def picture_inputs(budget):
    """What transformers' processor makes of a picture, and the size that it has then."""
    pixels = np.random.default_rng(2).integers(0, 256, (*PICTURE, 3), dtype=np.uint8)
    got = Gemma4ImageProcessorPil(max_soft_tokens=budget)(Image.fromarray(pixels), return_tensors="pt")
    columns, rows = (int(got["image_position_ids"][0, :, axis].max()) + 1 for axis in (0, 1))
    return got["pixel_values"], got["image_position_ids"], 16 * rows, 16 * columns


def vision_gflop(shape, patches):
    v = VISION[shape]
    d, width, layers = v["hidden_size"], v["num_attention_heads"] * v["head_dim"], v["num_hidden_layers"]
    weights = layers * (4 * d * width + 3 * d * v["intermediate_size"]) + 768 * d
    return (2 * patches * weights + 4 * patches ** 2 * width * layers) / 1e9


def audio_gflop(frames):
    d, steps = AUDIO["hidden_size"], -(-frames // 4)
    weights = AUDIO["num_hidden_layers"] * 23 * d * d + d * (1024 + AUDIO["output_proj_dims"])
    return 2 * (steps * weights + frames / 2 * 64 * 9 * 128 + steps * 32 * 9 * 128 * 32) / 1e9


@torch.no_grad()
def reference_seconds(call):
    begin = time.process_time()
    call()
    return time.process_time() - begin


def bench(folder, a, *flags):
    command = [BINARY, f"--model={folder}", f"--threads={a.threads}", f"--dtype={a.dtype}", *flags]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def compare(what, gflop, batch, call, folder, a, flags):
    theirs, ours, peak = [], [], []
    for _ in range(a.rounds):           # in turns: the machine's load changes
        peak.append(bench(folder, a, "--kind=peak")["gflops"])
        ours.append(bench(folder, a, f"--batch={batch}", *flags)["cpu"] / batch)
        if not a.alone:
            theirs.append(reference_seconds(call) / batch)
    floor = gflop / max(peak)
    text = (f"{a.shape} {a.dtype}, {what}, batch {batch}: {gflop:.0f} Gflop; a core {max(peak):.0f} Gflop/s, "
            f"floor {floor:.2f} s; ours {min(ours):.2f} s, {100 * floor / min(ours):.0f} % of the peak")
    if theirs:
        text += f"; transformers {min(theirs):.2f} s, {min(theirs) / min(ours):.2f} times"
    print(text, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", choices=list(VISION), default="e2b")
    parser.add_argument("--kinds", default="vision,audio")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--budgets", default="70,280")
    parser.add_argument("--dtype", choices=["f32", "bf16"], default="f32")
    parser.add_argument("--rounds", type=int, default=2, help="of which the fastest of each counts")
    parser.add_argument("--alone", action="store_true", help="do not run transformers")
    parser.add_argument("--model", type=Path, help="made before; default: a temporary folder")
    a = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.set_num_threads(a.threads)
    folder = a.model or Path(tempfile.mkdtemp())
    if not (folder / "config.json").exists():
        make(a.shape, folder)
    dtype = torch.float32 if a.dtype == "f32" else torch.bfloat16
    model = None if a.alone else Gemma4ForConditionalGeneration.from_pretrained(folder, dtype=dtype).eval().model
    for batch in map(int, a.batches.split(",")):
        for budget in map(int, a.budgets.split(",") if "vision" in a.kinds else []):
            pixels, places, height, width = picture_inputs(budget)
            patches = height * width // 256
            images = pixels.to(dtype).expand(batch, -1, -1), places.expand(batch, -1, -1)
            compare(f"an image of {patches // 9} soft tokens", vision_gflop(a.shape, patches), batch,
                    partial(model.get_image_features, *images) if model else None, folder, a,
                    ["--kind=vision", f"--height={height}", f"--width={width}"])
        if "audio" in a.kinds and a.shape == "e2b":
            mel = torch.randn(batch, AUDIO_FRAMES, 128, generator=torch.Generator().manual_seed(2)) - 3
            clips = mel.to(dtype), torch.ones(mel.shape[:2], dtype=torch.bool)
            compare("10 s of sound", audio_gflop(AUDIO_FRAMES), batch,
                    partial(model.get_audio_features, *clips) if model else None, folder, a,
                    ["--kind=audio", f"--frames={AUDIO_FRAMES}"])


if __name__ == "__main__":
    main()
