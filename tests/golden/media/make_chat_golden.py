#!/usr/bin/env python3
"""Makes the chat fixtures of this folder: the checkpoints of make_media_golden.py with a tokenizer and room for long
prompts, a video file, and what Hugging Face transformers answers to chats with media in float32.

  make_chat_golden.py [--out FOLDER]

  chat        the weights of ple (like E2B)           chat_large  those of dense (like 31B; no audio)

Weights and most media are links into ple and dense. Needs what make_media_golden.py needs, and jinja2, tokenizers and
av; FACET_SOURCES names the folder to which deploy/setup.sh downloads Google's chat templates.
"""
import argparse
import json
import sys
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
import transformers
from PIL import Image
from tokenizers import Tokenizer
from transformers import Gemma4ForConditionalGeneration
from transformers.models.gemma4.feature_extraction_gemma4 import Gemma4AudioFeatureExtractor
from transformers.models.gemma4.image_processing_pil_gemma4 import Gemma4ImageProcessorPil

import make_media_golden as media_golden

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "chat"))
import published_template  # noqa: E402

BUDGET = media_golden.BUDGET
CONTEXT = 4096
PIECES = dict(boi_token_id="<|image>", eoi_token_id="<image|>", image_token_id="<|image|>", boa_token_id="<|audio>",
              eoa_token_index="<audio|>", audio_token_id="<|audio|>", video_token_id="<|video|>")
END_PIECES = ["<eos>", "<turn|>", "<|tool_response>"]
VARIANTS = dict(chat=("ple", "small"), chat_large=("dense", "large"))
# Seven frames in five seconds.
CLIP_FRAMES, CLIP_RATE = 7, Fraction(7, 5)
# Tried until the answer is far from ties and no mere repetition.
NOUNS = ["storm", "harbour", "keeper", "number", "letter", "signals", "children", "kettle", "waves", "shells", "train",
         "driver", "station", "book", "rain", "boot", "ropes", "ships", "baker", "morning"]
WORDS = [noun + more for more in ("", " again", ", slowly", " 7") for noun in NOUNS]


def text(value):
    return {"type": "text", "text": value}


def media(kind, *files, times=None):
    """One file, or the frames of a video with their times."""
    return dict({"type": kind, "files": list(files)}, **({"times": times} if times else {}))


def user(*parts):
    return {"role": "user", "content": list(parts)}


def assistant(value):
    return {"role": "assistant", "content": value}


