"""The gateway's page in a headless Chromium."""
import base64
import json

from browser import browser
from processes import TMP, scripted_gateway, wait_for

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
TOOLS = '[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object"}}}]'


def test_chat_streams_with_a_thought(page):
    page.evaluate("document.getElementById('thinking').checked = true")
    page.say("hello")
    page.wait_for_text("you said: hello")
    page.wait_until_ready()
    assert "let me think" in page.text() and "7 + 3 tokens, stop" in page.text(), page.text()
    page.evaluate("document.getElementById('thinking').checked = false")


def test_image_and_audio(page):
    (TMP / "pixel.png").write_bytes(PIXEL)
    (TMP / "clip.wav").write_bytes(b"RIFF\0\0\0\0WAVE")
    page.set_file("#images", TMP / "pixel.png")
    page.set_file("#audio", TMP / "clip.wav")
    page.say("look")
    page.wait_for_text("with 1 image(s), 1 clip(s)")
    page.wait_until_ready()
    assert page.evaluate("document.querySelectorAll('#log img[alt]').length") == 1
    assert page.evaluate("document.querySelectorAll('#log audio').length") == 1


def test_tool_call_and_its_result(page):
    page.evaluate(f"document.getElementById('tools').value = {json.dumps(TOOLS)}")
    page.say("Paris")
    page.wait_for_text('get_weather({"text":"Paris"})')
    page.wait_until_ready()
    page.evaluate("document.querySelector('.reply input').value = 'sunny';"
                  "document.querySelector('.reply button').click()")
    page.wait_for_text("result: sunny")
    page.wait_until_ready()
    page.evaluate("document.getElementById('tools').value = ''")


def test_stop(page, router_log):
    page.say("endless")
    page.wait_for_text("on and on and")
    page.evaluate("document.getElementById('stop').click()")
    page.wait_for_text("stopped")
    wait_for("the cancellation", lambda: "cancelled" in router_log.read_text())


def test_text_is_shown_as_text(page):
    page.say("<img src=x onerror=alert(1)>")
    page.wait_for_text("you said: <img src=x onerror=alert(1)>")
    page.wait_until_ready()


def test_an_error_is_shown(page):
    page.say("break")
    page.wait_for_text("the group was lost")


def test_names_for_those_who_cannot_see(page):
    unnamed = page.evaluate("""[...document.querySelectorAll('input, textarea, select, button')]
        .filter(e => !(e.labels && e.labels.length) && !e.textContent && !e.ariaLabel).map(e => e.id)""")
    assert unnamed == [], unnamed
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate("document.getElementById('log').ariaLive") == "polite"


def main():
    with scripted_gateway() as (url, router_log, _), browser(url) as page:
        wait_for("the models", lambda: page.evaluate(
            "document.getElementById('model')?.value === 'org/gemma'"))
        for name, test in list(globals().items()):
            if not name.startswith("test_"):
                continue
            test(page, router_log) if name == "test_stop" else test(page)
            print(f"ok: {name[5:].replace('_', ' ')}")
        assert page.problems == [], page.problems


main()
