#!/usr/bin/env python3
"""Runs made-up multimodal checkpoints through the real processes and compares them with transformers in float32.

  check_variants.py [--work FOLDER] [--facet ./facet] [--tp 1,2] [VARIANT ...]        all variants by default

Each variant is a small Gemma 4 model with random weights that differs from the published ones in shapes, settings or
the form of its files. It is served with `facet up`, asked with `facet generate --json` about images and sound, and its
greedy tokens and log-probabilities are held against transformers. Nothing of it is kept in the repository: a run takes
some fifteen seconds a variant. Needs torch, transformers, safetensors and pillow, as README.md says.
"""
import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.torch import save_file
from transformers import Gemma4Config, Gemma4ForConditionalGeneration
from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor
from transformers.models.gemma4.image_processing_pil_gemma4 import (Gemma4ImageProcessorPil,
                                                                            get_aspect_ratio_preserving_size)

ROOT = Path(__file__).resolve().parents[3]
sys.path.insert(0, str(ROOT / "tests/golden/media"))
import make_media_golden as media_golden  # noqa: E402
from make_media_golden import make_golden  # noqa: E402

TOLERANCE = 5e-3        # of a log-probability: the text part amplifies what soft tokens differ
IDS = media_golden.IDS
VISION = dict(hidden_size=48, intermediate_size=96, num_hidden_layers=3, num_attention_heads=3, num_key_value_heads=3,
              head_dim=16, position_embedding_size=240, use_clipped_linears=True, standardize=False)
AUDIO = dict(hidden_size=48, num_hidden_layers=2, num_attention_heads=3, output_proj_dims=20,
             subsampling_conv_channels=[128, 2])
# text: one of make_golden's and what differs; budget: what the checkpoint's files make of an image, where they say it;
# files: of which the budget is read, how many weight files, which spellings.
VARIANTS = {
    "budget_in_processor_config": dict(text="ple", budget=70, files=["processor"]),
    "budget_in_preprocessor_config": dict(text="ple", budget=140, files=["preprocessor"], dtype="float32",
                                          vision=dict(position_embedding_size=500)),
    "no_processor_files": dict(text="ple", budget=280, files=[], shards=3, vision=dict(position_embedding_size=900)),
    "dense_clipped_causal": dict(text="dense", text_settings=dict(use_bidirectional_attention=None, sliding_window=64),
                                 spelling="eoa_token_id"),
    "dense_bidirectional_with_audio": dict(text="dense", text_settings=dict(sliding_window=96), dtype="float32",
                                           vision=dict(standardize=True, use_clipped_linears=False),
                                           audio=dict(use_clipped_linears=False), rope="default"),
    "blocks_beyond_the_window": dict(text="dense", text_settings=dict(sliding_window=24),
                                     vision=dict(standardize=True)),
    "moe_bidirectional": dict(text="moe", text_settings=dict(sliding_window=80), audio=None, shards=2,
                              vision=dict(head_dim=20, num_attention_heads=2, num_key_value_heads=2, hidden_size=44,
                                          intermediate_size=50, num_hidden_layers=5)),
    "moe_with_audio": dict(text="moe", text_settings=dict(use_bidirectional_attention=None, sliding_window=48),
                           audio=dict(hidden_size=40, num_attention_heads=5, num_hidden_layers=4, output_proj_dims=72),
                           ids=[300, 301, 303, 302, 311, 305, 304]),
    "untied_head": dict(text="dense", text_settings=dict(tie_word_embeddings=False, sliding_window=90),
                        vision=dict(head_dim=72, num_attention_heads=2, num_key_value_heads=2, hidden_size=60,
                                    rope_parameters=dict(rope_type="axial", rope_theta=50.0))),
    "other_patches": dict(text="ple", vision=dict(patch_size=8, pooling_kernel_size=2, position_embedding_size=150)),
    "larger_pools": dict(text="ple", vision=dict(pooling_kernel_size=4, patch_size=14, position_embedding_size=300)),
    "grouped_query_heads": dict(text="ple", vision=dict(num_attention_heads=4, num_key_value_heads=2, head_dim=12)),
    "other_constants": dict(text="ple4b", text_settings=dict(sliding_window=20),
                            vision=dict(rms_norm_eps=1e-3, rope_parameters=dict(rope_type="axial", rope_theta=1000.0)),
                            audio=dict(rms_norm_eps=1e-2, residual_weight=0.25, attention_logit_cap=3.0,
                                       conv_kernel_size=3, gradient_clipping=0.9)),
    "other_audio_window": dict(text="ple", audio=dict(attention_context_left=9, attention_chunk_size=8)),
    "every_budget": dict(text="ple", audio=None, prompts="budgets", vision=dict(
        num_hidden_layers=1, num_attention_heads=1, num_key_value_heads=1, position_embedding_size=3400)),
    "audio_looks_ahead": dict(text="ple", audio=dict(attention_context_left=5, attention_context_right=4,
                                                     attention_chunk_size=7, subsampling_conv_channels=[128, 3])),
}
# Height, width, mode.
PICTURES = [(60, 91, "RGB"), (430, 610, "RGB"), (20, 400, "RGB"), (4, 900, "RGB"), (97, 33, "L"), (64, 64, "RGBA"),
            (1, 1, "RGB"), (1000, 3, "RGB")]
