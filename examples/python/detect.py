#!/usr/bin/env python3
"""Finds things in an image and says where they are: detect.py street.png car bicycle"""
import boxes
from facet_client import FacetClient, arguments, image, json_form, run, sampling, text

PROMPT = ("Find each of these in the image: {}. Give a JSON list with one entry for each that you see: box_2d, its "
          "box as [y_min, x_min, y_max, x_max] in thousandths of the image's sides, and label.")


def main():
    parser = arguments(__doc__)
    parser.add_argument("image")
    parser.add_argument("labels", nargs="+", help="what to look for")
    parser.add_argument("--draw", metavar="FILE", help="write the image with the boxes")
    parser.add_argument("--least", type=int, default=0, help="boxes, at least; 1: point to something in any case")
    parser.add_argument("--most", type=int, default=boxes.MOST_BOXES, help="boxes, at most")
    args = parser.parse_args()
    # The answer can have no other form than this.
    form = json_form(boxes.schema(args.labels, args.least, args.most))
    answer = FacetClient(args.router).ask([image(args.image, 560), text(PROMPT.format(", ".join(args.labels)))],
                                          response_format=form, **sampling(args))
    found = boxes.parse(answer.content)
    boxes.report(found, args.image, args.draw)
    print(f"{len(found)} found")


run(main)
