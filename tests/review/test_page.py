"""The real page in a real browser, driven as an editor would."""

import json
import re
import shutil
import sqlite3
import subprocess
from contextlib import closing

import numpy as np
import psutil
import pytest
from PIL import Image, ImageOps

from cloak.detect import RECIPES
from cloak.geometry import Box
from cloak.identity import same
from cloak.ledger import Ledger
from cloak.photo import open_photo
from cloak.records import beside
from cloak.reviews import Reviews
from cloak.verify import ALIKE, Look, alike
from tests.conftest import from_behind
from tests.review.conftest import CLOAK, HOSTILE, published, visit, wait_for

pytestmark = pytest.mark.slow

ANYWHERE = Box(560, 650, 90, 40)
"""A place in group.jpg where there is no face: a lap."""


def pixels(data):
    return open_photo(data).preview(1).astype(int)


def window(data, box):
    return pixels(data)[int(box.y) : int(box.bottom), int(box.x) : int(box.right)]


def difference(one, other, box):
    return float(np.abs(window(one, box) - window(other, box)).mean())


def faces(expected, name="group.jpg"):
    return [Box(*box).grown(0.6) for box in expected[name]["faces"]]


def opened(page, name):
    page.locator("#rows li button", has_text=name).click()
    page.wait_for_function("(name) => document.querySelector('#about strong')?.textContent === name", arg=name)
    page.wait_for_function("() => document.querySelector('#result img')?.complete")


def on_screen(page, x, y):
    """Where a pixel of the photo is on the screen."""
    return page.evaluate(
        """([x, y]) => {
            const image = document.querySelector('#result > img').getBoundingClientRect();
            const size = document.querySelector('#about').innerText.match(/(\\d+) × (\\d+)/);
            return [image.left + x * image.width / size[1], image.top + y * image.height / size[2]];
        }""",
        [x, y],
    )


def drag(page, box):
    page.mouse.move(*on_screen(page, box.x, box.y))
    page.mouse.down()
    page.mouse.move(*on_screen(page, *box.center), steps=3)
    page.mouse.move(*on_screen(page, box.right, box.bottom), steps=3)
    page.mouse.up()


def saved(page):
    page.wait_for_function("() => document.querySelector('#saved').textContent === 'Saved'")


def verdicts(server, name):
    with Ledger(beside(server.out), lock=False) as ledger:
        return Reviews(ledger).verdicts(name)


