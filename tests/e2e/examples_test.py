"""Every example against real processes with a tiny checkpoint of random weights: what it says is noise, so this looks
at how the call goes, and at the form of the answer where that is enforced."""
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path.cwd()
TMP = Path(os.environ["TEST_TMPDIR"])
sys.path.insert(0, str(ROOT / "deploy/local"))
import build  # noqa: E402
import main as launcher  # noqa: E402
from cluster import Cluster  # noqa: E402

MODEL = ROOT / "tests/golden/media/chat"
MEDIA = ROOT / "tests/golden/media/ple/media"
IMAGE, SMALL_IMAGE, AUDIO = MEDIA / "image1.png", MEDIA / "image4.png", MEDIA / "audio1.wav"
VIDEO = MODEL / "media/clip.mp4"
WIDTH, HEIGHT = 610, 430  # of IMAGE
BOX = re.compile(r"^.*: left (\d+), top (\d+), right (\d+), bottom (\d+)$", re.M)


class Examples:
    """Those of one language: `run` gives what an example prints."""

    def __init__(self, language, router):
        self.language, self.router = language, router

    def command(self, example, arguments):
        # Flags may stand before and behind the files, in both languages.
        flags = [f"--router={self.router}", "--seed=1", self.flag("--max-tokens=400")]
        if self.language == "python":
            return ["/usr/bin/python3", "-B", str(ROOT / f"examples/python/{example}.py"), *arguments, *flags]
        return [str(ROOT / f"examples/cpp/{example}"), *flags, *arguments]

    def flag(self, text):
        return text if self.language == "python" else "--" + text[2:].replace("-", "_")

    def run(self, example, *arguments, status=0):
        command = self.command(example, [self.flag(a) if a.startswith("--") else a for a in map(str, arguments)])
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)
        assert done.returncode == status, f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr.decode()}"
        return (done.stdout if status == 0 else done.stderr).decode()


def check_boxes(printed, least, most):
    found = [tuple(map(int, box)) for box in BOX.findall(printed)]
    assert least <= len(found) <= most, printed
    for left, top, right, bottom in found:
        assert 0 <= left <= right <= WIDTH and 0 <= top <= bottom <= HEIGHT, printed


def check(examples):
    assert len(examples.run("caption", SMALL_IMAGE)) > 1
    assert len(examples.run("ocr", IMAGE)) > 1
    printed = examples.run("detect", IMAGE, "cat", "dog", "--least=1", "--most=3")
    # A box without area is left out.
    check_boxes(printed, 0, 3)
    assert all(label in ("cat", "dog") for label in re.findall(r"^(\w+): left", printed, re.M)), printed
    assert re.search(r"^[0-3] found$", printed, re.M), printed
    check_boxes(examples.run("gui_elements", IMAGE, "the button"), 0, 1)
    assert len(examples.run("transcribe", AUDIO, "--language=German", "--translate-to=English")) > 1
    assert "(7 frames of 5.0 s, 462 soft tokens)" in examples.run("video_question", VIDEO, "What?")
    called = examples.run("call_tools", SMALL_IMAGE, "--require-call")
    assert re.search(r'^get_weather\(\{"city":.*"unit":"(celsius|fahrenheit)"\}\) -> \{.*"sky"', called, re.M), called


def check_errors(examples):
    assert "facet: " in examples.run("caption", TMP / "missing.png", status=1)
    refused = examples.run("caption", AUDIO, status=1)
    assert "INVALID_ARGUMENT" in refused and "messages[0].content[0].media" in refused, refused
    examples.run("caption", status=2)


def check_drawing(examples):
    drawn = TMP / "boxes.png"
    examples.run("detect", IMAGE, "cat", f"--draw={drawn}")
    assert drawn.read_bytes().startswith(b"\x89PNG")


def check_run_all(router):
    done = subprocess.run(
        ["bash", str(ROOT / "examples/run_all.sh"), "--router", router, "--image", str(IMAGE), "--audio", str(AUDIO),
         "--video", str(VIDEO), "--max-tokens", "24"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=240)
    printed = done.stdout.decode()
    assert done.returncode == 0, printed
    assert printed.count("\n== ") == 8, printed
    for wrong in ([], ["--image", str(IMAGE)], ["--router", router, "--model", "x"], ["--router"], ["x"]):
        done = subprocess.run(["bash", str(ROOT / "examples/run_all.sh"), *wrong], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=20)
        assert done.returncode == 2 and b"run_all.sh" in done.stderr, (wrong, done.stderr)


def main():
    build.BIN_DIR = TMP / "bin"
    build.BIN_DIR.mkdir()
    for name, path in build.BINARIES.items():
        (build.BIN_DIR / name).symlink_to(ROOT / path)
    options = launcher.up_parser().parse_args(["--model", str(MODEL), "--threads", "1"])
    options.port = 0
    cluster = Cluster(TMP / "run")
    cluster.start(options)
    try:
        router = cluster.routers()[0]["address"]
        for language in ("python", "cpp"):
            examples = Examples(language, router)
            check(examples)
            check_errors(examples)
            print(f"ok: {language}", flush=True)
        check_drawing(Examples("python", router))
        check_run_all(router)
        print("ok: run_all.sh")
    finally:
        cluster.stop()


main()