CLIPS = [161, 6400, 17777, 48000]
# What stands in a prompt, with words between; the budget that it asks for (None: the checkpoint's).
PROMPTS = {
    "all": {"image": (["image0"], None), "images": (["image4", "image2"], None),
            "banner_and_needle": (["image2", "image3"], 70), "shapes": (["image5", "image6", "image7", "image1"], 70),
            "audio": (["audio2"], None), "mixed": (["image1", "audio1", "audio3", "image4"], None),
            "shortest": (["audio0"], None)},
    "budgets": {f"{name}_{budget}": ([name], budget) for budget in (70, 140, 280, 560, 1120)
                for name in ("image1", "image2", "image3", "image6", "image7")}}


def settings_of(name):
    variant = VARIANTS[name]
    text, _ = make_golden.text_settings(variant["text"])
    text.update(sliding_window=96, max_position_embeddings=4096)
    text.update(variant.get("text_settings", {}))
    audio = None
    if "audio" not in variant:
        audio = AUDIO if variant["text"].startswith("ple") else None
    elif variant["audio"] is not None:
        audio = AUDIO | variant["audio"]
    ids = dict(zip(IDS, variant.get("ids") or [text["vocab_size"] - 1 - 2 * i for i in range(len(IDS))]))
    return variant, text, VISION | variant.get("vision", {}), audio, ids


def write_tensors(tensors, count, out):
    """In `count` files, dealt in turn, with an index where there are several."""
    names, where = sorted(tensors), {}
    for n in range(count):
        file = "model.safetensors" if count == 1 else f"model-{n + 1:05}-of-{count:05}.safetensors"
        save_file({name: tensors[name] for name in names[n::count]}, out / file, metadata={"format": "pt"})
        where.update({name: file for name in names[n::count]})
    if count > 1:
        size = sum(t.numel() * t.element_size() for t in tensors.values())
        make_golden.write_json(out / "model.safetensors.index.json",
                               dict(metadata=dict(total_size=size), weight_map=where))


def write_processors(variant, vision, out):
    files = variant.get("files", ["processor"])
    settings = dict(max_soft_tokens=variant.get("budget", 70), patch_size=vision.get("patch_size", 16),
                    pooling_kernel_size=vision.get("pooling_kernel_size", 3))
    processor = Gemma4ImageProcessorPil(**settings)
    if "processor" in files:
        make_golden.write_json(out / "processor_config.json", dict(
            image_processor=processor.to_dict(),
            feature_extractor=json.loads(Gemma4AudioFeatureExtractor().to_json_string()),
            processor_class="Gemma4Processor", image_seq_length=280, audio_seq_length=750, audio_ms_per_token=40))
    if "preprocessor" in files:
        make_golden.write_json(out / "preprocessor_config.json", json.loads(processor.to_json_string()))
    return ImageProcessor(**settings)


