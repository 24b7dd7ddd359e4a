#!/usr/bin/env python3
"""Makes images.safetensors: image files of every kind that the decoders read, `<name>.file`, and the pixels that Pillow
makes of them, `<name>.rgb` [height, width, 3]: upright, alpha dropped.

Needs pillow, numpy and safetensors.
"""
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import save_file

ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def scene(height=18, width=26, channels=3):
    """No symmetry: every turn and mirror image is another one."""
    y, x = np.mgrid[:height, :width]
    planes = [x * 9, y * 13, (x + 2 * y) * 5, 255 - x * 4 - y * 3]
    return np.stack(planes[:channels], -1).clip(0, 255).astype(np.uint8)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def exif(orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


def pixels_of(file):
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))).convert("RGB"))


def packed_rows(samples, bits):
    """Filter 0 before each row; samples [height, width, channels]."""
    rows = []
    for row in samples.reshape(len(samples), -1):
        if bits == 16:
            body = row.astype(">u2").tobytes()
        else:
            places = row.astype(np.uint8)[:, None] >> np.arange(bits - 1, -1, -1) & 1
            body = np.packbits(places.reshape(-1)).tobytes()
        rows.append(b"\0" + body)
    return b"".join(rows)


def png(samples, colour_type, bits, interlaced=False, chunks=()):
    """A PNG by hand, for what Pillow does not write."""
    height, width = samples.shape[:2]

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    if interlaced:
        parts = [samples[y::down, x::across] for x, y, across, down in ADAM7]
        data = b"".join(packed_rows(part, bits) for part in parts if part.size)
    else:
        data = packed_rows(samples, bits)
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, int(interlaced))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(chunk(*c) for c in chunks) +
            chunk(b"IDAT", zlib.compress(data, 9)) + chunk(b"IEND", b""))


def jpegs():
    rgb = Image.fromarray(scene())
    for orientation in range(1, 9):
        yield f"jpeg_orientation_{orientation}", saved(rgb, "JPEG", exif=exif(orientation))
    yield "jpeg_444", saved(rgb, "JPEG", subsampling=0, quality=90)
    yield "jpeg_422", saved(rgb, "JPEG", subsampling=1)
    yield "jpeg_grey", saved(rgb.convert("L"), "JPEG")
    yield "jpeg_progressive", saved(rgb, "JPEG", progressive=True)
    yield "jpeg_cmyk", saved(Image.fromarray(scene(channels=4), mode="CMYK"), "JPEG")
    yield "jpeg_bytes_between_segments", saved(rgb, "JPEG")[:-2] + b"\x12\x34\x56\xff\xd9"
    yield "jpeg_one_pixel", saved(rgb.crop((3, 3, 4, 4)), "JPEG")
    yield "jpeg_odd_size", saved(rgb.crop((0, 0, 17, 9)), "JPEG")


def pngs():
    rgb, four = Image.fromarray(scene()), scene(channels=4)
    yield "png_rgb", saved(rgb, "PNG")
    yield "png_rgba", saved(Image.fromarray(four), "PNG")
    yield "png_grey", saved(rgb.convert("L"), "PNG")
    yield "png_grey_alpha", saved(Image.fromarray(four[..., :2], mode="LA"), "PNG")
    yield "png_palette", saved(rgb.quantize(40), "PNG")
    yield "png_palette_2_bits", saved(rgb.quantize(4), "PNG", bits=2)
    yield "png_palette_transparent", saved(rgb.quantize(16), "PNG", transparency=3)
    yield "png_1_bit", saved(rgb.convert("1"), "PNG")
    yield "png_orientation_6", saved(rgb, "PNG", exif=exif(6))
    for bits in (2, 4):
        yield f"png_grey_{bits}_bits", png(scene(channels=1) >> (8 - bits), 0, bits)
    for name, interlaced in (("", False), ("_interlaced", True)):
        yield "png_rgb_by_hand" + name, png(scene(), 2, 8, interlaced)
    yield "png_1_bit_interlaced", png(scene(channels=1) >> 7, 0, 1, True)
    yield "png_rgb_key_colour", png(scene(), 2, 8, chunks=[(b"tRNS", struct.pack(">HHH", 9, 13, 15))])
    deep = scene(channels=4).astype(np.uint16) * 257 ^ 0x00a5
    yield "png_rgb_16_bits", png(deep[..., :3], 2, 16)
    yield "png_rgba_16_bits", png(deep, 6, 16)


def webps_and_gifs():
    rgb, rgba = Image.fromarray(scene()), Image.fromarray(scene(channels=4).clip(1, 255))
    second = Image.fromarray(255 - scene())
    yield "webp_lossy", saved(rgb, "WEBP", quality=70)
    yield "webp_lossless", saved(rgb, "WEBP", lossless=True)
    yield "webp_lossless_alpha", saved(rgba, "WEBP", lossless=True, exact=True)
    yield "webp_orientation_8", saved(rgb, "WEBP", lossless=True, exif=exif(8))
    yield "webp_animated", saved(rgb, "WEBP", lossless=True, save_all=True, append_images=[second])
    yield "gif", saved(rgb.quantize(64), "GIF", interlace=0)
    yield "gif_interlaced", saved(rgb.quantize(64), "GIF", interlace=1)
    yield "gif_animated", saved(rgb.quantize(32), "GIF", save_all=True, append_images=[second.quantize(32)])
    yield "gif_transparent", saved(rgb.quantize(16), "GIF", transparency=2)
    for name, options in (("", {}), ("_transparent", dict(transparency=3))):
        yield "gif_small_frame" + name, inner_frame(saved(rgb.quantize(16), "GIF", optimize=False, **options))
    yield "gif_two_colours", saved(rgb.quantize(2), "GIF")


def inner_frame(gif):
    """The same frame within a larger screen, with a background colour."""
    gif = bytearray(gif)
    place = 13 + 3 * (2 << (gif[10] & 7))
    while gif[place] != 0x2c:                 # extensions
        place += 2
        while gif[place]:
            place += gif[place] + 1
        place += 1
    width, height = (int.from_bytes(gif[i:i + 2], "little") for i in (6, 8))
    gif[6:10] = struct.pack("<HH", width + 9, height + 7)
    gif[11] = 5
    gif[place + 1:place + 5] = struct.pack("<HH", 4, 6)
    return bytes(gif)


def main():
    tensors = {}

    def add(name, file, rgb):
        tensors[name + ".file"] = np.frombuffer(file, np.uint8)
        tensors[name + ".rgb"] = np.ascontiguousarray(rgb)

    for make in (jpegs, pngs, webps_and_gifs):
        for name, file in make():
            add(name, file, pixels_of(file))
    # Pillow saturates 16 bits of grey; the decoder takes the high byte, as it does for colours.
    deep = scene(channels=1).astype(np.uint16) * 257 ^ 0x00a5
    add("png_grey_16_bits", png(deep, 0, 16), np.repeat(scene(channels=1), 3, -1))
    add("png_grey_16_bits_interlaced", png(deep, 0, 16, True), np.repeat(scene(channels=1), 3, -1))
    save_file(dict(sorted(tensors.items())), Path(__file__).parent / "images.safetensors")


if __name__ == "__main__":
    main()
