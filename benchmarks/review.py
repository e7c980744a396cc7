"""How long a photo of 48 megapixels takes to open on the review page, and what the browser holds over many photos.

python -m benchmarks.review [PHOTOS]        # needs chromium, playwright and the extra `review`
"""

import io
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

SAMPLES = Path(__file__).parent.parent / "samples"
CLOAK = [sys.executable, "-m", "cloak.cli"]
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
         "--disable-component-update", "--disable-sync", "--enable-precise-memory-info"]  # fmt: skip


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


def resident(browser: Any) -> float:
    """Megabytes of memory of the browser's pages, as the system counts them."""
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    total = 0
    for process in processes:
        if process["type"] == "renderer":
            status = Path(f"/proc/{process['id']}/status").read_text()
            total += int(re.findall(r"RssAnon:\s+(\d+)", status)[0])
    return total / 1024


def measure(page: Any, browser: Any, server: str, photos: int) -> None:
    """Open everything, one after the other, as an editor with the key J."""
    page.goto(server)
    page.wait_for_selector("body[data-opened]")
    shown = "performance.getEntriesByName('opened')[0].duration"
    print(f"48 megapixels, the first: {page.evaluate(shown):.0f} ms from the click to the picture")
    for _ in range(2):
        page.wait_for_timeout(4000)  # an editor looks; meanwhile the next one is made ready
        page.evaluate("performance.clearMeasures()")
        page.keyboard.press("j")
        page.wait_for_function("() => performance.getEntriesByName('opened').length")
        print(f"48 megapixels, the next: {page.evaluate(shown):.0f} ms")
    steps, memory = [], {}
    for i in range(photos):
        page.evaluate("performance.clearMeasures()")
        page.keyboard.press("j")
        page.wait_for_function("() => performance.getEntriesByName('opened').length")
        steps.append(page.evaluate("performance.getEntriesByName('opened')[0].duration"))
        if i % max(photos // 5, 1) == 0:
            memory[i] = resident(browser)
    print(f"{photos} small photos: median {median(steps):.0f} ms each")
    print("browser, MB after so many photos:", {count: round(size) for count, size in memory.items()})


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
                measure(page, browser, found.group(), photos)
                browser.close()
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
