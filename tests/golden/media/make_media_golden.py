#!/usr/bin/env python3
"""Makes the multimodal checkpoints of this folder: small Gemma 4 models with random weights, media files, and what
Hugging Face transformers computes from them in float32.

  make_media_golden.py [--out FOLDER] [VARIANT ...]        VARIANT: ple dense (both)

Needs torch, transformers, safetensors and pillow (versions: expected.json). The text part is make_golden.py's. The
form of the files is described in README.md.
"""
import argparse
import hashlib
import math
import sys
import wave
import zlib
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers import DynamicCache, Gemma4Config, Gemma4ForConditionalGeneration
from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import make_golden  # noqa: E402

SEED = 20260715
BUDGET = 70         # soft tokens of an image at most
WINDOW = 96         # longer than an image, shorter than two
GREEDY = 8
MIN_LOGIT_GAP = 0.05
MAX_NOISE = 1e-4    # what the order of summation may change of a logit
MIN_DISTINCT = 3    # a tied head likes to repeat itself
VISION = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
              num_key_value_heads=2, head_dim=16, position_embedding_size=240)
AUDIO = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, output_proj_dims=24,
             subsampling_conv_channels=[128, 2])
VARIANTS = {
    "ple": dict(vision=dict(VISION, use_clipped_linears=True, standardize=False), audio=AUDIO),
    "dense": dict(vision=dict(VISION, use_clipped_linears=False, standardize=True), audio=None),
}
# Height, width, PNG mode: enlarged, reduced, a banner, a needle whose height rounds to zero, grey, with alpha.
IMAGES = [(60, 91, "RGB"), (430, 610, "RGB"), (20, 400, "RGB"), (4, 900, "RGB"), (97, 33, "L"), (64, 64, "RGBA")]
FRAMES = [(54, 96, "RGB")] * 2
CLIPS = [161, 6400, 17777]  # samples: one frame, and past several windows of the attention
IDS = ("boi_token_id", "eoi_token_id", "image_token_id", "boa_token_id", "eoa_token_index", "audio_token_id",
       "video_token_id")


def special_ids(vocabulary):
    return {name: vocabulary - 1 - 2 * i for i, name in enumerate(IDS)}


def tower_tensor(variant, name, shape):
    """No parameter keeps a neutral value, and clip bounds clip a few per cent."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{SEED}/{variant}/{name}".encode()))

    def between(low, high):
        return low + (high - low) * torch.rand(shape, generator=generator)

    def gaussian(deviation):
        return deviation * torch.randn(shape, generator=generator)

    if name.endswith(("input_min", "output_min")):
        return -between(1.3, 2.5)
    if name.endswith(("input_max", "output_max")):
        return between(1.3, 2.5)
    if name.endswith(("q_norm.weight", "k_norm.weight")):
        return between(0.3, 0.9)
    if name.endswith(("std_bias", "per_dim_scale", "output_proj.bias")):
        return gaussian(1.0)
    if name.endswith("std_scale") or (len(shape) == 1 and "norm" in name):
        return between(0.5, 1.6)
    if name.endswith("position_embedding_table"):
        return gaussian(0.4)
    return gaussian(1.2 / math.prod(shape[1:]) ** 0.5)


def make_checkpoint(variant, out):
    settings, layout = make_golden.text_settings(variant)
    settings["sliding_window"] = WINDOW
    parts = VARIANTS[variant]
    ids = special_ids(settings["vocab_size"])
    config = Gemma4Config(text_config=settings, vision_config=parts["vision"], audio_config=parts["audio"],
                          vision_soft_tokens_per_image=BUDGET, **ids)
    model, prefix = Gemma4ForConditionalGeneration(config), "model.language_model."
    tensors = {}
    for name, value in model.state_dict().items():
        if name == "lm_head.weight":            # tied: not in the files
            continue
        if name.startswith(prefix):
            drawn = make_golden.random_tensor(variant, name.removeprefix(prefix), value.shape,
                                              settings["hidden_size"])
        else:
            drawn = tower_tensor(variant, name, value.shape)
        tensors[name] = drawn.to(torch.bfloat16)
    make_golden.write_config(model, settings, layout, out)
    make_golden.write_tensors(tensors, layout, out)
    processors = dict(image_processor=Gemma4ImageProcessorPil(max_soft_tokens=BUDGET).to_dict(),
                      feature_extractor=Gemma4AudioFeatureExtractor().to_dict(), image_seq_length=BUDGET,
                      audio_seq_length=750, audio_ms_per_token=40, processor_class="Gemma4Processor")
    (out / "processor_config.json").write_text(make_golden.json.dumps(processors, indent=2, sort_keys=True,
                                                                      default=float) + "\n")


def draw_picture(number, height, width, mode):
    """Stripes, rings and a little texture, in whole numbers: small files."""
    y, x = np.mgrid[:height, :width]
    channels = [(x * (number + 3) // 7 % 256), (y * 5 // 3 + number * 40) % 256,
                ((x - width // 3) ** 2 + (y - height // 2) ** 2) // 97 % 256, (x + y) % 256]
    pixels = np.stack(channels, -1) // 8 * 8 + (x * 7 + y * 13)[..., None] % 5
    pixels = pixels.clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels[..., 2] if mode == "L" else pixels[..., :len(mode)])


def draw_sound(number, samples):
    t = np.arange(samples) / 16000
    rising = np.sin(2 * np.pi * (300 + 450 * t) * t * (number + 1))
    noise = np.random.default_rng([SEED, number]).normal(0, 0.02, samples)
    return ((0.4 * rising + noise) * 32767).clip(-32768, 32767).astype("<i2")


def stretched_pixels(pixel_values, positions, tokens):
    """The processor's patches put together again: bytes [height, width, 3]."""
    columns, rows = (int(positions[..., axis].max()) + 1 for axis in (0, 1))
    patches = (pixel_values[:9 * tokens] * 255).round().to(torch.uint8)
    return patches.reshape(rows, columns, 16, 16, 3).transpose(1, 2).reshape(rows * 16, columns * 16, 3)


