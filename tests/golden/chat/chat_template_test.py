"""Our chat template against Google's, rendered by Jinja: equal byte for byte on random conversations.

Both are asked for the published order of content and calls; where no message has both, the default
order must give the same. Also holds the 31 recorded renderings, and what callers wrote to the byte
ranges that say so.
"""
import copy
import json
import subprocess
import sys
from pathlib import Path

from corpus import Corpus, SPECIALS, THOUGHTS
from published_template import compile_template

SEED, COUNT = 20260709, 1500
VARIANTS = ("small", "large")
problems = []


def ours(jobs):
    """Answers of render_chat to (variant, content_before_calls, request)."""
    lines = [json.dumps({"variant": v, "content_before_calls": c, "request": r}) for v, c, r in jobs]
    done = subprocess.run([sys.argv[1]], input="\n".join(lines) + "\n", text=True, check=True,
                          stdout=subprocess.PIPE)
    # Not splitlines(): it cuts at U+2028, too.
    answers = [json.loads(line) for line in done.stdout.split("\n") if line]
    assert len(answers) == len(jobs), f"{len(answers)} answers to {len(jobs)} lines"
    return answers


def waits_for_results(request):
    """Nothing can be generated: the template leaves the model no turn."""
    last = request["messages"][-1]
    return bool(request["add_generation_prompt"] and last.get("tool_calls") and not last.get("tool_responses"))


def has_content_and_calls(request):
    return any(m.get("tool_calls") and m.get("content") for m in request["messages"])


def expect(name, want, answer, request):
    if answer.get("text") == want:
        return
    problems.append(name)
    if len(problems) <= 3:
        print(f"FAILED: {name}: {json.dumps(request)}\n  published: {want!r}\n  ours:      {answer!r}")


def check_corpus():
    corpus = Corpus(SEED)
    requests = [corpus.request() for _ in range(COUNT)]
    render = {variant: compile_template(variant) for variant in VARIANTS}
    jobs = [(v, c, r) for r in requests for v in VARIANTS for c in (False, True)]
    counts = {"equal": 0, "refused": 0}
    for (variant, content_first, request), answer in zip(jobs, ours(jobs)):
        if waits_for_results(request):
            if "without a result" not in answer.get("error", ""):
                problems.append("pending")
                print(f"FAILED: not refused: {request}\n  {answer}")
            counts["refused"] += 1
        elif not content_first or not has_content_and_calls(request):
            expect(variant, render[variant](copy.deepcopy(request)), answer, request)
            counts["equal"] += 1
    print(f"{counts['equal']} prompts compared with the published templates, {counts['refused']} refused")
    assert counts["equal"] > 3 * COUNT and counts["refused"] > 10
    return requests


def as_tool_responses(request):
    """The request with results in role tool as the published template can take objects: in the
    message of the call."""
    out = copy.deepcopy(request)
    messages = []
    for message in out["messages"]:
        if message["role"] == "tool":
            calling = messages[-1]
            name = message.get("name", "unknown")
            for call in calling["tool_calls"]:
                if call.get("id") == message.get("tool_call_id"):
                    name = call["function"]["name"]
            calling.setdefault("tool_responses", []).append({"name": name, "response": message["content"]})
        else:
            messages.append(message)
    out["messages"] = messages
    return out


def check_objects():
    """Results of role tool that are objects: the published template breaks on them, ours takes them."""
    corpus = Corpus(SEED + 1)
    requests = []
    while len(requests) < 200:
        request = corpus.request()
        results = [m for m in request["messages"] if m["role"] == "tool"]
        if not results or waits_for_results(request):
            continue
        for result in results:
            result["content"] = corpus.object()
        requests.append(request)
    jobs = [(v, False, r) for r in requests for v in VARIANTS]
    render = {variant: compile_template(variant) for variant in VARIANTS}
    for (variant, _, request), answer in zip(jobs, ours(jobs)):
        expect("object result", render[variant](as_tool_responses(request)), answer, request)
    print(f"{len(jobs)} prompts with results that are objects")


def check_renderings():
    cases = json.loads((Path(__file__).parent / "renderings.json").read_text())["cases"]
    count = 0
    for case in cases:
        if not case["messages"] or waits_for_results(case):
            continue  # refused: model/chat/check_test.cc
        for variant, answer in zip(VARIANTS, ours([(v, False, case) for v in VARIANTS])):
            expect(case["name"], case[variant], answer, case)
            count += 1
    print(f"{count} recorded renderings")
    assert count >= 50


def map_strings(value, change):
    if isinstance(value, str):
        return change(value)
    if isinstance(value, list):
        return [map_strings(v, change) for v in value]
    if isinstance(value, dict):
        return {k: map_strings(v, change) for k, v in value.items()}
    return value


def check_ranges(requests):
    """What is outside of the caller's ranges does not depend on markup in the caller's texts."""
    def has(request, strings):
        return any(json.dumps(s)[1:-1] in json.dumps(request) for s in strings)

    def harmless(text):
        for special in SPECIALS:
            text = text.replace(special, "".join("_" if c in "<>|" else c for c in special))
        return text

    requests = [r for r in requests if has(r, SPECIALS) and not has(r, THOUGHTS) and not waits_for_results(r)]
    outside = []
    for change in (lambda text: text, harmless):
        rows = []
        for answer in ours([("large", True, map_strings(r, change)) for r in requests]):
            text, at, kept = answer["text"].encode(), 0, b""
            for begin, end in answer["caller_ranges"]:
                assert at <= begin < end <= len(text), (at, begin, end)
                kept += text[at:begin] + b"\x00"
                at = end
            rows.append(kept + text[at:])
        outside.append(rows)
    for request, found, want in zip(requests, *outside):
        if found != want or not found.isascii():
            problems.append("ranges")
            print(f"FAILED: caller's text outside of the ranges: {request}\n  {found}\n  {want}")
    print(f"{len(requests)} prompts with control tokens in the caller's text")
    assert len(requests) > 200


check_ranges(check_corpus())
check_objects()
check_renderings()
if problems:
    sys.exit(f"FAILED: {len(problems)} differences")
