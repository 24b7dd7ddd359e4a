"""What the models write, well formed and not, and what becomes of it."""
import json
import unittest

import boxes
from boxes import Box

CAT = '{"box_2d": [100, 200, 300, 400], "label": "cat"}'
CAT_BOX = Box("cat", 100, 200, 300, 400)

CASES = [
    ("a fenced block", f"```json\n[\n  {CAT}\n]\n```", [CAT_BOX]),
    ("a bare list", f"[{CAT}]", [CAT_BOX]),
    ("one object", CAT, [CAT_BOX]),
    ("prose around it", f"Here it is:\n```json\n[{CAT}]\n```\nI see {{one}} cat.", [CAT_BOX]),
    ("a list in an object", f'{{"objects": [{CAT}, {CAT}]}}', [CAT_BOX, CAT_BOX]),
    ("cut off in the second", f'```json\n[{CAT}, {{"box_2d": [1, 2,', [CAT_BOX]),
    ("nothing found", "[]", []),
    ("prose alone", "There is no cat.", []),
    ("empty", "", []),
    ("three corners", '[{"box_2d": [1, 2, 3], "label": "cat"}]', []),
    ("words for numbers", '[{"box_2d": ["1", 2, 3, 4], "label": "cat"}]', []),
    ("true is no number", '[{"box_2d": [true, 2, 3, 4], "label": "cat"}]', []),
    ("not a number", '[{"box_2d": [NaN, 2, 3, 4], "label": "cat"}]', []),
    ("no area", '[{"box_2d": [5, 2, 5, 4], "label": "cat"}]', []),
    ("the corners swapped", '[{"box_2d": [300, 400, 100, 200], "label": "cat"}]', [CAT_BOX]),
    ("outside", '[{"box_2d": [-5, 0, 500, 1200], "label": "cat"}]', [Box("cat", 0, 0, 500, 1000)]),
    ("fractions", '[{"box_2d": [1.5, 0, 500, 1000], "label": "cat"}]', [Box("cat", 1.5, 0, 500, 1000)]),
    ("no label", '[{"box_2d": [100, 200, 300, 400]}]', [Box("", 100, 200, 300, 400)]),
    ("a label that is no text", '[{"box_2d": [100, 200, 300, 400], "label": 7}]', [Box("7", 100, 200, 300, 400)]),
    ("braces and quotes in a label", json.dumps({"box_2d": [100, 200, 300, 400], "label": 'a "{b}" ]'}),
     [Box('a "{b}" ]', 100, 200, 300, 400)]),
    ("a trailing comma", f"[{CAT},]", [CAT_BOX]),
    ("other keys", '[{"label": "cat", "box_2d": [100, 200, 300, 400], "score": 0.9}]', [CAT_BOX]),
    ("another notation", '[{"bbox": [100, 200, 300, 400], "label": "cat"}]', []),
    ("very deep", "{" * 3000 + CAT, [CAT_BOX]),
]


class BoxesTest(unittest.TestCase):
    def test_answers(self):
        for name, answer, expected in CASES:
            with self.subTest(name):
                self.assertEqual(boxes.parse(answer), expected)

    def test_pixels_are_left_top_right_bottom(self):
        self.assertEqual(CAT_BOX.pixels(640, 480), (128, 48, 256, 144))
        self.assertEqual(Box("", 0, 0, 1000, 1000).pixels(31, 17), (0, 0, 31, 17))

    def test_the_schema_takes_what_the_parser_reads(self):
        schema = json.loads(boxes.schema(["cat", "dog"], 1, 3))
        self.assertEqual((schema["minItems"], schema["maxItems"]), (1, 3))
        self.assertEqual(schema["items"]["properties"]["label"], {"enum": ["cat", "dog"]})
        self.assertEqual(schema["items"]["required"], ["box_2d", "label"])


if __name__ == "__main__":
    unittest.main()