@torch.no_grad()
def make_images(out, model, tensors):
    processor = Gemma4ImageProcessorPil(max_soft_tokens=BUDGET)
    media = {}
    kinds = [(f"image{i}", kind) for i, kind in enumerate(IMAGES)] + [(f"frame{i}", k) for i, k in enumerate(FRAMES)]
    for number, (name, (height, width, mode)) in enumerate(kinds):
        path = out / "media" / f"{name}.png"
        draw_picture(number, height, width, mode).save(path, optimize=True)
        got = processor(Image.open(path), return_tensors="pt")
        pixels, positions, tokens = got["pixel_values"], got["image_position_ids"], int(got["num_soft_tokens_per_image"][0])
        resized = stretched_pixels(pixels[0], positions[0], tokens)
        # Where Pillow 13 swaps its two passes, releases differ.
        assert not (height > resized.shape[0] and height - resized.shape[0] > 2 * (width - resized.shape[1])), name
        digest = hashlib.sha256(resized.contiguous().numpy().tobytes()).digest()
        tensors[f"{name}.resized_sha256"] = torch.tensor(list(digest), dtype=torch.uint8)
        features = model.model.get_image_features(pixels, positions, return_dict=True)
        tensors[f"{name}.tower"] = features.last_hidden_state
        tensors[f"{name}.soft"] = torch.cat(features.pooler_output)
        media[name] = dict(file=path.name, tokens=tokens, pixels=pixels, positions=positions)
    return media


@torch.no_grad()
def make_clips(out, model, tensors):
    extractor = Gemma4AudioFeatureExtractor()
    media = {}
    for number, samples in enumerate(CLIPS if model.model.audio_tower is not None else []):
        name = f"audio{number}"
        sound = draw_sound(number, samples)
        path = out / "media" / f"{name}.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 16000, samples, "NONE", ""))
            file.writeframes(sound.tobytes())
        got = extractor([sound.astype(np.float32) / 32768], return_tensors="pt")
        mel, mask = got["input_features"], got["input_features_mask"]
        features = model.model.get_audio_features(mel, mask)
        kept = features.attention_mask[0]
        tensors[f"{name}.mel"] = mel[0]
        tensors[f"{name}.tower"] = features.last_hidden_state[0, kept]
        tensors[f"{name}.soft"] = features.pooler_output[0, kept]
        media[name] = dict(file=path.name, tokens=int(kept.sum()), mel=mel, mask=mask)
    return media


class Prompt:
    """Token ids with media in them: `short` with one placeholder a medium, `ids` expanded."""

    def __init__(self, ids, media, generator):
        self.special, self.media, self.generator = ids, media, generator
        self.short, self.ids, self.types, self.used = [2], [2], [0], []

    def words(self, count):
        drawn = torch.randint(5, 400, (count,), generator=self.generator).tolist()
        self.short += drawn
        self.ids += drawn
        self.types += [0] * count
        return self

    def add(self, name, kind=None):
        kind = kind or ("image" if name.startswith("image") else "audio")
        begin, end = ("boa_token_id", "eoa_token_index") if kind == "audio" else ("boi_token_id", "eoi_token_id")
        placeholder, count = self.special[f"{kind}_token_id"], self.media[name]["tokens"]
        self.short.append(placeholder)
        self.ids += [self.special[begin]] + [placeholder] * count + [self.special[end]]
        self.types += [0] + [dict(image=1, video=2, audio=3)[kind]] * count + [0]
        self.used.append((kind, name))
        return self

    def inputs(self):
        def of(kind, key):
            return [self.media[name][key] for k, name in self.used if k == kind]
        out = {}
        if of("image", "file"):
            out |= dict(pixel_values=torch.cat(of("image", "pixels")), image_position_ids=torch.cat(of("image", "positions")))
        if of("video", "file"):
            out |= dict(pixel_values_videos=torch.cat(of("video", "pixels"))[None],
                        video_position_ids=torch.cat(of("video", "positions"))[None])
        if of("audio", "file"):
            out |= dict(input_features=of("audio", "mel")[0], input_features_mask=of("audio", "mask")[0])
        return out


