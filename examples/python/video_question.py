#!/usr/bin/env python3
"""Answers a question about a video: video_question.py clip.mp4 "When does the door open?" """
from facet_client import FacetClient, arguments, audio, run, sampling, show, text, video


def main():
    parser = arguments(__doc__)
    parser.add_argument("video")
    parser.add_argument("question", nargs="?", default="Describe what happens in this video, in order.")
    parser.add_argument("--sound", metavar="FILE", help="its sound, as a file of its own: of a video only the frames "
                        "are looked at")
    args = parser.parse_args()
    parts = [video(args.video), text(args.question)] + ([audio(args.sound)] if args.sound else [])
    answer = FacetClient(args.router).ask(parts, on_text=show, **sampling(args))
    seen = answer.media[0]
    print(f"\n({seen.parts} frames of {seen.seconds:.1f} s, {seen.soft_tokens} soft tokens)")


run(main)
