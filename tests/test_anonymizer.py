import io
from dataclasses import replace

import numpy as np
import pillow_heif
import pytest
from PIL import Image

import cloak
from cloak import anonymizer, effects, metadata
from cloak.anonymizer import anonymize
from cloak.decisions import Change, Decisions
from cloak.detect import RECIPES, Detection, registry
from cloak.errors import (
    ConcealmentFailed,
    Corrupt,
    DetectionFailed,
    Held,
    NotAnImage,
    TooLarge,
    Unsupported,
    VerificationFailed,
    Withheld,
)
from cloak.geometry import Region, Size
from cloak.inspection import inspect
from cloak.masks import draw
from cloak.metadata.shaper import D65, Power, primaries, rgb_profile
from cloak.photo import Limits
from cloak.pipeline import load
from cloak.result import Status
from cloak.verify import COVERED, covered, problems

SAMPLES = ["close.jpg", "crowd.jpg", "cutout.png", "group.jpg", "located.jpg", "portrait.webp", "turned.jpg"]


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


@pytest.mark.parametrize("pipeline", ["photographer", "newsroom", "cms"])
@pytest.mark.parametrize("name", SAMPLES)
def test_every_listed_face_of_the_samples_is_under_a_mask(samples, expected, name, pipeline):
    result = anonymize((samples / name).read_bytes(), load(pipeline, review="optional"))
    assert result.report.status is Status.CONCEALED
    size = result.report.size
    assert [size.width, size.height] == expected[name]["size"]
    masks = draw(result.regions[0], size)
    for box in expected[name]["faces"]:
        assert covered(cloak.Box(*box), masks, size) >= 0.9


@pytest.mark.parametrize("name", [*SAMPLES, "landscape.jpg"])
def test_nothing_but_pixels_is_in_the_samples_published(samples, name):
    result = anonymize((samples / name).read_bytes(), "cms")
    kinds = {part.kind for part in metadata.read(result.data).parts}
    assert kinds <= {metadata.Kind.STRUCTURE, metadata.Kind.PIXELS, metadata.Kind.COLOUR}
    assert result.report.verified == ("container", "residue", "decodes", "concealed", "faces")


def test_somebody_without_a_face_is_flagged_and_not_concealed(behind):
    result = anonymize(behind, "photographer")
    report = result.report
    assert (report.status, report.faces, report.doubtful) == (Status.NO_FACE, 0, ((),))
    ((head,),) = report.faceless
    assert report.needs_review
    assert result.regions == ((),)
    off = anonymize(behind, load("photographer", persons=False)).report
    assert (off.faceless, off.needs_review) == (((),), False)
    assert head.box.height > 100


@pytest.mark.parametrize("settings", [load("photographer"), load("newsroom", review="optional")], ids=lambda s: s.name)
@pytest.mark.parametrize("name", [*SAMPLES, "landscape.jpg"])
def test_nobody_in_the_samples_is_without_a_face(samples, name, settings):
    assert anonymize((samples / name).read_bytes(), settings).report.faceless == ((),)


def test_a_head_that_a_person_had_concealed_is_not_flagged_any_more(behind):
    ((head,),) = anonymize(behind, "newsroom").report.faceless
    area = Region(head.box.grown(1.3))
    decisions = Decisions(Size(912, 740), (Change(area=area),))
    held = anonymize(behind, "newsroom", decisions=decisions)
    assert (held.data, held.report.faceless) == (None, ((),))
    released = anonymize(behind, "newsroom", decisions=replace(decisions, verdict="accept"))
    assert area in released.regions[0]
    assert not released.report.needs_review


def test_who_looked_and_left_somebody_as_they_are_is_not_asked_again(behind):
    accepted = anonymize(behind, "newsroom", decisions=Decisions(Size(912, 740), verdict="accept"))
    assert len(accepted.report.faceless[0]) == 1
    assert not accepted.report.needs_review


@pytest.mark.parametrize(
    ("chosen", "verdict", "words", "step"),
    [
        ({}, "hold", "a person held it back", "decide anew"),
        ({"review": "required"}, "hold", "a person held it back", "decide anew"),
        ({"review": "required"}, None, "before a person has accepted it", 'without review = "required"'),
        ({"review": "required", "no_face": "hold"}, None, "before a person has accepted it", "Accept it"),
        ({"no_face": "hold"}, None, "no face was found", "no_face"),
    ],
)
def test_a_held_photo_says_why_it_is_held(landscape, chosen, verdict, words, step):
    decisions = Decisions(Size(912, 740), verdict=verdict)
    result = anonymize(landscape, load("photographer", recall="fast", **chosen), decisions=decisions)
    with pytest.raises(Held, match=words) as caught:
        result.published()
    assert step in caught.value.next_step