def make_checkpoint(name, out):
    """The processor of its images."""
    variant, text, vision, audio, ids = settings_of(name)
    config = Gemma4Config(text_config=text, vision_config=vision, audio_config=audio,
                          tie_word_embeddings=text["tie_word_embeddings"], **ids)
    model, prefix, tensors = Gemma4ForConditionalGeneration(config), "model.language_model.", {}
    for tensor, value in model.state_dict().items():
        if tensor == "lm_head.weight" and text["tie_word_embeddings"]:
            continue
        if tensor == "lm_head.weight":
            drawn = make_golden.random_tensor(name, tensor, value.shape, text["hidden_size"]) * 2
        elif tensor.startswith(prefix):
            drawn = make_golden.random_tensor(name, tensor.removeprefix(prefix), value.shape, text["hidden_size"])
        else:
            drawn = media_golden.tower_tensor(name, tensor, value.shape)
        tensors[tensor] = drawn.to(getattr(torch, variant.get("dtype", "bfloat16"))).contiguous()
    make_golden.write_config(model, text, "released", out)
    saved = json.loads((out / "config.json").read_text())
    if "rope" in variant:
        saved["vision_config"]["rope_parameters"]["rope_type"] = variant["rope"]
    if "spelling" in variant:
        saved[variant["spelling"]] = saved.pop("eoa_token_index")
    make_golden.write_json(out / "config.json", saved)
    write_tensors(tensors, variant.get("shards", 1), out)
    return write_processors(variant, vision, out)


def load_reference(out):
    model = Gemma4ForConditionalGeneration.from_pretrained(out, dtype=torch.float32, attn_implementation="eager",
                                                           experts_implementation="eager").eval()
    if model.model.audio_tower is not None:
        model.model.audio_tower.config._attn_implementation = "sdpa"     # see make_media_golden.py
    return model


def make_pictures(out, processor, budget):
    """By name: the file, its soft tokens, the model's inputs."""
    media = {}
    for number, (height, width, mode) in enumerate(PICTURES):
        path = out / "media" / f"image{number}.png"
        picture = media_golden.draw_picture(number, height, width, mode)
        picture.save(path)
        got = processor(picture, return_tensors="pt", **(dict(max_soft_tokens=budget) if budget else {}))
        media[path.stem] = dict(file=path, tokens=int(got["num_soft_tokens_per_image"][0]),
                                pixels=got["pixel_values"], positions=got["image_position_ids"])
    return media


