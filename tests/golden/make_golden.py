#!/usr/bin/env python3
"""Makes the checkpoints of this folder: small Gemma 4 text models with random weights, and what Hugging Face
transformers computes with them in float32.

  make_golden.py [--out FOLDER] [VARIANT ...]        VARIANT: dense moe ple ple4b (all)

Needs torch, transformers and safetensors (the versions that were used stand in expected.json). A variant's folder:

  config.json, generation_config.json, model*.safetensors   the checkpoint, bfloat16
  expected.json         per prompt: ids, greedy continuation, smallest gap between its two best logits; bfloat16: what
                        a run of transformers in bfloat16 makes of the same tokens, the mean error of a logit and
                        the share of positions whose best token stays
  expected.safetensors  float32: prompt<n>.logits [T, V], at every position of the prompt and of all greedy tokens
                        but the last, after the soft cap

Everything follows from SEED and the names of the tensors: the same versions give the same bytes. The sizes are as
small as they can be while every rule of the architecture shows in the logits, and such that 4 ranks can share a model.
"""
import argparse
import hashlib
import json
import zlib
from pathlib import Path

import torch
import transformers
from safetensors.torch import save_file
from transformers import (DynamicCache, Gemma4Config, Gemma4ForCausalLM, Gemma4ForConditionalGeneration,
                          Gemma4TextConfig)

SEED = 20260401
WINDOW = 8
STOP_TOKENS = [1, 106, 50]
# Prompt length, greedy tokens. The last one is longer than three windows.
PROMPTS = [(1, 6), (WINDOW + 1, 6), (3 * WINDOW + 5, 12)]
MIN_LOGIT_GAP = 0.03    # greedy choices must not hang on rounding,
MIN_ROUTER_GAP = 2e-4   # nor the router's,
MAX_NOISE = 1e-4        # and float32 must not be amplified: the tests ask for 1e-3


def layer_kinds(layers, period):
    return ["full_attention" if i % period == period - 1 else "sliding_attention" for i in range(layers)]


# What differs between the variants; `layout` says how the files are written.
VARIANTS = {
    # Like 31B: K=V in the global layers, KV heads fewer than 4 ranks there.
    "dense": dict(hidden_size=48, intermediate_size=64, num_attention_heads=8, num_key_value_heads=4,
                  num_global_key_value_heads=2, head_dim=8, global_head_dim=16, attention_k_eq_v=True,
                  layer_types=layer_kinds(6, 6), use_bidirectional_attention="vision"),
    # Like 26B-A4B: an MLP and experts in every layer. 4 ranks cut an expert to 3 columns.
    "moe": dict(hidden_size=48, intermediate_size=16, num_attention_heads=8, num_key_value_heads=4,
                num_global_key_value_heads=1, head_dim=8, global_head_dim=16, attention_k_eq_v=True,
                layer_types=layer_kinds(6, 6), use_bidirectional_attention="vision", enable_moe_block=True,
                num_experts=8, top_k_experts=3, moe_intermediate_size=12),
    # Like E2B: per-layer embeddings, one KV head, half of the layers share K/V and have a wide MLP.
    "ple": dict(hidden_size=32, intermediate_size=32, num_attention_heads=8, num_key_value_heads=1, head_dim=8,
                global_head_dim=16, layer_types=layer_kinds(10, 5), num_kv_shared_layers=5,
                use_double_wide_mlp=True, hidden_size_per_layer_input=8),
    # Like E4B, as a fine-tuned text-only export: other spelling of the head sizes, other tensor prefix, two files
    # and an index, trained leftovers in the shared layers, a vocabulary that 2 does not divide.
    "ple4b": dict(hidden_size=32, intermediate_size=28, num_attention_heads=8, num_key_value_heads=2, head_dim=8,
                  global_head_dim=16, layer_types=layer_kinds(12, 6), num_kv_shared_layers=5,
                  hidden_size_per_layer_input=6, vocab_size=509, layout="exported"),
}


def text_settings(variant):
    settings = dict(
        vocab_size=512, rms_norm_eps=1e-6, sliding_window=WINDOW, max_position_embeddings=512,
        final_logit_softcapping=30.0, hidden_activation="gelu_pytorch_tanh", tie_word_embeddings=True,
        attention_k_eq_v=False, num_global_key_value_heads=None, num_kv_shared_layers=0, use_double_wide_mlp=False,
        hidden_size_per_layer_input=0, enable_moe_block=False, use_bidirectional_attention=None,
        pad_token_id=0, eos_token_id=1, bos_token_id=2,
        rope_parameters=dict(
            sliding_attention=dict(rope_type="default", rope_theta=10000.0),
            full_attention=dict(rope_type="proportional", rope_theta=1000000.0, partial_rotary_factor=0.25)))
    settings.update(VARIANTS[variant])
    layout = settings.pop("layout", "released")
    settings["num_hidden_layers"] = len(settings["layer_types"])
    settings["vocab_size_per_layer_input"] = settings["vocab_size"]
    return settings, layout


