#!/usr/bin/env python3
"""Writes down what is said, or translates it: transcribe.py talk.wav --language German --translate-to English"""
from facet_client import FacetClient, arguments, audio, run, sampling, show, text

TRANSCRIBE = ("Write down the following speech in {language}. Give nothing but the transcription, without line breaks. "
              "Write numbers in digits: 3 and not three, 1.7 and not one point seven.")
TRANSLATE = ("Write down the following speech in {language}, then translate it into {target}: first the transcription, "
             "then a line break, then '{target}: ' and the translation.")


def main():
    parser = arguments(__doc__)
    parser.add_argument("audio")
    parser.add_argument("--language", default="its original language", help="that is spoken")
    parser.add_argument("--translate-to", metavar="LANGUAGE")
    args = parser.parse_args()
    prompt = TRANSLATE if args.translate_to else TRANSCRIBE
    # Of sound the instruction comes first.
    FacetClient(args.router).ask(
        [text(prompt.format(language=args.language, target=args.translate_to)), audio(args.audio)],
        on_text=show, **sampling(args))
    print()


run(main)
