"""Media through the gateway against real processes: OpenAI's Python client, and the page in a browser. The model has
random weights: shapes are checked, not sense."""
import base64
import json
from pathlib import Path

import openai

from browser import browser
from processes import ROOT, TMP, facet_cluster, wait_for

MODEL = ROOT / "tests/golden/media/chat"
MEDIA = ROOT / "tests/golden/media/ple/media"
IMAGE, OTHER_IMAGE, AUDIO = MEDIA / "image0.png", MEDIA / "image4.png", MEDIA / "audio1.wav"
IMAGE_TOKENS, OTHER_IMAGE_TOKENS, AUDIO_TOKENS = 60, 56, 10  # soft tokens
FRAMES = 2  # begin and end around them
TOOL = {"type": "function", "function": {"name": "zoom", "parameters": {
    "type": "object", "properties": {"part": {"enum": ["left", "right"]}}, "required": ["part"],
    "additionalProperties": False}}}


def encoded(path):
    return base64.b64encode(Path(path).read_bytes()).decode()


def image_part(path, **more):
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{encoded(path)}", **more}}


def audio_part(path):
    return {"type": "input_audio", "input_audio": {"data": encoded(path), "format": "wav"}}


def text_part(text):
    return {"type": "text", "text": text}


def ask(client, *parts, **more):
    return client.chat.completions.create(
        model="", messages=[{"role": "user", "content": list(parts)}], **{"max_tokens": 8, "seed": 1, **more})


def prompt_tokens(client, *parts):
    return ask(client, *parts).usage.prompt_tokens


def test_images_and_audio_take_their_soft_tokens(client):
    words = prompt_tokens(client, text_part("Look."))
    both = prompt_tokens(client, image_part(IMAGE), text_part("Look."), audio_part(AUDIO))
    assert both == words + IMAGE_TOKENS + AUDIO_TOKENS + 2 * FRAMES, (words, both)
    low = prompt_tokens(client, image_part(IMAGE, detail="low"), text_part("Look."))
    high = prompt_tokens(client, image_part(IMAGE, detail="high"), text_part("Look."))
    assert low == words + IMAGE_TOKENS + FRAMES and high > low + 900, (low, high)


def test_video_by_a_data_url(client):
    url = f"data:video/mp4;base64,{encoded(MODEL / 'media/clip.mp4')}"
    answer = ask(client, {"type": "video_url", "video_url": {"url": url}}, text_part("What?"))
    assert answer.usage.prompt_tokens > 462, answer.usage


def test_the_second_round_takes_the_image_from_the_cache(client):
    messages = [{"role": "user", "content": [image_part(OTHER_IMAGE), text_part("What is on the shore?")]}]
    first = client.chat.completions.create(model="", messages=messages, max_tokens=16, seed=2)
    messages += [first.choices[0].message, {"role": "user", "content": "Why?"}]
    second = client.chat.completions.create(model="", messages=messages, max_tokens=16, seed=2)
    cached = second.usage.prompt_tokens_details.cached_tokens
    assert cached >= first.usage.prompt_tokens // 16 * 16, (first.usage, second.usage)


