"""How long a photo of 48 megapixels takes to open on the review page, and what the browser holds over many photos.

python -m benchmarks.review [PHOTOS]        # needs chromium and the extra `review`

Exit code 1 if a photo of 48 megapixels takes half a second or more to open, or the browser's memory grows. CPU time is
told beside the clock's: on a machine that does other things, only that means something.
"""

import contextlib
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

SAMPLES = Path(__file__).parent.parent / "samples"
CLOAK = [sys.executable, "-m", "cloak.cli"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--enable-precise-memory-info"]  # fmt: skip


LEVEL = 0.1
"""By how much memory may differ between the two halves of the photos; more is growth."""

SHARP = """(() => {
    const images = [...document.querySelectorAll("#result img")];
    const opened = performance.getEntriesByName("opened")[0];
    const sharp = opened && images.length > 1 && images.every((image) => image.complete);
    return sharp && performance.now() - opened.startTime;
})()"""

LARGE = 5
"""Photos of 48 megapixels: the first, two that were made ready, one that is left out, one that nobody expected."""


def shoot(root: Path, photos: int) -> None:
    """Some photos of 48 megapixels, and many small ones."""
    root.mkdir()
    # Without a face, so that they come first in the queue; with noise, so that they are as much work as real ones.
    noise = np.random.default_rng(1)
    scene = np.asarray(Image.open(SAMPLES / "landscape.jpg").resize((8000, 6000)), np.int16)
    small = io.BytesIO()
    Image.open(SAMPLES / "group.jpg").save(small, "JPEG", quality=90)
    for i in range(LARGE):
        grainy = scene + noise.integers(-12, 13, scene.shape, np.int16)
        Image.fromarray(grainy.clip(0, 255).astype(np.uint8)).save(root / f"large-{i}.jpg", quality=90)
    for i in range(photos):
        (root / f"small-{i:04}.jpg").write_bytes(small.getvalue())


class Browser:
    """Chromium, spoken to through its pipe. Not Playwright: it has every page record what the network brings (up to
    100 MB), and that is what would be measured.
    """

    def __init__(self, address: str) -> None:
        ours, theirs = os.pipe(), os.pipe()  # commands, answers
        self._profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        command = ["/usr/bin/chromium", "--headless", "--remote-debugging-pipe", "--window-size=1920,1080",
                   f"--user-data-dir={self._profile.name}", *FLAGS]  # fmt: skip
        shell = f'exec "$@" 3<&{ours[0]} 4>&{theirs[1]} 2>/dev/null'
        self.process = subprocess.Popen(["bash", "-c", shell, "chromium", *command], pass_fds=(ours[0], theirs[1]))
        os.close(ours[0])
        os.close(theirs[1])
        self._commands, self._answers = os.fdopen(ours[1], "wb", 0), os.fdopen(theirs[0], "rb")
        self._number, self._session = 0, ""
        target = self.send("Target.createTarget", url=address)["targetId"]
        self._session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def send(self, method: str, *, page: bool = False, **parameters: Any) -> dict[str, Any]:
        """What the browser, or its page, answers to a command of the DevTools protocol."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if page:
            message["sessionId"] = self._session
        self._commands.write(json.dumps(message).encode() + b"\0")
        while True:
            text = bytearray()
            while (byte := self._answers.read(1)) not in {b"\0", b""}:
                text += byte
            answer = json.loads(text)
            if answer.get("id") == self._number:
                if "error" in answer:
                    raise RuntimeError(answer["error"]["message"])
                return dict(answer["result"])

    def evaluate(self, script: str) -> Any:
        """The value of an expression on the page."""
        return self.send("Runtime.evaluate", page=True, expression=script, returnByValue=True)["result"].get("value")

    def opened(self) -> float:
        """Milliseconds from the request to the picture, once it is there."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            with contextlib.suppress(RuntimeError):  # between two documents there is nobody to ask
                if found := self.evaluate("performance.getEntriesByName('opened')[0]?.duration"):
                    return float(found)
            time.sleep(0.005)
        raise TimeoutError("no photo was opened")

    def next_photo(self) -> float:
        """The same, after the key J."""
        self.evaluate("performance.clearMeasures()")
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", page=True, type=kind, key="j", text="j" if kind == "keyDown" else "")
        return self.opened()

    def clicked_photo(self, row: int) -> float:
        """The same, after a click on a row of the queue."""
        script = f"document.querySelectorAll('#rows li button')[{row}].click()"
        self.evaluate(f"performance.clearMeasures(); {script}")
        return self.opened()

    def sharp(self) -> float:
        """Milliseconds from the request until the last tile is there, where a coarse picture came first."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            if found := self.evaluate(SHARP):
                return float(found)
            time.sleep(0.005)
        raise TimeoutError("the photo stays coarse")

    def renderers(self) -> list[int]:
        """Process ids of the pages."""
        processes = self.send("SystemInfo.getProcessInfo")["processInfo"]
        pids = [process["id"] for process in processes if process["type"] == "renderer"]
        return [pid for pid in pids if Path(f"/proc/{pid}").exists()]  # a spare one may end at any time

    def pages(self) -> float:
        """Megabytes of memory of the pages, as the system counts them."""
        return sum(_anonymous(pid) for pid in self.renderers())

    def heap(self) -> float:
        """Megabytes of JavaScript's heap that are in use, after its garbage is collected."""
        self.send("HeapProfiler.collectGarbage", page=True)
        return float(self.send("Runtime.getHeapUsage", page=True)["usedSize"]) / 1e6

    def close(self) -> None:
        self.send("Browser.close")
        self.process.wait()
        self._profile.cleanup()


def _cpu(pids: Iterable[int]) -> float:
    """Milliseconds of CPU that processes used so far."""
    ticks = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return 1000 * ticks / os.sysconf("SC_CLK_TCK")


def _anonymous(pid: int) -> float:
    found = re.findall(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[0]) / 1024


def measure(browser: Browser, server: int, photos: int) -> bool:
    """Open everything, one after the other, as an editor with the key J; whether all is as it should be."""

    def cpu() -> float:
        return _cpu([*browser.renderers(), server])

    large = [browser.opened()]
    print(f"48 megapixels, the first: {large[0]:.0f} ms from the click to the picture", flush=True)
    ways = {"the next": browser.next_photo, "the one after": browser.next_photo,
            "one out of turn": lambda: browser.clicked_photo(LARGE - 1)}  # fmt: skip
    for way, opened in ways.items():
        time.sleep(4)  # an editor looks; meanwhile the next one is made ready
        before = cpu()
        large.append(opened())
        print(f"48 megapixels, {way}: {large[-1]:.0f} ms, {cpu() - before:.0f} ms of CPU", flush=True)
    print(f"48 megapixels, one out of turn: sharp after {browser.sharp():.0f} ms", flush=True)
    print("photos      ms a photo   CPU ms a photo   pages MB   heap MB   server MB")
    steps, sizes, heaps, before = [], [], [], cpu()
    part = max(photos // 10, 1)
    for i in range(1, photos + 1):
        steps.append(browser.next_photo())
        if i % part == 0:
            spent = (cpu() - before) / part
            heaps.append(browser.heap())
            sizes.append(browser.pages())
            print(f"{i:>6}{median(steps[-part:]):>16.0f}{spent:>17.0f}{sizes[-1]:>11.0f}{heaps[-1]:>10.1f}"
                  f"{_anonymous(server):>12.0f}", flush=True)  # fmt: skip
            before = cpu()
    half = len(sizes) // 2
    growth = median(sizes[half:]) / median(sizes[: half or 1]) - 1
    swelling = median(heaps[half:]) / median(heaps[: half or 1]) - 1
    print(f"second half against the first: pages {growth:+.0%}, heap {swelling:+.0%}")
    fast, flat = max(large) < 500, max(growth, swelling) < LEVEL
    print(f"half a second: {'kept' if fast else 'MISSED'}; memory: {'level' if flat else 'GROWS'}")
    return fast and flat


def review(out: Path, photos: int) -> bool:
    """The same, over an output folder that is served for it."""
    command = [*CLOAK, "review", str(out), "--no-browser", "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        found = re.search(r"http://\S+", server.stdout.readline())
        assert found is not None
        time.sleep(5)
        browser = Browser(found.group())
        try:
            return measure(browser, server.pid, photos)
        finally:
            browser.close()
    finally:
        server.terminate()
        server.wait()


def main() -> None:
    photos = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "shoot", Path(folder) / "public"
        shoot(root, photos)
        run = [*CLOAK, "run", root, "-o", out, "-p", "newsroom", "--recall", "fast", "--min-face", "48", "-q"]
        subprocess.run(list(map(str, run)), check=False)
        passed = review(out, photos)
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
