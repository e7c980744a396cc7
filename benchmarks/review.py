"""How long a photo of 48 megapixels takes to open on the review page, and what the browser holds over many photos.

python -m benchmarks.review [PHOTOS]        # needs chromium, playwright and the extra `review`

Exit code 1 if a photo of 48 megapixels takes half a second or more to open, or the browser's memory grows. CPU time is
told beside the clock's: on a machine that does other things, only that means something.
"""

import io
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
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


def shoot(root: Path, photos: int) -> None:
    """Three photos of 48 megapixels, and many small ones."""
    root.mkdir()
    # Without a face, so that they come first in the queue; with noise, so that they are as much work as real ones.
    noise = np.random.default_rng(1)
    scene = np.asarray(Image.open(SAMPLES / "landscape.jpg").resize((8000, 6000)), np.int16)
    small = io.BytesIO()
    Image.open(SAMPLES / "group.jpg").save(small, "JPEG", quality=90)
    for i in range(3):
        grainy = scene + noise.integers(-12, 13, scene.shape, np.int16)
        Image.fromarray(grainy.clip(0, 255).astype(np.uint8)).save(root / f"large-{i}.jpg", quality=90)
    for i in range(photos):
        (root / f"small-{i:04}.jpg").write_bytes(small.getvalue())


@dataclass(frozen=True, slots=True)
class Gauge:
    """Reads what the browser's pages and the server use.

    Args:
        page, browser: Playwright's.
        server: process id of `cloak review`.
    """

    page: Any
    browser: Any
    server: int

    def _renderers(self) -> list[int]:
        processes = self.browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
        return [process["id"] for process in processes if process["type"] == "renderer"]

    def cpu(self) -> float:
        """Milliseconds of CPU so far: pages and server."""
        ticks = 0
        for pid in (*self._renderers(), self.server):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return 1000 * ticks / os.sysconf("SC_CLK_TCK")

    def pages(self) -> float:
        """Megabytes of memory of the browser's pages, as the system counts them."""
        return sum(_anonymous(pid) for pid in self._renderers())

    def heap(self) -> float:
        """Megabytes of JavaScript's heap that are in use, after its garbage is collected."""
        session = self.page.context.new_cdp_session(self.page)
        session.send("HeapProfiler.collectGarbage")
        used = session.send("Runtime.getHeapUsage")["usedSize"]
        session.detach()
        return float(used) / 1e6

    def served(self) -> float:
        """Megabytes of memory of the server."""
        return _anonymous(self.server)


def _anonymous(pid: int) -> float:
    found = re.findall(r"RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[0]) / 1024


def next_photo(page: Any) -> float:
    """Milliseconds from the key J to the picture."""
    page.evaluate("performance.clearMeasures()")
    page.keyboard.press("j")
    page.wait_for_function("() => performance.getEntriesByName('opened').length", timeout=120_000)
    return float(page.evaluate("performance.getEntriesByName('opened')[0].duration"))


def measure(page: Any, gauge: Gauge, server: str, photos: int) -> bool:
    """Open everything, one after the other, as an editor with the key J; whether all is as it should be."""
    page.set_default_timeout(120_000)
    page.goto(server)
    page.wait_for_selector("body[data-opened]")
    large = [float(page.evaluate("performance.getEntriesByName('opened')[0].duration"))]
    print(f"48 megapixels, the first: {large[0]:.0f} ms from the click to the picture", flush=True)
    for _ in range(2):
        page.wait_for_timeout(4000)  # an editor looks; meanwhile the next one is made ready
        before = gauge.cpu()
        large.append(next_photo(page))
        print(f"48 megapixels, the next: {large[-1]:.0f} ms, {gauge.cpu() - before:.0f} ms of CPU", flush=True)
    print("photos      ms a photo   CPU ms a photo   pages MB   heap MB   server MB")
    steps, sizes, heaps, before = [], [], [], gauge.cpu()
    part = max(photos // 10, 1)
    for i in range(1, photos + 1):
        steps.append(next_photo(page))
        if i % part == 0:
            spent = (gauge.cpu() - before) / part
            heaps.append(gauge.heap())
            sizes.append(gauge.pages())
            print(f"{i:>6}{median(steps[-part:]):>16.0f}{spent:>17.0f}{sizes[-1]:>11.0f}{heaps[-1]:>10.1f}"
                  f"{gauge.served():>12.0f}", flush=True)  # fmt: skip
            before = gauge.cpu()
    half = len(sizes) // 2
    growth = median(sizes[half:]) / median(sizes[: half or 1]) - 1
    swelling = median(heaps[half:]) / median(heaps[: half or 1]) - 1
    print(f"second half against the first: pages {growth:+.0%}, heap {swelling:+.0%}")
    fast, flat = max(large) < 500, max(growth, swelling) < LEVEL
    print(f"half a second: {'kept' if fast else 'MISSED'}; memory: {'level' if flat else 'GROWS'}")
    return fast and flat


def main() -> None:
    from playwright.sync_api import sync_playwright

    photos = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder) / "shoot", Path(folder) / "public"
        shoot(root, photos)
        run = [*CLOAK, "run", root, "-o", out, "-p", "newsroom", "--recall", "fast", "--min-face", "120", "-q"]
        subprocess.run(list(map(str, run)), check=False)
        review = [*CLOAK, "review", str(out), "--no-browser", "--port", "0"]
        server = subprocess.Popen(review, stdout=subprocess.PIPE, text=True)
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found is not None
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
                page = browser.new_page(viewport={"width": 1440, "height": 900})
                page.wait_for_timeout(5000)
                passed = measure(page, Gauge(page, browser, server.pid), found.group(), photos)
                browser.close()
        finally:
            server.terminate()
            server.wait()
    sys.exit(0 if passed else 1)


if __name__ == "__main__":
    main()