def make_prompts(ids, media, attempt):
    def prompt():
        return Prompt(ids, media, torch.Generator().manual_seed(SEED + attempt))
    out = dict(image=prompt().words(5).add("image0").words(6),
               images=prompt().words(3).add("image4").add("image2").words(6),     # back to back
               video=prompt().words(4).add("frame0", "video").words(3).add("frame1", "video").words(5))
    if "audio0" in media:
        out |= dict(audio=prompt().words(4).add("audio2").words(6),
                    mixed=prompt().words(3).add("image1").words(4).add("audio1").words(5))
    return out


@torch.no_grad()
def answer(model, prompt, never, types=None):
    """Logits at every position of the prompt and GREEDY further tokens, computed at once; those tokens; the smallest
    gap of a choice; and how far the way through a cache, a token at a time, differs."""
    types = types or prompt.types
    cache, blocked = DynamicCache(config=model.config.get_text_config()), torch.tensor(never)

    def run(ids, **more):
        return model(input_ids=torch.tensor([ids]), **more).logits[0].float()

    rows = [run(prompt.ids, past_key_values=cache, mm_token_type_ids=torch.tensor([types]), **prompt.inputs())]
    tokens, gap = [], math.inf
    for _ in range(GREEDY):
        best = rows[-1][-1].index_fill(0, blocked, -math.inf).topk(2)
        gap = min(gap, float(best.values[0] - best.values[1]))
        tokens.append(int(best.indices[0]))
        rows.append(run(tokens[-1:], past_key_values=cache))
    whole = run(prompt.ids + tokens, mm_token_type_ids=torch.tensor([types + [0] * GREEDY]), use_cache=False,
                **prompt.inputs())
    return whole, tokens, gap, float((whole - torch.cat(rows)).abs().max())


def find_answer(model, ids, media, name):
    """The first prompt of this name whose answer is far from ties and amplifies no rounding."""
    never = list(ids.values())
    for attempt in range(300):
        prompt = make_prompts(ids, media, attempt)[name]
        logits, tokens, gap, noise = answer(model, prompt, never)
        if gap >= MIN_LOGIT_GAP and noise <= MAX_NOISE and len(set(tokens)) >= MIN_DISTINCT:
            return prompt, logits, tokens, gap
    raise SystemExit(f"{name}: no answer is stable; change SEED")


def describe(model, prompt, logits, tokens, gap, never):
    blind = answer(model, prompt, never, [0] * len(prompt.types))[0][:len(prompt.ids)]
    return dict(prompt=prompt.short, ids=prompt.ids, greedy=tokens, smallest_gap=round(gap, 4),
                media=[dict(kind=kind, name=name, file=prompt.media[name]["file"], soft_tokens=prompt.media[name]["tokens"])
                       for kind, name in prompt.used],
                causal_images_change_logits_by=round(float((logits[:len(prompt.ids)] - blind).abs().max()), 3))


def make_expected(variant, out):
    model = Gemma4ForConditionalGeneration.from_pretrained(out, dtype=torch.float32, attn_implementation="eager",
                                                           experts_implementation="eager").eval()
    if model.model.audio_tower is not None:
        # The audio tower asks where its mask is true. "eager" hands it a mask of numbers, 0 where a frame may look:
        # it would look everywhere else. Users get "sdpa", with a mask of truth values.
        model.model.audio_tower.config._attn_implementation = "sdpa"
    ids = special_ids(model.config.get_text_config().vocab_size)
    tensors, prompts = {}, {}
    (out / "media").mkdir(exist_ok=True)
    media = make_images(out, model, tensors) | make_clips(out, model, tensors)
    for name in make_prompts(ids, media, 0):
        prompt, logits, tokens, gap = find_answer(model, ids, media, name)
        places = [i for i, kind in enumerate(prompt.types + [0] * GREEDY) if kind == 0]
        tensors[f"{name}.positions"] = torch.tensor(places, dtype=torch.int32)
        tensors[f"{name}.logits"] = logits[places]
        prompts[name] = describe(model, prompt, logits, tokens, gap, list(ids.values()))
    save_file({name: t.contiguous() for name, t in tensors.items()}, out / "expected.safetensors")
    make_golden.write_json(out / "expected.json", dict(
        variant=variant, seed=SEED, image_budget=BUDGET, special_ids=ids, torch=torch.__version__.split("+")[0],
        transformers=transformers.__version__, prompts=prompts))
    spread = max(float(t.abs().max()) for name, t in tensors.items() if name.endswith("logits"))
    size = sum(f.stat().st_size for f in out.rglob("*") if f.is_file())
    print(f"{variant}: largest |logit| {spread:.1f}, {size / 1000:.0f} kB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent)
    parser.add_argument("variants", nargs="*", metavar="VARIANT", default=list(VARIANTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    for variant in arguments.variants:
        out = arguments.out / variant
        out.mkdir(parents=True, exist_ok=True)
        make_checkpoint(variant, out)
        make_expected(variant, out)


if __name__ == "__main__":
    main()
