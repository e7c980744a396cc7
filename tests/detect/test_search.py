import dataclasses
import io
import math
import time

import cv2
import numpy as np
import pytest
from PIL import Image

from cloak.detect import RECIPES, confirmed, find, recheck, registry, scaling
from cloak.detect import search as search_module
from cloak.detect.base import Detection
from cloak.detect.cover import cover
from cloak.errors import DetectionFailed, MissingExtra, TooLarge, UnknownName
from cloak.geometry import Box, Size
from cloak.masks import draw
from cloak.photo import open_photo
from tests.detect.conftest import noise, preview_of, size_of

FACES = {  # boxes of the one face in each picture
    "astronaut": Box(178, 63, 91, 114),
    "grace_hopper": Box(183, 120, 171, 213),
    "obama": Box(208, 51, 136, 186),
    "biden": Box(231, 98, 143, 202),
}
BALANCED = RECIPES["balanced"]
STORED_AS = {  # what a writer of each EXIF orientation does to the picture
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def search(image, recipe=BALANCED):
    return find(preview_of(image), size_of(image), recipe)


def share_covered(found, size, box):
    core = np.zeros((size.height, size.width), bool)
    for mask in draw([cover(face) for face in found.faces], size):
        core[mask.window()] |= mask.core
    return core[int(box.y) : math.ceil(box.bottom), int(box.x) : math.ceil(box.right)].mean()


@pytest.mark.parametrize("recipe", sorted(RECIPES))
@pytest.mark.parametrize("name", sorted(FACES))
def test_each_profile_finds_a_portrait(photo, name, recipe):
    found = search(photo(name), RECIPES[recipe])
    assert max(face.box.iou(FACES[name]) for face in found.faces) > 0.6
    assert len(found.faces) <= 2 or recipe == "thorough"


@pytest.mark.parametrize("name", sorted(FACES))
@pytest.mark.parametrize("turn", [90, 180, 270])
def test_a_picture_that_lies_on_its_side_or_head_is_searched_too(photo, name, turn):
    image = photo(name)
    box, (height, width) = FACES[name], image.shape[:2]
    cx, cy = box.center
    x, y = {90: (height - cy, cx), 180: (width - cx, height - cy), 270: (cy, width - cx)}[turn]
    w, h = (box.height, box.width) if turn != 180 else (box.width, box.height)
    turned = np.ascontiguousarray(np.rot90(image, -(turn // 90)))
    found = search(turned)
    assert share_covered(found, size_of(turned), Box(x - w / 2, y - h / 2, w, h)) > 0.9
    best = found.faces[0]
    difference = (best.angle - turn + 180) % 360 - 180
    assert abs(difference) < 25


@pytest.mark.parametrize("turn", [90, 180])
def test_thorough_covers_a_face_in_a_turned_picture_once(photo, turn):
    image = cv2.resize(photo("obama"), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    found = search(np.ascontiguousarray(np.rot90(image, -(turn // 90))), RECIPES["thorough"])
    height, width = image.shape[:2]
    cx, cy = FACES["obama"].scaled(0.5).center
    x, y = {90: (height - cy, cx), 180: (width - cx, height - cy)}[turn]
    (face,) = [face for face in found.faces if math.dist(face.box.center, (x, y)) < 30]
    assert abs((face.angle - turn + 180) % 360 - 180) < 25


@pytest.mark.parametrize("orientation", range(8))
def test_all_eight_orientations_of_a_picture_are_searched(photo, orientation):
    image = np.rot90(photo("obama"), orientation % 4)
    image = np.ascontiguousarray(image[:, ::-1] if orientation > 3 else image)
    found = search(image)
    assert found.faces
    assert 100 < math.sqrt(found.faces[0].box.area) < 250


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_file_is_searched_as_it_shows_whatever_its_orientation(photo, orientation):
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    shown = Image.fromarray(photo("obama"))
    stored = shown if orientation == 1 else shown.transpose(STORED_AS[orientation])
    stored.save(file, "JPEG", quality=90, exif=exif)
    opened = open_photo(file.getvalue())
    found = find(opened.preview, opened.size, BALANCED)
    assert share_covered(found, opened.size, FACES["obama"]) > 0.9
    assert abs(found.faces[0].angle) < 25


@pytest.mark.parametrize("name", sorted(FACES))
def test_grey_pictures_are_searched(photo, name):
    grey = cv2.cvtColor(cv2.cvtColor(photo(name), cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    assert share_covered(search(grey), size_of(grey), FACES[name]) > 0.9


@pytest.mark.parametrize("brightest", [20, 7])
@pytest.mark.parametrize("name", sorted(FACES))
def test_very_dark_pictures_are_searched(photo, name, brightest):
    dark = (photo(name).astype(np.float32) * brightest / 255).astype(np.uint8)
    assert share_covered(search(dark), size_of(dark), FACES[name]) > 0.9


def test_small_faces_in_a_very_dark_picture_are_found(samples, expected):
    # Seen as it is, YuNet finds none of them.
    image = cv2.cvtColor(cv2.imread(str(samples / "crowd.jpg")), cv2.COLOR_BGR2RGB)
    dark = np.rint(image / np.float32(32)).astype(np.uint8)
    found = search(dark, RECIPES["fast"])
    truth = [Box(*box) for box in expected["crowd.jpg"]["faces"]]
    assert np.mean([any(face.box.iou(box) >= 0.4 for face in found.faces) for box in truth]) > 0.8


def test_a_closer_look_sees_a_face_in_the_dark(photo):
    dark = np.rint(photo("biden") / np.float32(32)).astype(np.uint8)
    assert confirmed(dark, FACES["biden"])


@pytest.mark.parametrize("lights", [0, 96, 255])
def test_pictures_that_are_black_or_not_dark_are_searched_as_they_are(lights):
    image = np.zeros((60, 60, 3), np.uint8)
    image[:30] = lights
    assert scaling.exposed(image) is image


def test_a_few_hot_pixels_do_not_keep_a_picture_dark():
    image = np.full((100, 100, 3), 10, np.uint8)
    image[50, 50:60] = 255
    assert np.median(scaling.exposed(image)) == scaling.LIGHT


@pytest.mark.parametrize("kind", ["png", "tiff"])
@pytest.mark.parametrize("light", [1.0, 0.02])
def test_pictures_of_16_bits_are_searched(photo, kind, light):
    deep = (photo("grace_hopper").astype(np.float32) * 257 * light).astype(np.uint16)
    done, data = cv2.imencode(f".{kind}", deep[..., ::-1])
    assert done
    opened = open_photo(data.tobytes())
    found = find(opened.preview, opened.size, BALANCED)
    assert share_covered(found, opened.size, FACES["grace_hopper"]) > 0.9


@pytest.mark.parametrize("name", sorted(FACES))
def test_very_bright_pictures_are_searched(photo, name):
    bright = (255 - (255 - photo(name).astype(np.float32)) * 0.15).astype(np.uint8)
    assert share_covered(search(bright), size_of(bright), FACES[name]) > 0.9


@pytest.mark.slow
def test_a_face_that_fills_a_24_megapixel_frame_is_one_face(photo):
    image = cv2.resize(photo("grace_hopper")[100:360, 170:370], (4000, 5200), interpolation=cv2.INTER_CUBIC)
    found = search(image)
    assert share_covered(found, size_of(image), Box(256, 400, 3400, 4260)) > 0.97
    assert found.faces[0].box.height > 3000


@pytest.mark.slow
def test_small_faces_anywhere_in_a_24_megapixel_picture_are_found(photo):
    image = noise(4000, 6000)
    x, y, width, height = (int(value) for value in (120, 20, 210, 220))
    head = cv2.resize(photo("astronaut")[y : y + height, x : x + width], (105, 110), interpolation=cv2.INTER_AREA)
    # Places that fall on all parts of tiles and their overlaps, up to the edges.
    places = [(left, top) for left in range(0, 5896, 655) for top in range(0, 3891, 778)]
    for left, top in places:
        image[top : top + 110, left : left + 105] = head
    found = search(image)
    shares = [share_covered(found, size_of(image), Box(left + 29, top + 22, 45, 56)) for left, top in places]
    assert min(shares) > 0.9


def test_texture_without_a_face_has_none():
    for image in (np.full((700, 900, 3), 200, np.uint8), noise(700, 900) // 8 + 100):
        assert search(image).faces == ()


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1), (7, 5), (31, 33)])
def test_tiny_and_narrow_pictures_are_searched_without_a_fault(shape):
    for recipe in RECIPES.values():
        assert search(np.full((*shape, 3), 90, np.uint8), recipe).faces == ()


def test_only_one_preview_is_asked_for_and_no_larger_than_needed(photo):
    asked = []
    image = cv2.resize(photo("astronaut"), (3000, 3000))

    def preview(step):
        asked.append(step)
        return preview_of(image)(step)

    find(preview, size_of(image), dataclasses.replace(BALANCED, min_face=100, whole=(320,)))
    assert asked == [4]


def test_the_search_is_repeatable(photo):
    assert search(photo("biden"), RECIPES["thorough"]) == search(photo("biden"), RECIPES["thorough"])


def test_a_preview_of_another_size_is_refused(photo):
    image = photo("astronaut")
    with pytest.raises(DetectionFailed, match="size"):
        find(lambda step: image[:-1], size_of(image), BALANCED)
    with pytest.raises(DetectionFailed, match="size"):
        find(lambda step: image.astype(np.float32), size_of(image), BALANCED)


def test_unknown_models_are_named():
    with pytest.raises(UnknownName, match="yunet"):
        search(noise(64, 64), dataclasses.replace(BALANCED, models=("nobody",)))


@pytest.fixture
def model(monkeypatch):
    """Put a made-up detector in the place of all."""

    def install(answer):
        class Made:
            name = "made"

            def __call__(self, image):
                return answer(image)

        monkeypatch.setattr(registry, "load", lambda name: Made())

    return install


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("where", ["score", "x", "width", "landmark"])
def test_numbers_that_are_not_finite_are_refused(model, bad, where):
    values = {"x": 1.0, "width": 9.0, "score": 0.9, "landmark": 3.0} | {where: bad}
    marks = ((values["landmark"], 1.0),) * 5
    model(lambda image: [Detection(Box(values["x"], 1, values["width"], 9), values["score"], "made", marks)])
    with pytest.raises(DetectionFailed, match="finite"):
        search(noise(64, 64))


def test_a_flood_of_hits_is_refused_quickly(model):
    hits = [Detection(Box(i % 64, i // 64 % 64, 5, 5), 0.9, "made") for i in range(20_000)]
    model(lambda image: hits)
    start = time.process_time()
    with pytest.raises(DetectionFailed, match="far more hits"):
        search(noise(64, 64))
    assert time.process_time() - start < 10


def test_a_model_that_fails_gives_no_partial_answer_and_no_secrets(model):
    calls = []

    def answer(image):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("pixels 12 34 in secret/photo.jpg")
        return [Detection(Box(1, 1, 9, 9), 0.9, "made")]

    model(answer)
    with pytest.raises(DetectionFailed, match="RuntimeError") as caught:
        search(noise(64, 64))
    assert "secret" not in str(caught.value)


def test_a_model_without_memory_is_not_called_faulty(model):
    def answer(image):
        raise RuntimeError("bfc_arena.cc:360 Failed to allocate memory for requested buffer of size 11894784")

    model(answer)
    with pytest.raises(TooLarge):
        search(noise(64, 64))


@pytest.mark.parametrize(
    "answer",
    [None, 3, [None], [(1, 2, 3, 4)], [Detection(Box(1, 1, 9, 9), 0.9, "made", ((1.0, 2.0),))]],
)
def test_an_answer_that_is_no_list_of_detections_withholds_the_photo(model, answer):
    model(lambda image: answer)
    with pytest.raises(DetectionFailed):
        search(noise(64, 64))


def test_errors_of_our_own_pass_through(model):
    def answer(image):
        raise MissingExtra("the detector", "mediapipe")

    model(answer)
    with pytest.raises(MissingExtra):
        search(noise(64, 64))


def test_boxes_are_held_to_the_picture_and_half_of_themselves(model):
    far = [Box(-1e9, -1e9, 2e9, 2e9), Box(5000, 0, 9, 9)]
    model(lambda image: [Detection(box, 0.9, "made") for box in far])
    found = search(noise(64, 64))
    assert len(found.faces) == 1
    extent = found.faces[0].extent
    assert extent.x >= -32
    assert extent.right <= 96


def test_empty_and_negative_boxes_are_no_faces(model):
    model(lambda image: [Detection(Box(5, 5, width, 9), 0.9, "made") for width in (0, -3)])
    found = search(noise(64, 64), dataclasses.replace(BALANCED, tilts=False, whole_turns=()))
    assert found.faces == ()


def test_weak_hits_are_doubtful_weaker_ones_are_nothing_and_two_weak_looks_make_a_face(model):
    large = dataclasses.replace(BALANCED, whole=(64,), whole_turns=(), halves=False, upscale=1.0)
    large = dataclasses.replace(large, threshold=0.3, tiny=0.3, large=0.3, review=0.75)

    def once(score):
        return lambda image: [Detection(Box(10, 10, 40, 40), score, "made")]

    model(once(0.25))
    assert (len(search(noise(64, 64), large).faces), len(search(noise(64, 64), large).doubtful)) == (0, 1)
    model(once(0.2))
    assert (len(search(noise(64, 64), large).faces), len(search(noise(64, 64), large).doubtful)) == (0, 0)
    twice = dataclasses.replace(large, whole=(32, 64))
    model(lambda image: [Detection(Box(*(image.shape[0] / 64 * v for v in (10, 10, 40, 40))), 0.2, "made")])
    assert len(search(noise(64, 64), twice).faces) == 1


def test_a_users_detector_takes_part_in_a_search(monkeypatch, photo):
    real = registry.load

    def own(image):
        scale = image.shape[1] / 512
        return [Detection(Box(400 * scale, 400 * scale, 50 * scale, 60 * scale), 0.95, "own")]

    detector = type("Own", (), {"name": "own", "__call__": lambda self, image: own(image)})()
    monkeypatch.setattr(registry, "load", lambda name: detector if name == "own" else real(name))
    found = search(photo("astronaut"), dataclasses.replace(BALANCED, models=("yunet", "own")))
    assert {face.models for face in found.faces} == {("yunet",), ("own",)}


@pytest.mark.parametrize("recipe", ["balanced", "thorough"])
def test_recheck_sees_a_face_that_was_left_bare(photo, recipe):
    canvas = noise(1000, 1600)
    head = cv2.resize(photo("astronaut")[20:240, 120:330], (84, 88), interpolation=cv2.INTER_AREA)
    canvas[400:488, 700:784] = head
    size = size_of(canvas)
    first = find(preview_of(canvas), size, RECIPES[recipe])
    assert share_covered(first, size, Box(723, 417, 36, 46)) > 0.9
    again = recheck(preview_of(canvas), size, RECIPES[recipe], [face.box.grown(2) for face in first.faces])
    assert share_covered(again, size, Box(723, 417, 36, 46)) > 0.9


def test_recheck_of_a_concealed_picture_finds_nothing(photo):
    image = photo("astronaut").copy()
    size = Size(512, 512)
    first = search(image)
    for mask in draw([cover(face) for face in first.faces], size):
        image[mask.window()][mask.core] = 128
    assert recheck(preview_of(image), size, BALANCED, [Box(0, 0, 512, 512)]).faces == ()


def test_recheck_finds_in_the_areas_what_a_whole_search_finds_there(photo):
    canvas = noise(2400, 3600)
    canvas[300:812, 2900:3412] = photo("astronaut")
    canvas[1800:2312, 200:712] = photo("astronaut")
    size = size_of(canvas)
    upright = dataclasses.replace(BALANCED, turns=(), whole_turns=(), tilts=False)
    whole, part = (
        find(preview_of(canvas), size, upright),
        recheck(preview_of(canvas), size, upright, [Box(3000, 320, 90, 90)]),
    )
    place = Box(2950, 300, 200, 200)
    here = [face.box for face in part.faces if face.box.intersection(place)]
    there = [face.box for face in whole.faces if face.box.intersection(place)]
    assert here
    assert all(max(a.iou(b) for b in there) > 0.7 for a in here)
    assert all(max(a.iou(b) for b in here) > 0.7 for a in there)


def test_recheck_without_any_known_face_looks_at_the_whole_picture(photo):
    assert recheck(preview_of(photo("obama")), size_of(photo("obama")), BALANCED, ()).faces


@pytest.fixture
def short(monkeypatch):
    """OpenCV before 5, which warps nothing as long as this."""
    warp = cv2.warpAffine

    def strict(image, matrix, size, **options):
        if max(*image.shape[:2], *size) >= 32_767:
            raise cv2.error("Assertion failed: src.cols < SHRT_MAX")
        return warp(image, matrix, size, **options)

    monkeypatch.setattr(cv2, "warpAffine", strict)


@pytest.mark.parametrize("turn", [0, 30, 90])
@pytest.mark.parametrize("box", [Box(35_000, 20, 60, 50), Box(-20, -10, 50, 60), Box(39_990, 80, 30, 40)])
def test_a_closer_look_takes_no_more_of_a_panorama_than_it_shows(short, box, turn):
    panorama = np.tile(np.random.default_rng(1).integers(0, 256, (100, 1_000, 3)).astype(np.uint8), (1, 40, 1))
    seen, _ = scaling.window(panorama, box, Size(96, 96), turn)
    left = min(max(int(box.x) - 500, 0), 39_000)
    crop = np.ascontiguousarray(panorama[:, left : left + 1_000])
    whole = cv2.warpAffine(crop, scaling._affine(box.shifted(-left, 0), Size(96, 96), turn)[:2], (96, 96))
    assert seen.any()
    assert np.abs(seen.astype(int) - whole).max() <= 1


def test_a_look_that_opencv_cannot_take_withholds_the_photo(short):
    with pytest.raises(DetectionFailed):
        scaling.window(np.zeros((2, 40_000, 3), np.uint8), Box(0, 0, 40_000, 2), Size(96, 96))


def test_opencv_that_does_not_load_names_the_system_library(monkeypatch):
    import builtins

    from cloak.detect import scaling
    from cloak.errors import SetupError

    real = builtins.__import__

    def broken(name, *args, **kwargs):
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory")
        return real(name, *args, **kwargs)

    scaling.opencv.cache_clear()
    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(SetupError, match=r"libGL\.so\.1") as caught:
        scaling.opencv()
    assert "libgl1" in caught.value.next_step


def test_recheck_looks_at_a_large_area_in_the_coarse_looks_only(photo, monkeypatch):
    canvas = noise(2400, 3600)
    size = size_of(canvas)
    real, seen = registry.load("yunet"), []

    class Counting:
        name = "yunet"

        def __call__(self, image):
            seen.append(image.shape[0] * image.shape[1])
            return real(image)

    monkeypatch.setattr(registry, "load", lambda name: Counting())
    recheck(preview_of(canvas), size, BALANCED, [Box(1000, 1000, 600, 600)])
    large, count = sum(seen), len(seen)
    seen.clear()
    recheck(preview_of(canvas), size, BALANCED, [Box(1000, 1000, 60, 60)])
    assert len(seen) > count
    assert large < 1.5e6


@pytest.mark.parametrize("side", [60, 200, 450])
def test_recheck_sees_bare_faces_of_every_size_in_a_large_photo(photo, side):
    canvas = noise(3000, 4500)
    head = photo("astronaut")[20:240, 120:330]  # 114 of its 220 rows are the face
    face = cv2.resize(head, (side, side * 220 // 210), interpolation=cv2.INTER_AREA)
    canvas[1000 : 1000 + face.shape[0], 2000 : 2000 + side] = face
    size = size_of(canvas)
    scale = side / 210
    box = Box(2000 + 58 * scale, 1000 + 43 * scale, 91 * scale, 114 * scale)
    again = recheck(preview_of(canvas), size, BALANCED, [box.grown(1.5)])
    assert share_covered(again, size, box) > 0.9


@pytest.mark.parametrize("name", sorted(FACES))
@pytest.mark.parametrize("scale", [1.0, 0.15])
def test_a_closer_look_confirms_a_face(photo, name, scale):
    image = photo(name)
    image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    assert confirmed(image, FACES[name].scaled(scale))


def test_a_closer_look_refuses_what_is_no_face(photo):
    assert not confirmed(photo("astronaut"), Box(300, 350, 90, 110))  # a part of the space suit
    assert not confirmed(noise(300, 300), Box(100, 100, 80, 100))
    assert not confirmed(photo("astronaut"), Box(-500, -500, 90, 110))


def unsure(monkeypatch, score, centerface, closer_yunet=0.0):
    """A plain picture in which YuNet sees one face of that score, and what a closer look says to it."""

    class Fake:
        def __init__(self, name):
            self.name = name

        def __call__(self, image):
            if image.shape[:2] != (96, 96):
                scale = image.shape[1] / 900
                return [Detection(Box(300 * scale, 200 * scale, 60 * scale, 75 * scale), score, self.name)]
            answer = centerface if self.name == "centerface" else closer_yunet
            return [Detection(Box(32, 28, 32, 40), answer, self.name)]

    monkeypatch.setattr(registry, "load", Fake)
    recipe = dataclasses.replace(BALANCED, whole=(640,), halves=False, upscale=0.6, whole_turns=(), tile=2048)
    return find(preview_of(noise(600, 900)), Size(900, 600), dataclasses.replace(recipe, large=0.48))


def test_a_weak_hit_that_another_model_confirms_is_concealed(monkeypatch):
    found = unsure(monkeypatch, 0.3, centerface=0.25)
    assert [face.models for face in found.faces] == [("centerface", "yunet")]
    assert unsure(monkeypatch, 0.3, centerface=0.15).faces == ()
    assert unsure(monkeypatch, 0.2, centerface=0.9).faces == ()  # too weak to be asked about


def test_an_unsure_hit_that_two_models_deny_goes_to_review(monkeypatch):
    assert unsure(monkeypatch, 0.5, centerface=0.15).faces
    assert unsure(monkeypatch, 0.5, centerface=0.0, closer_yunet=0.11).faces
    denied = unsure(monkeypatch, 0.5, centerface=0.0, closer_yunet=0.09)
    assert denied.faces == ()
    assert len(denied.doubtful) == 1
    assert unsure(monkeypatch, 0.7, centerface=0.0).faces  # sure enough: nobody is asked


def test_closer_looks_are_few_and_at_the_largest(monkeypatch):
    asked = []
    monkeypatch.setattr(search_module, "_seen", lambda image, box: asked.append(box.height) or None)
    hits = [Detection(Box(20 + 90 * (i % 10), 20 + 90 * (i // 10), 40 + i, 40 + i), 0.5, "own") for i in range(60)]
    detector = type("Own", (), {"name": "own", "__call__": lambda self, image: list(hits)})()
    monkeypatch.setattr(registry, "load", lambda name: detector)
    recipe = dataclasses.replace(BALANCED, models=("own",), whole=(960,), halves=False, upscale=1.0, whole_turns=())
    find(preview_of(noise(640, 960)), Size(960, 640), recipe)
    assert 0 < len(asked) <= math.ceil(8 * 960 * 640 / 1e6)
    assert sorted(asked, reverse=True) == asked