def conversations(word):
    """By name; those with audio are left out for a model that has no audio part."""
    image0, image1, image4 = (media("image", f"ple/media/image{i}.png") for i in (0, 1, 4))
    clips = [media("audio", f"ple/media/audio{i}.wav") for i in (0, 1, 2)]
    clip = media("video", "chat/media/clip.mp4")
    frames = media("video", "ple/media/frame0.png", "ple/media/frame1.png", times=[0.5, 61.9])
    call = {"role": "assistant", "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "look", "arguments": {"place": word}}}]}
    voice = [user(text(f"Say {word}."), clips[1]), assistant("The storm."), user(clips[2], text(f"And this {word}?")),
             assistant("The harbour."), user(clips[0], text(f"Once more: {word}"))]
    return {
        "image": [user(image0, text(f"What is this {word}?"))],
        "two_messages": [user(image4, text("One storm.")), assistant("I see."), user(text(f"And the {word}?"), image0)],
        "tool_image": [user(text(f"Look at the {word}.")), call,
                       {"role": "tool", "tool_call_id": "c1", "content": [text("Taken at "), text("noon"), image4]}],
        "video_file": [user(clip, text(f"What does the {word} do?"))],
        "video_frames": [user(text(f"The {word}:"), frames)],
        "audio": [user(text(f"Write down the {word}."), clips[1])],
        "voice1": voice[:1], "voice2": voice[:3], "voice3": voice,
        "order": [{"role": "system", "content": "Be brief."},
                  user(text(f"First {word} "), image1, text(" then\n"), clips[1], text("and "), frames, image0, text(f"the {word}"))],
    }


def write_clip(path):
    """Frames without loss, so that the reference needs no decoder's word for what they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures = [media_golden.draw_picture(20 + i, 54, 96, "RGB") for i in range(CLIP_FRAMES)]
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as file:
        stream = file.add_stream("png", rate=CLIP_RATE)
        stream.width, stream.height, stream.pix_fmt = 96, 54, "rgb24"
        for picture in pictures:
            file.mux(stream.encode(av.VideoFrame.from_image(picture)))
        file.mux(stream.encode())
    return pictures


def link(path, target):
    path.unlink(missing_ok=True)
    path.symlink_to(target)


def make_checkpoint(name, tokenizer, out):
    """The older checkpoint with the tokenizer's ids, end tokens and a longer context."""
    like = VARIANTS[name][0]
    folder = out / name
    folder.mkdir(parents=True, exist_ok=True)
    ids = {key: tokenizer.token_to_id(piece) for key, piece in PIECES.items()}
    config = json.loads((HERE / like / "config.json").read_text()) | ids
    config["text_config"]["max_position_embeddings"] = CONTEXT
    config["eos_token_id"] = [1, tokenizer.token_to_id("<turn|>")]
    generation = json.loads((HERE / like / "generation_config.json").read_text())
    generation["eos_token_id"] = [tokenizer.token_to_id(piece) for piece in END_PIECES]
    media_golden.make_golden.write_json(folder / "config.json", config)
    media_golden.make_golden.write_json(folder / "generation_config.json", generation)
    for file in ("model.safetensors", "processor_config.json"):
        link(folder / file, f"../{like}/{file}")
    for file in ("tokenizer.json", "tokenizer_config.json"):
        link(folder / file, f"../../tokenizer/small/{file}")
    return ids


class Encoded:
    """What the processors make of one medium: the text in place of its placeholder, and tensors."""

    def __init__(self, part, pictures):
        self.kind = part["type"]
        if self.kind == "audio":
            self.sound = np.frombuffer((HERE / part["files"][0]).read_bytes()[44:], "<i2").astype(np.float32) / 32768
            mask = Gemma4AudioFeatureExtractor()([self.sound], return_tensors="pt")["input_features_mask"]
            self.tokens = -(-int(mask.sum()) // 4)
            self.text = "<|audio>" + "<|audio|>" * self.tokens + "<audio|>"
            return
        images = [Image.open(HERE / file) for file in part["files"] if not file.endswith(".mp4")] or pictures
        got = Gemma4ImageProcessorPil(max_soft_tokens=BUDGET)(images, return_tensors="pt")
        self.pixels, self.positions = got["pixel_values"], got["image_position_ids"]
        counts = [int(n) for n in got["num_soft_tokens_per_image"]]
        self.tokens = sum(counts)
        if self.kind == "image":
            self.text = "<|image>" + "<|image|>" * counts[0] + "<image|>"
            return
        times = part.get("times") or [float(i / CLIP_RATE) for i in range(len(images))]
        self.text = " ".join(f"{int(t) // 60:02d}:{int(t) % 60:02d} <|image>" + "<|video|>" * n + "<image|>"
                             for t, n in zip(times, counts))


class Chat:
    """A conversation as the processor gives it to the model."""

    def __init__(self, messages, render, tokenizer, pictures):
        self.messages = messages
        self.rendered = render({"messages": messages})
        parts = [part for message in messages if isinstance(message.get("content"), list)
                 for part in message["content"] if part["type"] != "text"]
        self.media = [Encoded(part, pictures) for part in parts]
        pieces = self.rendered
        for kind in ("image", "audio", "video"):
            placeholder = f"<|{kind}|>"
            around = pieces.split(placeholder)
            encoded = [m for m in self.media if m.kind == kind]
            assert len(around) == len(encoded) + 1, (kind, self.rendered)
            pieces = around[0] + "".join(m.text.replace(placeholder, f"\0{kind}\0") + rest
                                         for m, rest in zip(encoded, around[1:]))
        for kind in ("image", "audio", "video"):
            pieces = pieces.replace(f"\0{kind}\0", f"<|{kind}|>")
        self.ids = tokenizer.encode(pieces, add_special_tokens=False).ids
        types = {tokenizer.token_to_id(f"<|{kind}|>"): t for t, kind in enumerate(("image", "video", "audio"), 1)}
        self.types = [types.get(token, 0) for token in self.ids]

    def inputs(self):
        def of(kind):
            return [m for m in self.media if m.kind == kind]
        out = {}
        if of("image"):
            out |= dict(pixel_values=torch.cat([m.pixels for m in of("image")]),
                        image_position_ids=torch.cat([m.positions for m in of("image")]))
        if of("video"):
            out |= dict(pixel_values_videos=torch.cat([m.pixels for m in of("video")])[None],
                        video_position_ids=torch.cat([m.positions for m in of("video")])[None])
        if of("audio"):
            got = Gemma4AudioFeatureExtractor()([m.sound for m in of("audio")], return_tensors="pt")
            out |= dict(input_features=got["input_features"], input_features_mask=got["input_features_mask"])
        return out


def find_answer(model, case, make, never):
    """The first wording whose answer is far from ties and amplifies no rounding; and the tokens banned from it. One
    that a model repeats for ever, whatever the wording, is banned too."""
    banned = []
    for _ in range(20):
        loops = []
        for word in WORDS:
            chat = make(conversations(word)[case])
            _, tokens, gap, noise = media_golden.answer(model, chat, never + banned)
            varied = len(set(tokens)) >= media_golden.MIN_DISTINCT
            if varied and gap >= media_golden.MIN_LOGIT_GAP and noise <= media_golden.MAX_NOISE:
                return chat, tokens, gap, banned
            loops += [] if varied else tokens[-1:]
            if len(loops) == 5:
                break
        if loops:
            banned.append(max(sorted(set(loops)), key=loops.count))
    raise SystemExit(f"{case}: no answer is stable; add WORDS")


def make_expected(name, ids, tokenizer, pictures, out):
    folder = out / name
    model = Gemma4ForConditionalGeneration.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager",
                                                           experts_implementation="eager").eval()
    has_audio = model.model.audio_tower is not None
    if has_audio:
        model.model.audio_tower.config._attn_implementation = "sdpa"  # as in make_media_golden.py
    render = published_template.compile_template(VARIANTS[name][1])
    # No tools, no call. The test bans the end tokens.
    never = list(ids.values()) + [tokenizer.token_to_id(p) for p in END_PIECES + ["<|tool_call>"]]
    chats = {}
    for case, messages in conversations("").items():
        if not has_audio and '"audio"' in json.dumps(messages):
            continue
        chat, tokens, gap, banned = find_answer(model, case, lambda m: Chat(m, render, tokenizer, pictures), never)
        chats[case] = dict(messages=chat.messages, rendered=chat.rendered, ids=chat.ids, greedy=tokens, banned=banned,
                           smallest_gap=round(gap, 4), soft_tokens=[m.tokens for m in chat.media])
    (folder / "expected.json").write_text(json.dumps(dict(
        torch=torch.__version__.split("+")[0], transformers=transformers.__version__, image_budget=BUDGET,
        chats=chats), separators=(",", ":"), sort_keys=True) + "\n")
    print(f"{name}: {', '.join(chats)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=HERE)
    out = parser.parse_args().out
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    tokenizer = Tokenizer.from_file(str(HERE.parent / "tokenizer/small/tokenizer.json"))
    pictures = write_clip(out / "chat/media/clip.mp4")
    for name in VARIANTS:
        ids = make_checkpoint(name, tokenizer, out)
        make_expected(name, ids, tokenizer, pictures, out)


if __name__ == "__main__":
    main()