def test_a_photo_without_faces_is_its_own_state(landscape):
    published = anonymize(landscape, "photographer")
    assert published.report.status is Status.NO_FACE
    assert published.data is not None
    held = anonymize(landscape, "newsroom")
    assert held.report.status is Status.HELD
    assert held.data is None
    assert held.report.needs_review


def test_the_same_key_gives_the_same_bytes_and_another_key_other_ones(jpeg):
    data = jpeg()
    one = anonymize(data, "photographer", key=b"k")
    assert one.data == anonymize(data, "photographer", key=b"k").data
    assert one.data != anonymize(data, "photographer", key=b"other").data
    assert anonymize(data).data != anonymize(data).data


def test_every_picture_of_a_heic_is_concealed(portrait):
    first = Image.fromarray(portrait)
    file, out = pillow_heif.from_pillow(first), io.BytesIO()
    file.add_from_pillow(first.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    file.save(out, quality=90)
    result = anonymize(out.getvalue(), load("photographer", recall="fast"))
    assert [len(faces) for faces in result.report.detections] == [1, 1]
    written = pillow_heif.open_heif(io.BytesIO(result.data))
    assert len(written) == 2
    assert problems(result.data, RECIPES["fast"], Limits(), result.regions, frozenset()) == []


def test_pixels_outside_the_masks_stay(portrait):
    buffer = io.BytesIO()
    Image.fromarray(portrait).save(buffer, "PNG")
    result = anonymize(buffer.getvalue())
    size = result.report.size
    outside = np.ones((size.height, size.width), bool)
    for mask in draw(result.regions[0], size, feather=0.06):
        outside[mask.window()] &= mask.weight == 0
    assert outside.any()
    assert np.array_equal(pixels(result.data)[outside], portrait[outside])


def test_concealed_pixels_say_nothing_of_the_face_under_a_decoy(portrait):
    """Two photos that differ only inside the mask's core are published alike."""

    def publish(array, faces):
        buffer = io.BytesIO()
        Image.fromarray(array).save(buffer, "PNG")
        photo = anonymizer.open_photo(buffer.getvalue())
        masks = [draw(faces, photo.size)]
        noise = effects.Noise(b"k")
        paint = lambda window, mask, frame: effects.conceal(window, mask, effects.Decoy(), noise)  # noqa: E731
        return photo.conceal(masks, paint, anonymizer.Output()).data

    buffer = io.BytesIO()
    Image.fromarray(portrait).save(buffer, "PNG")
    faces = anonymize(buffer.getvalue()).regions[0]
    other = portrait.copy()
    for mask in draw(faces, Size(portrait.shape[1], portrait.shape[0])):
        other[mask.window()][mask.core] = np.random.default_rng(1).integers(0, 256, (mask.core.sum(), 3))
    assert not np.array_equal(other, portrait)
    assert publish(portrait, faces) == publish(other, faces)


class Raises:
    name = "yunet"

    def __call__(self, image):
        raise RuntimeError("secret words of a detector")


class Finds:
    """A detector that answers what it is told, in order, then nothing."""

    name = "yunet"

    def __init__(self, *answers):
        self.answers = list(answers)

    def __call__(self, image):
        return self.answers.pop(0) if self.answers else []


def with_detector(monkeypatch, detector):
    monkeypatch.setattr(registry, "load", lambda name: detector)


def test_a_failing_detector_withholds_the_photo_and_keeps_its_words(monkeypatch, jpeg):
    with_detector(monkeypatch, Raises())
    with pytest.raises(DetectionFailed) as caught:
        anonymize(jpeg())
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_detector_that_answers_nonsense_withholds_the_photo(monkeypatch, jpeg, score):
    with_detector(monkeypatch, Finds([Detection(cloak.Box(1, 1, 20, 20), score, "yunet")]))
    with pytest.raises(DetectionFailed):
        anonymize(jpeg())


def test_an_effect_that_does_nothing_is_noticed_on_the_published_bytes(monkeypatch, jpeg):
    monkeypatch.setattr(anonymizer.effects, "paint", lambda window, mask, effect, feather, noise: window)
    with pytest.raises(VerificationFailed):
        anonymize(jpeg())


def test_a_mask_that_is_lost_withholds_the_photo(monkeypatch, jpeg):
    monkeypatch.setattr(anonymizer, "draw", lambda *_, **__: [])
    with pytest.raises(ConcealmentFailed, match="1 of 1 areas to conceal lie under no mask"):
        anonymize(jpeg(), load("cms", recall="fast"))


def test_an_effect_of_the_wrong_shape_withholds_the_photo(monkeypatch, jpeg):
    monkeypatch.setattr(anonymizer.effects, "paint", lambda window, mask, effect, feather, noise: window[:-1])
    with pytest.raises(Withheld):
        anonymize(jpeg())


def test_metadata_that_an_encoder_lets_through_is_noticed(monkeypatch, jpeg):
    real = anonymizer.open_photo

    class Careless:
        def __init__(self, photo):
            self.photo = photo

        def __getattr__(self, name):
            return getattr(self.photo, name)

        def conceal(self, masks, paint, output):
            made = self.photo.conceal(masks, paint, output)
            comment = b"\xff\xfe\x00\x10camera of Jane"
            return anonymizer.Encoded(made.data[:2] + comment + made.data[2:], made.path)

    opened = []

    def careless(data, limits, **options):
        opened.append(data)
        photo = real(data, limits, **options)
        return Careless(photo) if len(opened) == 1 else photo

    monkeypatch.setattr(anonymizer, "open_photo", careless)
    with pytest.raises(VerificationFailed, match="COM"):
        anonymize(jpeg())


def test_a_face_that_the_second_look_finds_is_concealed_in_another_round(monkeypatch, jpeg):
    missed = cloak.detect.Face(cloak.Box(5, 5, 40, 40), 0.9, ("yunet",))
    answers = [(missed,), ()]
    real = anonymizer.check_faces

    def check(*arguments):
        real(*arguments)
        return answers.pop(0) if answers else ()

    monkeypatch.setattr(anonymizer, "check_faces", check)
    result = anonymize(jpeg())
    assert missed in result.report.detections[0]
    assert covered(missed.box, draw(result.regions[0], result.report.size), result.report.size) >= COVERED


@pytest.fixture(params=["colour", "alpha"])
def transparent(request, portrait):
    """A PNG whose face is not to be seen over grey: its colour under hardly any alpha, or alpha alone holds it."""
    flat = np.full_like(portrait, 128)
    samples = {
        "colour": np.dstack([portrait, flat[..., 0] // 128]),
        "alpha": np.dstack([flat, np.maximum(portrait[..., 1], 1)]),
    }
    buffer = io.BytesIO()
    Image.fromarray(samples[request.param]).save(buffer, "PNG")
    return buffer.getvalue()


def test_a_face_that_transparency_hides_is_concealed(transparent):
    result = anonymize(transparent, load("cms", recall="fast"))
    assert (result.report.status, result.report.faces) == (Status.CONCEALED, 1)
    assert problems(result.data, RECIPES["fast"], Limits(), result.regions, frozenset()) == []


def test_a_face_that_transparency_hides_fails_the_second_look(transparent):
    assert "1 bare faces" in problems(transparent, RECIPES["fast"], Limits(), [()], frozenset())
    assert len(inspect(transparent, "fast").faces) == 1


def test_a_face_that_only_resampling_brings_out_of_transparency_is_concealed(portrait):
    large = portrait.repeat(2, 0).repeat(2, 1)
    alpha = np.zeros(large.shape[:2], np.uint8)
    alpha[1::4, 1::4] = 255  # in squares, neither hidden nor soft
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([large, alpha])).save(buffer, "PNG")
    report = anonymize(buffer.getvalue(), load("cms", recall="fast", resize=max(alpha.shape) // 4)).report
    assert (report.status, report.faces) == (Status.CONCEALED, 1)


def test_colours_that_were_converted_are_searched_anew(monkeypatch, portrait):
    white, red, green, blue = D65, (0.60, 0.35), (0.35, 0.55), (0.16, 0.10)
    odd = rgb_profile("odd", primaries((white, red, green, blue)), [Power(1.7)] * 3, white)
    real, unseen = anonymizer.check_faces, []
    bare = cloak.detect.Face(cloak.Box(5, 5, 40, 40), 0.9, ("yunet",))

    def check(*arguments):
        unseen.append(arguments[-1])
        return (*real(*arguments), *([bare] if len(unseen) == 1 else []))

    monkeypatch.setattr(anonymizer, "check_faces", check)
    buffer = io.BytesIO()
    Image.fromarray(portrait).save(buffer, "PNG", icc_profile=odd)
    assert any("converted" in note for note in anonymize(buffer.getvalue(), "cms").report.notes)
    assert unseen == [True, False]  # the second time only what was painted is new


def test_a_face_that_stays_bare_withholds_the_photo(monkeypatch, jpeg):
    bare = cloak.detect.Face(cloak.Box(5, 5, 40, 40), 0.9, ("yunet",))
    monkeypatch.setattr(anonymizer, "check_faces", lambda *arguments: (bare,))
    with pytest.raises(VerificationFailed, match="bare"):
        anonymize(jpeg())


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (b"", NotAnImage),
        (b"words", NotAnImage),
        (b"\xff\xd8\xff", Corrupt),
        (b"8BPS" + bytes(100), Unsupported),
    ],
)
def test_what_is_no_photo_is_withheld(data, error):
    with pytest.raises(error):
        anonymize(data)


@pytest.mark.parametrize("name", ["group.jpg", "cutout.png", "portrait.webp"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_truncated_photo_is_withheld(samples, name, share):
    data = (samples / name).read_bytes()
    with pytest.raises(Withheld):
        anonymize(data[: int(len(data) * share)])


def test_the_limit_on_pixels_holds(samples):
    with pytest.raises(TooLarge):
        anonymize((samples / "group.jpg").read_bytes(), load("photographer", limits={"pixels": 1000}))


def test_the_report_holds_no_values_of_the_metadata(samples):
    import msgspec

    data = (samples / "located.jpg").read_bytes()
    said = [fact.value for part in metadata.read(data).parts for fact in part.facts if len(fact.value) > 4]
    assert said
    report = msgspec.json.encode(anonymize(data, "cms").report).decode()
    assert not [value for value in said if value in report]
    assert "APP1 Exif" in report


def test_fields_are_kept_only_when_asked_for(jpeg):
    import piexif

    main, place = {0x8298: b"Jane Roe 2024", 0x010F: b"ACME"}, {1: b"N", 2: ((48, 1), (1, 1), (1, 1))}
    exif = piexif.dump({"0th": main, "GPS": place})
    data = jpeg(exif=exif)
    assert b"Jane Roe" not in anonymize(data, "cms").data
    result = anonymize(data, load("cms", keep=["icc", "copyright"]))
    assert b"Jane Roe 2024" in result.data
    assert b"ACME" not in result.data
    assert result.report.kept == ("copyright",)
    names = [part.name for part in metadata.read(result.data).parts]
    assert not [name for name in names if "GPS" in name]


def test_a_conceal_error_is_withheld(monkeypatch, jpeg):
    def fail(window, mask, effect, feather, noise):
        raise ConcealmentFailed("no")

    monkeypatch.setattr(anonymizer.effects, "paint", fail)
    with pytest.raises(ConcealmentFailed):
        anonymize(jpeg())


@pytest.mark.parametrize("name", ["jpeg", "png", "webp", "tiff", "gif", "heif"])
def test_a_manifest_that_was_removed_is_said(name):
    from cloak.anonymizer import MANIFEST_LEFT
    from tests.plant import PLANTED

    assert MANIFEST_LEFT in anonymize(PLANTED[name]()[0], load("cms", recall="fast")).report.notes


def test_the_frames_of_an_animation_do_not_average_out_the_noise(samples):
    with Image.open(samples / "portrait.webp") as image:
        frames = [image.convert("RGB").resize((200, 250)) for _ in range(3)]
    for number, frame in enumerate(frames):
        frame.putpixel((number, 0), (255, 0, 0))
    buffer = io.BytesIO()
    frames[0].save(buffer, "PNG", save_all=True, append_images=frames[1:], duration=40)
    result = anonymize(buffer.getvalue(), load("photographer", recall="fast"))
    assert result.report.status is Status.CONCEALED
    mask = draw(result.regions[0], result.report.size)[0]
    published = cloak.photo.open_photo(result.data)
    shown = np.stack([published.preview(1, frame)[mask.window()].astype(int) for frame in range(3)])
    assert np.abs(shown - shown[0]).max() <= 2
