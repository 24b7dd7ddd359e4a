"""A headless Chromium on one page, driven over its debugging protocol."""
import contextlib
import itertools
import json
import re
import urllib.request

import websockets.sync.client

from processes import TMP, running, wait_for

BROWSER = "chromium-headless-shell"


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