def test_a_stream_is_the_whole_answer(client):
    parts = [image_part(IMAGE), text_part("Look.")]
    whole = ask(client, *parts, max_tokens=24)
    chunks = list(ask(client, *parts, max_tokens=24, stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].usage.prompt_tokens == whole.usage.prompt_tokens


def test_a_schema_about_an_image(client):
    corner = {"type": "integer", "minimum": 0, "maximum": 1000}
    schema = {"type": "object", "properties": {
        "box_2d": {"type": "array", "items": corner, "minItems": 4, "maxItems": 4},
        "label": {"enum": ["cat", "dog"]}}, "required": ["box_2d", "label"], "additionalProperties": False}
    answer = ask(client, image_part(IMAGE), text_part("Where is it?"), max_tokens=256,
                 response_format={"type": "json_schema", "json_schema": {"name": "box", "schema": schema}})
    assert answer.choices[0].finish_reason == "stop", answer
    box = json.loads(answer.choices[0].message.content)
    assert len(box["box_2d"]) == 4 and all(0 <= c <= 1000 for c in box["box_2d"]) and box["label"] in ("cat", "dog")


def test_a_tool_is_called_on_an_image_and_answers_with_one(client):
    messages = [{"role": "user", "content": [image_part(IMAGE), audio_part(AUDIO)]}]
    more = {"model": "", "tools": [TOOL], "parallel_tool_calls": False, "seed": 1, "max_tokens": 64}
    asked = client.chat.completions.create(messages=messages, tool_choice="required", **more)
    (call,) = asked.choices[0].message.tool_calls
    assert asked.choices[0].finish_reason == "tool_calls" and call.function.name == "zoom"
    assert json.loads(call.function.arguments)["part"] in ("left", "right")
    messages += [asked.choices[0].message, {"role": "tool", "tool_call_id": call.id,
                                            "content": [text_part("zoomed in"), image_part(OTHER_IMAGE)]}]
    told = client.chat.completions.create(messages=messages, tool_choice="none", **more)
    assert told.usage.prompt_tokens >= asked.usage.prompt_tokens + OTHER_IMAGE_TOKENS, told.usage


def test_errors_name_the_field(client):
    image = image_part(IMAGE)
    not_an_image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    schema = {"type": "json_schema", "json_schema": {"name": "a", "schema": {
        "type": "object", "properties": {"a": {"not": {}}}}}}
    for param, call in [
            ("messages[0].content[1]", lambda: ask(client, image, not_an_image)),
            ("messages[0].content[0].image_url.url",
             lambda: ask(client, {"type": "image_url", "image_url": {"url": "data:image/png,x"}})),
            ("messages[0].content[0].image_url.detail", lambda: ask(client, image_part(IMAGE, detail="most"))),
            ("messages[0].content[0].input_audio.data",
             lambda: ask(client, {"type": "input_audio", "input_audio": {"data": "?", "format": "wav"}})),
            ("messages[0].content[0].type", lambda: ask(client, {"type": "hologram"})),
            ("max_tokens", lambda: ask(client, image, max_tokens=10**6)),
            ("temperature", lambda: ask(client, image, temperature=-1)),
            ("response_format.json_schema.schema", lambda: ask(client, image, response_format=schema)),
            ("tool_choice.function.name", lambda: ask(client, image, tools=[TOOL], tool_choice={
                "type": "function", "function": {"name": "other"}}))]:
        try:
            call()
        except openai.BadRequestError as error:
            assert error.param == param, (param, error)
        else:
            raise AssertionError(f"{param}: no error")


def usages(page):
    """The lines under the answers that have ended."""
    return page.evaluate("[...document.querySelectorAll('#log .usage')].map(u => u.textContent)")


def say(page, text):
    before = len(usages(page))
    page.say(text)
    wait_for("the answer's end", lambda: len(usages(page)) > before)
    page.wait_until_ready()


def look(page, text):
    """Asks on the page about a real image and a real clip."""
    page.set_file("#images", IMAGE)
    page.set_file("#audio", AUDIO)
    say(page, text)


def test_page_takes_an_image_and_a_clip(page):
    page.evaluate("document.getElementById('max_tokens').value = 40;"
                  "document.getElementById('seed').value = 1")
    page.evaluate("""(() => {  // how often the answer grows
        window.steps = 0;
        new MutationObserver(() => ++window.steps).observe(document.getElementById('log'),
            { childList: true, characterData: true, subtree: true });
    })()""")
    look(page, "Look and listen.")
    assert page.evaluate("window.steps") > 5
    shown = page.evaluate("[...document.querySelectorAll('#log img')].map(i => i.complete && i.naturalWidth)")
    assert shown == [91], shown
    wait_for("the clip", lambda: page.evaluate("document.querySelector('#log audio').duration") > 0.3)


def test_page_goes_on_about_the_same_image(page):
    say(page, "And now?")
    first, second = (int(line.split()[0]) for line in usages(page))
    assert second > first > IMAGE_TOKENS + AUDIO_TOKENS, usages(page)


def test_page_takes_a_video(page):
    page.evaluate("document.getElementById('clear').click()")
    page.set_file("#video", MODEL / "media/clip.mp4")
    say(page, "What happens?")
    assert int(usages(page)[0].split()[0]) > 462, usages(page)
    assert page.evaluate("document.querySelectorAll('#log video').length") == 1


def test_page_offers_tools_beside_an_image(page):
    page.evaluate("document.getElementById('clear').click();"
                  "document.getElementById('max_tokens').value = 8;"
                  f"document.getElementById('tools').value = {json.dumps(json.dumps([TOOL]))}")
    look(page, "Zoom in.")
    page.evaluate("document.getElementById('tools').value = 'no JSON'")
    page.say("Zoom in.")
    wait_for("an error", lambda: page.evaluate("document.querySelector('#log .error') !== null"))
    page.evaluate("document.getElementById('tools').value = ''")


def test_page_says_what_is_wrong_with_a_file(page):
    page.evaluate("document.getElementById('clear').click()")
    broken = TMP / "broken.png"
    broken.write_bytes(IMAGE.read_bytes()[:300])
    page.set_file("#images", broken)
    page.say("What is it?")
    page.wait_for_text("messages[0].content[0].media")
    page.problems.clear()  # the browser logs the HTTP status


def main():
    with facet_cluster("tests/golden/media/chat") as url, browser(url) as page:
        client = openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0, timeout=60)
        wait_for("the models", lambda: page.evaluate("document.getElementById('model')?.value") == "chat")
        for name, test in list(globals().items()):
            if name.startswith("test_"):
                test(page if "page" in name else client)
                print(f"ok: {name[5:].replace('_', ' ')}", flush=True)
        assert page.problems == [], page.problems


main()
