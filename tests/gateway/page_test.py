"""The gateway's page in a headless Chromium, driven over its debugging protocol."""
import base64
import contextlib
import itertools
import json
import re
import urllib.request

import websockets.sync.client

from processes import TMP, running, scripted_gateway, wait_for

BROWSER = "chromium-headless-shell"
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==")
TOOLS = '[{"type":"function","function":{"name":"get_weather","parameters":{"type":"object"}}}]'


class Page:
    """One tab. `evaluate` runs JavaScript in it."""

    def __init__(self, socket):
        self.socket = socket
        self.ids = itertools.count(1)
        self.problems = []
        for domain in ("Runtime", "Page", "DOM", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        number = next(self.ids)
        self.socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self.socket.recv(timeout=30))
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self.note(message)

    def note(self, message):
        if message.get("method") == "Runtime.exceptionThrown":
            self.problems.append(message["params"]["exceptionDetails"])
        entry = message.get("params", {}).get("entry", {})
        if entry.get("level") == "error" and "favicon" not in entry.get("url", ""):
            self.problems.append(entry)

    def evaluate(self, script):
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, f"{script}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def set_file(self, selector, path):
        root = self.call("DOM.getDocument")["root"]["nodeId"]
        node = self.call("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.call("DOM.setFileInputFiles", nodeId=node, files=[str(path)])

    def text(self):
        return self.evaluate("document.getElementById('log').innerText")

    def say(self, text):
        self.evaluate(f"document.getElementById('input').value = {json.dumps(text)};"
                      "document.getElementById('form').requestSubmit()")

    def wait_for_text(self, text):
        wait_for(f"'{text}' on the page", lambda: text in self.text() or None)

    def wait_until_ready(self):
        wait_for("the answer's end",
                 lambda: self.evaluate("document.getElementById('state').textContent") == "ready")


@contextlib.contextmanager
def browser(url):
    command = [BROWSER, "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
               "--remote-debugging-port=0", f"--user-data-dir={TMP / 'profile'}", "about:blank"]
    with running("browser", command, ends_well=False) as (_, log):
        def address():
            found = re.search(r"DevTools listening on (ws://\S+)", log.read_text())
            return found and found.group(1)
        host = wait_for("the browser", address).split("/")[2]
        tab = urllib.request.Request(f"http://{host}/json/new?{url}", method="PUT")
        with urllib.request.urlopen(tab, timeout=30) as answer:
            socket_url = json.load(answer)["webSocketDebuggerUrl"]
        with websockets.sync.client.connect(socket_url, max_size=None) as socket:
            yield Page(socket)


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
