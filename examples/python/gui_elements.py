#!/usr/bin/env python3
"""Finds the place of an element in a screenshot: gui_elements.py screen.png "the button that saves" """
import boxes
from facet_client import FacetClient, arguments, image, json_form, run, sampling, text

ONE = ("This is a screenshot. Where is {}? Give a JSON list with one entry: box_2d, its box as [y_min, x_min, y_max, "
       "x_max] in thousandths of the image's sides, and label, the text on it or what it does.")
ALL = ("This is a screenshot. List all that can be clicked or typed into as a JSON list, with an entry for each: "
       "box_2d, its box as [y_min, x_min, y_max, x_max] in thousandths of the image's sides, and label, the text on "
       "it or what it does.")


def main():
    parser = arguments(__doc__)
    parser.add_argument("screenshot")
    parser.add_argument("element", nargs="?", help="which one (default: all)")
    parser.add_argument("--draw", metavar="FILE", help="write the screenshot with the boxes")
    args = parser.parse_args()
    form = boxes.schema(least=1, most=1) if args.element else boxes.schema()
    answer = FacetClient(args.router).ask(
        [image(args.screenshot, 1120), text(ONE.format(args.element) if args.element else ALL)],
        response_format=json_form(form), **sampling(args))
    found = boxes.parse(answer.content)
    boxes.report(found, args.screenshot, args.draw)
    if args.element and found:
        box = found[0]
        print(f"click at ({(box.x_min + box.x_max) / 2 / boxes.SIDE:.1%}, "
              f"{(box.y_min + box.y_max) / 2 / boxes.SIDE:.1%}) of the sides")
    print(f"{len(found)} found")


run(main)
