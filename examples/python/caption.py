#!/usr/bin/env python3
"""Describes an image: caption.py cat.png"""
from facet_client import FacetClient, arguments, image, run, sampling, show, text

LENGTHS = {"short": "Write one sentence that says what this image shows.",
           "detailed": "Describe this image in detail: what is in it, where, and what happens."}


def main():
    parser = arguments(__doc__)
    parser.add_argument("image")
    parser.add_argument("--length", choices=LENGTHS, default="detailed")
    args = parser.parse_args()
    # The image first, then what to do with it. A caption needs no fine detail: few soft tokens do.
    FacetClient(args.router).ask([image(args.image, max_soft_tokens=140), text(LENGTHS[args.length])],
                                 on_text=show, **sampling(args))
    print()


run(main)