def make_clips(out):
    media = {}
    for number, samples in enumerate(CLIPS):
        path = out / "media" / f"audio{number}.wav"
        sound = media_golden.draw_sound(number, samples)
        with media_golden.wave.open(str(path), "wb") as file:
            file.setparams((1, 2, 16000, samples, "NONE", ""))
            file.writeframes(sound.tobytes())
        got = Gemma4AudioFeatureExtractor()([sound.astype(np.float32) / 32768], return_tensors="pt")
        media[path.stem] = dict(file=path, tokens=-(-int(got["input_features_mask"].sum()) // 4),
                                mel=got["input_features"], mask=got["input_features_mask"])
    return media


class ImageProcessor(Gemma4ImageProcessorPil):
    """Resizes columns first, as Pillow did before 13 and torchvision does, and as we do."""

    def aspect_ratio_preserving_resize(self, image, patch_size, max_patches, pooling_kernel_size, resample):
        height, width = get_aspect_ratio_preserving_size(*image.shape[-2:], patch_size, max_patches,
                                                         pooling_kernel_size)
        picture = Image.fromarray(image.transpose(1, 2, 0))
        picture = picture.resize((width, picture.height), resample).resize((width, height), resample)
        return np.asarray(picture).transpose(2, 0, 1)


class Prompt(media_golden.Prompt):
    """As that of make_media_golden, with several clips."""

    def inputs(self):
        out = {}
        pictures = [self.media[name] for kind, name in self.used if kind == "image"]
        clips = [self.media[name] for kind, name in self.used if kind == "audio"]
        if pictures:
            out |= dict(pixel_values=torch.cat([p["pixels"] for p in pictures]),
                        image_position_ids=torch.cat([p["positions"] for p in pictures]))
        if clips:
            most = max(c["mel"].shape[1] for c in clips)
            out |= dict(
                input_features=torch.cat([torch.nn.functional.pad(c["mel"], (0, 0, 0, most - c["mel"].shape[1]))
                                          for c in clips]),
                input_features_mask=torch.cat([torch.nn.functional.pad(c["mask"], (0, most - c["mask"].shape[1]))
                                               for c in clips]))
        return out


def make_prompt(ids, media, names, budget, attempt):
    prompt = Prompt(ids, media, torch.Generator().manual_seed(attempt))
    prompt.budget = budget
    for name in names:
        prompt.words(3).add(name)
    return prompt.words(5)


def find_answer(model, make, never):
    """A prompt whose answer no rounding decides, its greedy tokens and their log-probabilities."""
    best = None
    for attempt in range(12):
        prompt = make(attempt)
        logits, tokens, gap, noise = media_golden.answer(model, prompt, never)
        if best is None or (noise < 1e-3, gap) > best[0]:
            rows = logits[len(prompt.ids) - 1:len(prompt.ids) - 1 + len(tokens)]
            best = (noise < 1e-3, gap), prompt, tokens, rows
        if gap >= 0.05 and noise < media_golden.MAX_NOISE:
            break
    return best


def ask(facet, prompt):
    command = [facet, "generate", "--json", "--ignore-eos", "--temperature", "0", "--logprobs", "5", "--timeout", "120",
               "--max-tokens", str(media_golden.GREEDY), "--prompt-ids", ",".join(map(str, prompt.short))]
    for kind, name in prompt.used:
        command += [f"--{kind}", str(prompt.media[name]["file"])]
    if prompt.budget:
        command += ["--image-budget", str(prompt.budget)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return json.loads(done.stdout) if done.returncode == 0 else done.stderr.strip()


def compare(answer, tokens, rows, prompt, never):
    """What is wrong, or the largest difference of a log-probability."""
    if isinstance(answer, str):
        return answer, None
    if answer["token_ids"] != tokens:
        return f"tokens {answer['token_ids']}, reference {tokens}", None
    most = {}
    for mask in (False, True):          # log-probabilities over all tokens, or without those that are never taken
        wanted = (rows.index_fill(-1, torch.tensor(never), -torch.inf) if mask else rows).log_softmax(-1)
        most[mask] = max(abs(top["logprob"] - float(wanted[i, top["token_id"]]))
                         for i, token in enumerate(answer["logprobs"]) for top in [token, *token["top"]])
    return None, min(most.values())


def run_cluster(facet, out, tp, answers, never):
    failures = 0
    up = subprocess.run([facet, "up", "--model", str(out), "--tp", str(tp), "--threads", "1"], stdout=subprocess.PIPE,
                        stderr=subprocess.STDOUT, text=True)
    try:
        if up.returncode:
            print(f"  tp {tp}: does not start: {up.stdout.strip()[-600:]}")
            return 1
        for name, (clear, prompt, tokens, rows) in answers.items():
            wrong, most = compare(ask(facet, prompt), tokens, rows, prompt, never)
            if wrong is None and most > TOLERANCE:
                wrong = f"log-probabilities differ by {most:.4f}"
            failures += wrong is not None
            print(f"  tp {tp} {name}: {'ok, within %.1g' % most if wrong is None else 'WRONG: ' + wrong}"
                  f"{'' if clear[0] and clear[1] >= 0.05 else ' (the reference is near a tie)'}", flush=True)
        return failures
    finally:
        subprocess.run([facet, "down"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def check(name, facet, ranks, work):
    print(f"{name}", flush=True)
    out = work / name
    out.mkdir(parents=True, exist_ok=True)
    processor = make_checkpoint(name, out)
    model = load_reference(out)
    variant, _, _, audio, ids = settings_of(name)
    prompts = PROMPTS[variant.get("prompts", "all")]
    (out / "media").mkdir(exist_ok=True)
    clips = make_clips(out) if audio else {}
    media = {budget: make_pictures(out, processor, budget) | clips for budget in {b for _, b in prompts.values()}}
    never, answers = list(ids.values()), {}
    for prompt, (names, budget) in prompts.items():
        if audio or not any(n.startswith("audio") for n in names):
            answers[prompt] = find_answer(
                model, lambda attempt: make_prompt(ids, media[budget], names, budget, attempt), never)  # noqa: B023
    return sum(run_cluster(facet, out, tp, answers, never) for tp in ranks)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=None, help="keep the checkpoints here")
    parser.add_argument("--facet", default=str(ROOT / "facet"))
    parser.add_argument("--tp", default="1,2", help="ranks to try")
    parser.add_argument("variants", nargs="*", metavar="VARIANT", default=list(VARIANTS))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    ranks = [int(tp) for tp in arguments.tp.split(",")]
    with tempfile.TemporaryDirectory() as scratch:
        work = arguments.work or Path(scratch)
        failures = sum(check(name, arguments.facet, ranks, work) for name in arguments.variants)
    print(f"{failures} failures" if failures else "all equal")
    return failures > 0


if __name__ == "__main__":
    sys.exit(main())