def random_tensor(variant, name, shape, hidden):
    """Scales are chosen so that logits spread over about +-20, no layer is drowned by the others, and the answer
    is not simply the last token again, which a tied head likes to say."""
    generator = torch.Generator().manual_seed(zlib.crc32(f"{SEED}/{variant}/{name}".encode()))

    def between(low, high):
        return low + (high - low) * torch.rand(shape, generator=generator)

    def gaussian(deviation):
        return deviation * torch.randn(shape, generator=generator)

    if name.endswith("layer_scalar"):
        return between(0.75, 1.25)
    if name.endswith(("q_norm.weight", "k_norm.weight")):
        return between(0.2, 0.8)
    if name.endswith(("router.scale", "router.per_expert_scale")):
        return between(0.4, 1.6)
    if name.endswith("router.proj.weight"):
        return gaussian(1.5)
    if "post_" in name and len(shape) == 1:     # what a half layer adds to the residual stream
        first_layers = name.startswith(("layers.0.", "layers.1."))
        return between(12, 36) if first_layers else between(3, 9)
    if len(shape) == 1:
        return between(0.5, 1.7)
    if name.endswith("embed_tokens.weight"):
        return gaussian(8 / hidden ** 0.5)
    if name.endswith("embed_tokens_per_layer.weight"):
        return gaussian(0.3)
    return gaussian(1.4 / shape[-1] ** 0.5)


def new_model(settings, layout):
    """An uninitialised model and the prefix of its text tensors."""
    if layout == "exported":
        return Gemma4ForCausalLM(Gemma4TextConfig(**settings)), "model."
    config = Gemma4Config(text_config=settings, vision_config=None, audio_config=None)
    return Gemma4ForConditionalGeneration(config), "model.language_model."


def leftovers(settings, prefix):
    """K/V weights of layers that share another layer's: released files have them, nothing may read them."""
    out = {}
    layers = settings["num_hidden_layers"]
    for i in range(layers - settings["num_kv_shared_layers"], layers):
        full = settings["layer_types"][i] == "full_attention"
        dim = settings["global_head_dim" if full else "head_dim"]
        rows = settings["num_key_value_heads"] * dim
        for name, shape in (("k_proj", (rows, settings["hidden_size"])), ("v_proj", (rows, settings["hidden_size"])),
                            ("k_norm", (dim,))):
            out[f"{prefix}layers.{i}.self_attn.{name}.weight"] = torch.full(shape, 9.0, dtype=torch.bfloat16)
    return out


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n")


def write_config(model, settings, layout, out):
    model.config.save_pretrained(out)
    config = json.loads((out / "config.json").read_text())
    if layout == "released":                    # the flat keys of the published files
        text = config["text_config"]
        text.pop("per_layer_config", None)
        for key in ("global_head_dim", "num_global_key_value_heads"):
            text[key] = settings[key]
        config["eos_token_id"] = [1, 106]
    else:
        assert "per_layer_config" in config and "global_head_dim" not in config
    write_json(out / "config.json", config)
    write_json(out / "generation_config.json",
               dict(bos_token_id=2, do_sample=True, eos_token_id=STOP_TOKENS, pad_token_id=0, temperature=1.0,
                    top_k=64, top_p=0.95, transformers_version=transformers.__version__))


