"""Makes the pictures of the review page and of the contact sheet, from the samples, in a real Chromium.

Usage: python scripts/make_page_pictures.py

Wants what the tests want (`sh scripts/test.sh` installs it). The queue is as a run of the newsroom leaves it, though
with the quickest search, whose few outlines can be told apart in small. In the group one face is revealed, as an editor
would, and a badge filled.
"""

import io
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Error, Page, sync_playwright

ROOT = Path(__file__).parent.parent
OUT = ROOT / "docs" / "images"
CLOAK = [sys.executable, "-m", "cloak.cli"]

SPEAKER = 2
"""Of the faces in samples/expected.json: the one that is revealed."""

BADGE = (866, 632, 960, 680)
"""Left, top, right, bottom in pixels of group.jpg."""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        work, browser = Path(folder), playwright.chromium.launch(executable_path=shutil.which("chromium"))
        cloak("run", "samples", "--out", work / "public", "--contact-sheet", work / "sheet.html")
        contact_sheet(browser, work / "sheet.html")
        cloak("run", "samples", "--out", work / "desk/public", "--pipeline", "newsroom", "--recall", "fast")
        review(browser, work / "desk/public")
        browser.close()


def cloak(*arguments: str | Path) -> None:
    done = subprocess.run([*CLOAK, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True)
    if done.returncode not in (0, 4):
        sys.exit(done.stderr)


def contact_sheet(browser: Browser, sheet: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.goto(sheet.as_uri())
    save(page, "contact-sheet")


def review(browser: Browser, out: Path) -> None:
    command = [*CLOAK, "review", str(out), "--no-browser", "--port", "0", "--reviewer", "Ada"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found
            page = browser.new_page(viewport={"width": 1360, "height": 800})
            enter(page, found[0])
            page.wait_for_selector("body[data-opened]")
            page.wait_for_function("() => [...document.querySelectorAll('#rows img')].every((image) => image.complete)")
            opened(page, "crowd.jpg")
            page.locator("[data-do=outlines]").click()
            save(page, "review-queue")
            page.locator("[data-do=outlines]").click()
            opened(page, "group.jpg")
            x, y, width, height = json.loads((ROOT / "samples/expected.json").read_text())["group.jpg"]["faces"][
                SPEAKER
            ]
            page.mouse.click(*on_screen(page, x + width / 2, y + height / 2))
            saved(page)
            page.locator("[data-do='tool:box']").click()
            page.mouse.move(*on_screen(page, *BADGE[:2]))
            page.mouse.down()
            page.mouse.move(*on_screen(page, *BADGE[2:]), steps=4)
            page.mouse.up()
            page.select_option("#effect", "fill")
            saved(page)
            page.mouse.move(300, 700)
            page.wait_for_timeout(6000)  # until what was said at the bottom is gone, and the picture is whole
            save(page, "review-photo")
        finally:
            server.terminate()


def enter(page: Page, address: str) -> None:
    """Go there, once the server listens."""
    for _ in range(100):
        try:
            page.goto(address)
            return
        except Error:
            page.wait_for_timeout(200)
    sys.exit("the review page does not answer")


def opened(page: Page, name: str) -> None:
    page.locator("#rows li button", has_text=name).click()
    page.wait_for_function("(name) => document.querySelector('#about strong')?.textContent === name", arg=name)
    page.wait_for_function("() => document.querySelector('#result img')?.complete")
    page.wait_for_timeout(1500)


def on_screen(page: Page, x: float, y: float) -> tuple[float, float]:
    """Where a pixel of the photo is on the screen."""
    left, top, scale = page.evaluate(
        """() => {
            const place = document.querySelector('#result > img').getBoundingClientRect();
            const [, width] = document.querySelector('#about').innerText.match(/(\\d+) ×/);
            return [place.left, place.top, place.width / width];
        }"""
    )
    return left + x * scale, top + y * scale


def saved(page: Page) -> None:
    page.wait_for_function("() => document.querySelector('#saved').textContent === 'Saved'")


def save(page: Page, name: str) -> None:
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(OUT / f"{name}.webp", quality=80, method=6)


if __name__ == "__main__":
    main()
