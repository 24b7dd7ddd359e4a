"""Boxes in an answer.

Gemma writes them as JSON, often in a fenced block, with the corners in thousandths of the image's sides and y first:

    [{"box_2d": [y_min, x_min, y_max, x_max], "label": "cat"}]
"""
import json
from dataclasses import dataclass

SIDE = 1000
MOST_BOXES = 50
MOST_LABEL_CHARACTERS = 60


@dataclass
class Box:
    label: str
    y_min: float  # 0 to SIDE
    x_min: float
    y_max: float
    x_max: float

    def pixels(self, width, height):
        """(left, top, right, bottom) in an image of this size."""
        return (round(self.x_min * width / SIDE), round(self.y_min * height / SIDE),
                round(self.x_max * width / SIDE), round(self.y_max * height / SIDE))


def schema(labels=None, least=0, most=MOST_BOXES):
    """The JSON schema of a list of boxes, as JSON text. `labels`: the only ones; None: any text."""
    label = {"enum": list(labels)} if labels else {"type": "string", "maxLength": MOST_LABEL_CHARACTERS}
    corner = {"type": "integer", "minimum": 0, "maximum": SIDE}
    return json.dumps({"type": "array", "minItems": least, "maxItems": most, "items": {
        "type": "object", "additionalProperties": False, "required": ["box_2d", "label"],
        "properties": {"box_2d": {"type": "array", "items": corner, "minItems": 4, "maxItems": 4},
                       "label": label}}})


def parse(answer):
    """All sound boxes of an answer: fenced or not, with prose around them, and those before the place where an answer
    was cut off. Corners outside of the image are moved to its edge; a box without area is none."""
    decoder, found, at = json.JSONDecoder(), [], answer.find("{")
    while at >= 0:
        try:
            value, end = decoder.raw_decode(answer, at)
        except (ValueError, RecursionError):
            value, end = None, at + 1
        box = _box(value)
        if box:
            found.append(box)
        at = answer.find("{", end if box else at + 1)  # a box may be inside what is none
    return found


def _box(value):
    if not isinstance(value, dict) or not isinstance(value.get("box_2d"), list):
        return None
    corners = value["box_2d"]
    if len(corners) != 4 or any(isinstance(c, bool) or not isinstance(c, (int, float)) or c != c for c in corners):
        return None
    y0, x0, y1, x1 = (min(max(c, 0), SIDE) for c in corners)
    (y_min, y_max), (x_min, x_max) = sorted((y0, y1)), sorted((x0, x1))
    if y_min == y_max or x_min == x_max:
        return None
    label = value.get("label", "")
    return Box(label if isinstance(label, str) else json.dumps(label), y_min, x_min, y_max, x_max)


def report(boxes, image_path, draw=None):
    """Prints each box in pixels; `draw`: also a copy of the image with the boxes, to this file. Needs Pillow."""
    from PIL import Image, ImageDraw, ImageOps
    picture = ImageOps.exif_transpose(Image.open(image_path)).convert("RGB")  # upright, as the model saw it
    pen = ImageDraw.Draw(picture)
    for box in boxes:
        left, top, right, bottom = box.pixels(*picture.size)
        print(f"{box.label}: left {left}, top {top}, right {right}, bottom {bottom}")
        pen.rectangle((left, top, right - 1 if right > left else left, bottom - 1 if bottom > top else top),
                      outline="red", width=max(1, min(picture.size) // 200))
        pen.text((left + 3, top + 2), box.label.encode("latin-1", "replace").decode("latin-1"), fill="red")
    if draw:
        picture.save(draw)