def write_tensors(tensors, layout, out):
    metadata = {"format": "pt"}
    if layout == "released":
        save_file(tensors, out / "model.safetensors", metadata=metadata)
        return
    names = sorted(tensors)
    halves = names[:len(names) // 3], names[len(names) // 3:]
    where = {}
    for n, part in enumerate(halves):
        file = f"model-{n + 1:05}-of-{len(halves):05}.safetensors"
        save_file({name: tensors[name] for name in part}, out / file, metadata=metadata)
        where.update({name: file for name in part})
    size = sum(t.numel() * t.element_size() for t in tensors.values())
    write_json(out / "model.safetensors.index.json", dict(metadata=dict(total_size=size), weight_map=where))


def make_checkpoint(variant, out):
    settings, layout = text_settings(variant)
    model, prefix = new_model(settings, layout)
    tensors = {}
    for name, value in model.state_dict().items():
        if name == "lm_head.weight":            # tied: not in the files
            continue
        drawn = random_tensor(variant, name.removeprefix(prefix), value.shape, settings["hidden_size"])
        tensors[name] = drawn.to(torch.bfloat16)
    if layout == "exported":
        tensors |= leftovers(settings, prefix)
    write_config(model, settings, layout, out)
    write_tensors(tensors, layout, out)
    return settings, layout


def load(out, layout, dtype):
    kind = Gemma4ForCausalLM if layout == "exported" else Gemma4ForConditionalGeneration
    return kind.from_pretrained(out, dtype=dtype, attn_implementation="eager",
                                experts_implementation="eager").eval()


@torch.no_grad()
def logits_of(model, ids, cache=None):
    return model(input_ids=torch.tensor([ids]), past_key_values=cache, use_cache=cache is not None).logits[0].float()


def continue_greedily(model, ids, count):
    """Feeds single tokens through a KV cache: the greedy tokens, the logits of every position, and the smallest gap
    between the best and the second best of a greedy choice."""
    cache = DynamicCache(config=model.config.get_text_config())
    path, rows, gap = list(ids), [], float("inf")
    while len(rows) < len(ids) + count - 1:
        rows.append(logits_of(model, path[len(rows):len(rows) + 1], cache)[0])
        if len(rows) >= len(ids):
            best = rows[-1].topk(2)
            gap = min(gap, float(best.values[0] - best.values[1]))
            path.append(int(best.indices[0]))
    return path[len(ids):], torch.stack(rows), gap


class RouterWatch:
    """The smallest gap, over all tokens and layers, between the logits of the last expert taken and the first left."""

    def __init__(self, model, top_k):
        self.smallest = float("inf")
        if top_k:
            body = getattr(model.model, "language_model", model.model)
            for layer in body.layers:
                layer.router.register_forward_hook(lambda m, x, out: self.see(out[0], top_k))

    def see(self, probabilities, top_k):
        logits = probabilities.log().sort(-1, descending=True).values
        self.smallest = min(self.smallest, float((logits[:, top_k - 1] - logits[:, top_k]).min()))


def find_prompt(model, watch, settings, number, length, count):
    """A random prompt whose continuation is far from ties, varied, meets no stop token and amplifies no rounding;
    the continuation, the logits at all positions, computed at once and without a cache, and the smallest gap."""
    for attempt in range(500):
        generator = torch.Generator().manual_seed(SEED + 1000 * number + attempt)
        ids = [2] + torch.randint(5, settings["vocab_size"], (length - 1,), generator=generator).tolist()
        if length == 1:
            ids = [2 + attempt]
        watch.smallest = float("inf")
        tokens, rows, gap = continue_greedily(model, ids, count)
        varied = len(set(tokens)) * 2 > count and not set(tokens) & set(STOP_TOKENS)
        if not varied or gap < MIN_LOGIT_GAP or watch.smallest < MIN_ROUTER_GAP:
            continue
        logits = logits_of(model, ids + tokens[:-1])
        noise = float((logits - rows).abs().max())
        assert noise < 20 * MAX_NOISE, f"with and without a cache differ by {noise}"
        if noise < MAX_NOISE:
            return ids, tokens, logits, gap
    raise SystemExit(f"prompt {number}: no continuation is stable; change SEED")


def make_expected(variant, out, settings, layout):
    model, low = load(out, layout, torch.float32), load(out, layout, torch.bfloat16)
    watch = RouterWatch(model, settings.get("top_k_experts"))
    tensors, prompts, errors, equal = {}, [], [], []
    for number, (length, count) in enumerate(PROMPTS):
        ids, tokens, logits, gap = find_prompt(model, watch, settings, number, length, count)
        tensors[f"prompt{number}.logits"] = logits.contiguous()
        prompts.append(dict(ids=ids, greedy=tokens, smallest_gap=round(gap, 4)))
        low_logits = logits_of(low, ids + tokens[:-1])
        errors.append((low_logits - logits).abs().flatten())
        equal.append(low_logits.argmax(-1) == logits.argmax(-1))
    save_file(tensors, out / "expected.safetensors")
    digests = {f.name: hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(out.glob("model*.safetensors"))}
    write_json(out / "expected.json",
               dict(variant=variant, seed=SEED, torch=torch.__version__.split("+")[0],
                    transformers=transformers.__version__, sha256=digests, prompts=prompts,
                    bfloat16=dict(mean_error=round(float(torch.cat(errors).mean()), 4),
                                  equal_best=round(float(torch.cat(equal).float().mean()), 4))))
    spread = max(float(t.float().abs().max()) for t in tensors.values())
    size = sum(f.stat().st_size for f in out.iterdir())
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
        settings, layout = make_checkpoint(variant, out)
        make_expected(variant, out, settings, layout)


if __name__ == "__main__":
    main()