def test_a_batch_is_reviewed_by_mouse(open_page, server, shoot, expected):
    page = open_page()
    assert page.locator("#rows li").count() == 4
    assert page.locator("#about strong").inner_text() == "landscape.jpg"  # the most doubtful: no face was found
    assert re.sub(r"\s+", " ", page.locator("#filters").inner_text()).startswith("All 4 ∅ No face 1")

    page.locator("[data-do=hold]").click()
    page.fill("#reason", "ask the desk <b>first</b>")
    page.locator("#hold-dialog button.primary").click()
    opened(page, "group.jpg")
    speaker, *others = faces(expected)
    page.mouse.click(*on_screen(page, *speaker.center))
    saved(page)
    assert page.locator(".region.bare").count() == 1
    page.locator("[data-do='tool:box']").click()
    drag(page, ANYWHERE)
    page.select_option("#effect", "fill")
    saved(page)
    page.locator("[data-do=accept]").click()
    wait_for(lambda: published(server, "group.jpg"))

    before, after = (shoot / "group.jpg").read_bytes(), published(server, "group.jpg")
    assert np.array_equal(window(after, speaker), window(before, speaker))
    assert min(difference(before, after, face) for face in others) > 5
    assert window(after, ANYWHERE.grown(0.8)).std(axis=(0, 1)).max() < 3
    assert published(server, "landscape.jpg") is None
    done = subprocess.run([*CLOAK, "verify", server.out, "--recall", "fast"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout

    (verdict,) = verdicts(server, "group.jpg")
    assert (verdict["reviewer"], verdict["verdict"], len(verdict["decisions"]["changes"])) == ("Ada", "accept", 2)
    assert verdict["at"].endswith("+00:00")
    (held,) = verdicts(server, "landscape.jpg")
    assert held["decisions"]["reason"] == "ask the desk <b>first</b>"
    sidecar = beside(server.out).with_name("decisions") / "group.jpg.cloak.json"
    made = json.loads(sidecar.read_text())
    assert same(made["of"], before)
    assert made | {"of": ""} == verdict["decisions"]
    opened(page, "landscape.jpg")
    assert "“ask the desk <b>first</b>”" in page.locator("#about").inner_text()


def test_a_batch_is_reviewed_by_keyboard_alone(open_page, server, shoot, expected):
    page = open_page()
    page.mouse.move(0, 0)
    press = page.keyboard.press
    press("h")
    page.keyboard.type("no people")
    press("Tab")
    press("Tab")
    press("Enter")
    while page.locator("#about strong").inner_text() != "group.jpg":
        before = page.locator("#about strong").inner_text()
        press("j")
        page.wait_for_function("(old) => document.querySelector('#about strong').textContent !== old", arg=before)
    page.wait_for_function("() => document.querySelector('#result img')")
    press("f")
    assert "Face 1, concealed" in page.evaluate("document.activeElement.getAttribute('aria-label')")
    press("Space")
    press("f")
    press("t")
    press("t")  # and back
    press("Escape")
    press("0")
    press("r")
    press("Enter")
    page.wait_for_selector(".region.drawn")
    for _ in range(3):
        press("Shift+ArrowDown")
    press("Alt+ArrowRight")
    press("x")
    press("Control+z")
    press("Control+z")
    press("Control+Shift+z")
    saved(page)
    press("a")
    wait_for(lambda: published(server, "group.jpg"))
    before, after = (shoot / "group.jpg").read_bytes(), published(server, "group.jpg")
    changed = [difference(before, after, face) for face in faces(expected)]
    assert sorted(difference > 5 for difference in changed) == [False, True, True, True]
    assert len(verdicts(server, "group.jpg")[0]["decisions"]["changes"]) == 2
    press("?")
    assert page.locator("#help").is_visible()
    press("Escape")
    assert not page.locator("#help").is_visible()


def test_a_missed_face_is_added_and_concealed_in_the_written_file(open_page, server, shoot, expected, tmp_path):
    # A negative, and a detector of near faces: it finds none.
    negative, blind = tmp_path / "negative.jpg", tmp_path / "blind.toml"
    ImageOps.invert(Image.open(shoot / "group.jpg").convert("RGB")).save(negative, quality=92)
    blind.write_text(
        'recall = "fast"\nmodels = ["blazeface-short"]\naccept_risk = true\nreview = "required"\n'
        '[effect]\nname = "decoy"\n'
    )
    done = subprocess.run([*CLOAK, "run", negative, "-o", server.out, "-p", blind], capture_output=True)
    assert done.returncode == 4, done.stderr
    page = open_page()
    opened(page, "negative.jpg")
    assert page.locator(".region").count() == 0
    heads = faces(expected)
    for head in heads:
        page.keyboard.press("e")
        drag(page, head.grown(2.3))
    saved(page)
    page.keyboard.press("a")
    wait_for(lambda: published(server, "negative.jpg"))
    before, after = negative.read_bytes(), published(server, "negative.jpg")
    assert min(difference(before, after, head) for head in heads) > 5
    looks = [Look(open_photo(data), 0) for data in (before, after)]
    recipe = RECIPES["fast"]
    assert max(alike(*(look.sketch(head, recipe) for look in looks)) for head in heads) < ALIKE / 2


def test_the_head_of_somebody_without_a_face_is_suggested_and_concealed_by_a_click(open_page, server, behind, tmp_path):
    photos = [tmp_path / name for name in ("a.jpg", "b.jpg")]
    for photo in photos:
        photo.write_bytes(behind)
    command = [*CLOAK, "run", *photos, "-o", server.out, "-p", "newsroom", "--recall", "balanced"]
    assert subprocess.run(command, capture_output=True).returncode == 4
    page = open_page()
    opened(page, "a.jpg")
    assert "Person without a face" in page.locator("#faces li").inner_text()
    suggested = page.locator(".region.weak")
    assert suggested.count() == 1
    head = from_behind()[1].grown(0.5)
    page.mouse.click(*on_screen(page, *head.center))
    saved(page)
    assert suggested.count() == 0
    page.keyboard.press("a")
    wait_for(lambda: published(server, "a.jpg"))
    assert difference(behind, published(server, "a.jpg"), head) > 5
    opened(page, "b.jpg")
    page.keyboard.press("a")  # as it is
    wait_for(lambda: published(server, "b.jpg"))
    assert difference(behind, published(server, "b.jpg"), head) < 1


def test_a_photo_that_a_run_replaces_while_it_lies_open_is_shown_anew(open_page, server, samples, tmp_path):
    photo = tmp_path / "one.jpg"
    command = [*CLOAK, "run", photo, "-o", server.out, "-p", "newsroom", "--recall", "fast", "-j", "1", "-q"]
    shutil.copy(samples / "landscape.jpg", photo)
    assert subprocess.run(command).returncode == 4
    page = open_page()
    opened(page, "one.jpg")
    assert page.locator(".region").count() == 0
    shutil.copy(samples / "group.jpg", photo)
    assert subprocess.run(command).returncode == 4
    page.wait_for_function("() => document.querySelectorAll('.region').length === 4")


def test_a_reload_and_a_restart_lose_nothing(open_page, server):
    page = open_page(expect_complaints=True)
    opened(page, "group.jpg")
    page.keyboard.press("f")
    page.keyboard.press("Space")
    saved(page)
    page.reload()
    page.wait_for_selector(".region.bare")
    assert page.locator("#about strong").inner_text() == "group.jpg"
    page.keyboard.press("f")
    page.keyboard.press("f")
    page.keyboard.press("Space")
    saved(page)
    server.stop()
    page.wait_for_selector("#banner:not([hidden])")
    server.start()
    visit(page, server.address)
    page.wait_for_selector(".region.bare")
    assert page.locator(".region.bare").count() == 2


def test_a_verdict_that_a_killed_server_had_not_carried_out_is_carried_out_by_the_next(open_page, server):
    page = open_page(expect_complaints=True)
    opened(page, "group.jpg")
    workers = psutil.Process(server.process.pid).children(recursive=True)
    for worker in workers:
        worker.suspend()  # so that the kill comes first
    page.keyboard.press("a")
    page.wait_for_function("() => document.querySelector('#rows').innerText.includes('Writing')")
    server.process.kill()
    for worker in workers:
        worker.kill()
    server.stop()
    assert published(server, "group.jpg") is None
    server.start()
    wait_for(lambda: published(server, "group.jpg"))


def test_two_editors_never_overwrite_each_other(open_page, server):
    ada = open_page()
    opened(ada, "group.jpg")
    ada.locator("#invite").click()
    ada.wait_for_function("() => document.querySelector('#address').value")
    address = ada.locator("#address").input_value()
    ada.keyboard.press("Escape")
    grace = open_page(address, expect_complaints=True)  # being refused is what she tries
    grace.locator("#editor").click()
    grace.fill("#name", "Grace")
    grace.keyboard.press("Enter")
    grace.locator("#rows li button", has_text="group.jpg").click()
    grace.wait_for_selector("#banner:not([hidden])")
    assert "Ada is looking at this photo" in grace.locator("#banner").inner_text()
    assert grace.locator("[data-do=accept]").is_disabled()
    grace.keyboard.press("f")
    grace.keyboard.press("Space")
    assert grace.locator(".region.bare").count() == 0

    ada.keyboard.press("f")
    ada.keyboard.press("Space")
    grace.wait_for_selector(".region.bare")  # she sees what Ada does
    ada.close()  # and when Ada's connection is lost, the photo is hers
    grace.wait_for_selector("#banner", state="hidden")
    assert grace.locator(".region.bare").count() == 1
    grace.locator("[data-do=accept]").click()
    wait_for(lambda: published(server, "group.jpg"))
    assert verdicts(server, "group.jpg")[0]["reviewer"] == "Grace"


def test_in_quiet_no_page_asks_for_a_photo_again(open_page, server):
    ada = open_page(expect_complaints=True)  # two of the three are refused
    opened(ada, "group.jpg")
    ada.evaluate(
        "fetch('/api/invitations', {method: 'POST'}).then((a) => a.json()).then((a) => (window.address = a.address))"
    )
    grace = open_page(ada.wait_for_function("() => window.address").json_value(), expect_complaints=True)
    grace.locator("#rows li button", has_text="group.jpg").click()
    grace.wait_for_selector("#banner:not([hidden])")
    with ada.expect_popup() as popup:  # as a tab that is duplicated, it begins with a copy of the storage
        ada.evaluate("window.open('/')")
    pages = [ada, grace, popup.value]
    popup.value.wait_for_selector("body[data-opened]")
    names = {page.evaluate("import('/page/api.js').then((api) => api.page)") for page in pages}
    assert len(names) == 3
    for page in pages[1:]:  # all three look at one photo, that is nobody's for a moment
        page.locator("#rows li button", has_text="group.jpg").click()
    asked = []
    others = lambda: [request for request in asked if not request[1].endswith("/claim")]  # noqa: E731
    for page in pages:
        page.on("request", lambda request: asked.append((request.method, request.url)))
    opened(ada, "landscape.jpg")
    ada.locator("#rows li button", has_text="group.jpg").click()
    for _ in range(30):  # until what the clicks began is over, however slow this machine is
        asked.clear()
        ada.wait_for_timeout(2000)
        if not others():
            break
    asked.clear()
    for page in pages:
        page.evaluate("performance.clearMeasures()")
    ada.wait_for_timeout(5000)
    assert len(asked) - len(others()) <= 1  # a sign of life of the one that has it
    assert others() == []
    assert [page.evaluate("performance.getEntriesByName('opened').length") for page in pages] == [0, 0, 0]
    assert [page.locator("[data-do=accept]").is_enabled() for page in pages].count(True) == 1


def test_who_goes_on_at_once_loses_nothing(open_page, server):
    page = open_page()
    opened(page, "group.jpg")
    page.keyboard.press("f")
    page.keyboard.press("Space")
    page.keyboard.press("j")  # before the change is sent
    page.wait_for_function("() => document.querySelector('#about strong').textContent !== 'group.jpg'")
    there = page.locator("#about strong").inner_text()
    opened(page, "group.jpg")
    page.wait_for_selector(".region.bare")
    # A verdict that is on its way is of the photo that was seen, not of the one that comes next.
    page.route("**/accept", lambda route: (page.wait_for_timeout(700), route.continue_()))
    page.keyboard.press("a")
    page.keyboard.press("j")
    page.wait_for_function("(name) => document.querySelector('#about strong').textContent === name", arg=there)
    assert [verdict["verdict"] for verdict in verdicts(server, "group.jpg")] == ["accept"]
    assert verdicts(server, there) == []
    wait_for(lambda: published(server, "group.jpg"))


def test_what_a_lost_connection_kept_back_is_stored_when_it_is_there_again(open_page):
    page = open_page(expect_complaints=True)
    opened(page, "group.jpg")
    page.context.set_offline(True)
    page.keyboard.press("f")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('#saved').textContent === 'Not saved'")
    page.context.set_offline(False)
    saved(page)
    page.reload()
    page.wait_for_selector(".region.bare")


def test_a_server_whose_ledger_is_damaged_ends_and_the_page_says_why(open_page, server):
    page = open_page(expect_complaints=True)
    with closing(sqlite3.connect(beside(server.out))) as ledger, ledger:
        ledger.execute("UPDATE photo SET row = 'words'")
    page.wait_for_function("() => document.querySelector('#banner').textContent.includes('the ledger is damaged')")
    assert server.process.wait(60) == 2
    assert "the ledger is damaged" in server.process.stdout.read()


def test_a_hostile_file_name_is_text(open_page):
    page = open_page()
    opened(page, HOSTILE)
    assert page.locator("#about strong").inner_text() == HOSTILE
    assert page.locator("img[src=x]").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_serious_fault(open_page, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = open_page(color_scheme=scheme, bypass_csp=True)
    opened(page, "group.jpg")
    page.keyboard.press("f")
    faults = check(Axe(), page)
    page.keyboard.press("c")
    page.keyboard.press("?")
    faults += check(Axe(), page)
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    assert faults + check(Axe(), page) == []


def check(axe, page):
    found = axe.run(page).response["violations"]
    return [
        (fault["id"], [node["html"][:120] for node in fault["nodes"]][:3])
        for fault in found
        if fault["impact"] in {"serious", "critical"}
    ]


def test_zoom_reaches_every_pixel_and_keeps_few_tiles(open_page):
    page = open_page()
    opened(page, "group.jpg")
    page.mouse.move(*on_screen(page, 640, 360))
    for _ in range(12):
        page.mouse.wheel(0, -300)
    page.wait_for_function("() => document.querySelectorAll('#result img').length > 1")
    assert page.evaluate("document.querySelectorAll('#stage img').length") < 40
    page.keyboard.press("1")
    page.wait_for_function("() => document.querySelector('#zoom').textContent === '100 %'")
    page.keyboard.press("j")
    page.wait_for_function("() => document.querySelector('#about strong').textContent !== 'group.jpg'")
    page.wait_for_function("() => document.querySelectorAll('#stage img').length <= 2")


def test_the_queue_keeps_of_a_photo_what_its_row_shows(open_page):
    page = open_page()
    row, kept, known = page.evaluate(
        """async () => {
            const { Queue } = await import('/page/queue.js');
            const get = async (path) => (await fetch(path)).json();
            const [row] = await get('/api/photos');
            const queue = new Queue(() => {});
            queue.set([{ ...row }]);
            const known = { ...await get(`/api/photos/${row.id}`), version: 7 };
            queue.merge(known);
            return [row, queue.photos[0], known];
        }"""
    )
    assert kept == {**{key: known[key] for key in row}, "version": 7}
    assert len(known) > len(row)


def test_the_original_is_shown_while_the_key_is_held(open_page):
    page = open_page()
    opened(page, "group.jpg")
    shown = "getComputedStyle(document.querySelector('#original')).visibility"
    page.keyboard.down("o")
    page.wait_for_function(f"() => {shown} === 'visible'")
    page.keyboard.up("o")
    page.wait_for_function(f"() => {shown} === 'hidden'")


def test_what_could_not_be_stored_is_told_with_what_to_do(open_page, server):
    page = open_page(expect_complaints=True)
    ledger = beside(server.out)
    ledger.rename(ledger.with_name("away.sqlite"))
    page.keyboard.press("a")
    page.wait_for_selector("#banner:not([hidden])")
    assert "while it was in use. Put it back" in page.locator("#banner").inner_text()
    ledger.with_name("away.sqlite").rename(ledger)
