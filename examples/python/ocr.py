#!/usr/bin/env python3
"""Reads the text in an image: ocr.py receipt.png"""
from facet_client import FacetClient, arguments, image, run, sampling, show, text

PROMPT = ("Read all the text in this image, from top to bottom. Give only that text, with its line breaks, "
          "in the language in which it is written.")


def main():
    parser = arguments(__doc__)
    parser.add_argument("image")
    parser.add_argument("--question", default=PROMPT, help="ask for a part of it, or for another form")
    args = parser.parse_args()
    # Small print needs the most soft tokens that there are.
    FacetClient(args.router).ask([image(args.image, max_soft_tokens=1120), text(args.question)],
                                 on_text=show, **sampling(args))
    print()


run(main)
