import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from cloak.anonymizer import anonymize
from cloak.decisions import Change, Decisions, apply, check, dump, parse
from cloak.detect import Face
from cloak.errors import DecisionsUnfit, UnknownName, UsageError, VerificationFailed
from cloak.geometry import Box, Ellipse, Region, Size, within
from cloak.metadata.fields import Fields, read_fields
from cloak.metadata.write import xmp_packet
from cloak.photo import open_photo
from cloak.pipeline import load
from cloak.result import Status
from cloak.verify import problems

SIZE = Size(1000, 500)
LEFT, RIGHT = Face(Box(100, 100, 60, 80), 0.9, ("yunet",)), Face(Box(700, 120, 60, 80), 0.8, ("yunet",))
BADGE = Region(Box(300, 300, 50, 30), effect="fill")
FEW = [Box(100 * i, 350, 40, 50) for i in range(4)]
FAST = load("photographer", recall="fast")


def face_at(box):
    return Face(box, 0.9, ("yunet",))


def test_what_nobody_decided_about_stays_concealed():
    made = apply(Decisions(SIZE), 0, [LEFT, RIGHT], SIZE)
    assert (made.faces, made.revealed, made.areas) == ((LEFT, RIGHT), (), ())


def test_a_revealed_face_a_moved_one_and_a_drawn_area_are_told_apart():
    moved = Region(Ellipse(130, 140, 70, 90))
    made = apply(
        Decisions(SIZE, (Change(RIGHT.box), Change(LEFT.box, moved), Change(area=BADGE))), 0, [LEFT, RIGHT], SIZE
    )
    assert (made.faces, made.revealed, made.replaced) == ((), (RIGHT,), (LEFT,))
    assert made.areas == (moved, BADGE)


def test_the_area_of_one_face_does_not_stand_for_the_cover_of_another():
    mouth, other = Change(LEFT.box, Region(Ellipse(130, 150, 15, 15))), replace(LEFT, box=LEFT.box.shifted(9, 0))
    made = apply(Decisions(SIZE, (mouth,), ((LEFT.box,),)), 0, [other], SIZE)
    assert (made.faces, made.replaced, made.areas) == ((other,), (), (mouth.area,))


def test_what_a_person_saw_concealed_and_accepted_stays_so_whatever_is_found_again():
    decisions = Decisions(SIZE, (Change(LEFT.box),), ((LEFT.box, RIGHT.box, *FEW),), "accept")
    wider = replace(RIGHT, box=RIGHT.box.shifted(10, 0))
    found = [LEFT, wider, *map(face_at, FEW[:3])]
    made = apply(decisions, 0, found, SIZE)
    assert made.revealed == (LEFT,)
    assert [face.extent or face.box for face in made.faces] == [RIGHT.box.united(wider.box), *FEW]
    assert made.fits
    assert apply(replace(decisions, verdict=None), 0, found, SIZE) == made  # where an "accept" does not release


@pytest.mark.parametrize(
    ("seen", "found", "fits"),
    [
        ((), [LEFT], True),  # nobody noted what was seen
        (((LEFT.box,),), [LEFT], True),
        (((LEFT.box,),), [], False),
        (((LEFT.box,),), [RIGHT], False),
        (((LEFT.box,),), [LEFT, RIGHT], False),
        (((),), [LEFT], False),
    ],
)
def test_an_acceptance_is_of_the_faces_that_were_seen(seen, found, fits):
    made = apply(Decisions(SIZE, (), seen, "accept"), 0, found, SIZE)
    assert made.fits == fits
    assert {box for frame in seen for box in frame} <= {face.box for face in made.faces}


def test_an_area_is_not_laid_over_a_picture_that_was_cropped_in_its_own_proportions():
    decisions = Decisions(SIZE, (Change(area=BADGE),), ((LEFT.box, RIGHT.box),))
    assert apply(decisions, 0, [LEFT], SIZE).areas == (BADGE,)  # a weaker search
    with pytest.raises(DecisionsUnfit, match="not where they were"):
        apply(decisions, 0, [replace(RIGHT, box=RIGHT.box.shifted(-150, 40))], SIZE)


def test_a_change_is_of_its_own_frame_and_one_without_a_frame_of_all():
    decisions = Decisions(SIZE, (Change(area=BADGE, frame=1), Change(area=BADGE, frame=None)))
    assert [len(apply(decisions, frame, [], SIZE).areas) for frame in (0, 1, 2)] == [1, 2, 1]


def test_decisions_follow_a_re_export_of_another_size():
    half = Size(500, 250)
    faces = [replace(face, box=face.box.scaled(0.5)) for face in (LEFT, RIGHT)]
    made = apply(Decisions(SIZE, (Change(LEFT.box), Change(area=BADGE))), 0, faces, half)
    assert made.revealed == (faces[0],)
    assert made.areas == (BADGE.scaled(0.5),)


@pytest.mark.parametrize(
    ("decisions", "faces", "size"),
    [
        (Decisions(SIZE, (Change(LEFT.box),)), [RIGHT], SIZE),  # nobody stands where the speaker stood
        (Decisions(SIZE, (Change(LEFT.box),), ((LEFT.box, RIGHT.box),)), [LEFT], SIZE),  # the others are missing
        (Decisions(SIZE, (Change(LEFT.box, BADGE),), ((LEFT.box, RIGHT.box),)), [LEFT], SIZE),
        (Decisions(SIZE, (Change(area=BADGE),)), [], Size(500, 500)),  # a crop
    ],
)
def test_decisions_about_another_picture_are_refused(decisions, faces, size):
    with pytest.raises(DecisionsUnfit):
        apply(decisions, 0, faces, size)


def test_a_sidecar_is_read_back_and_holds_places_and_words_only():
    decisions = Decisions(
        SIZE, (Change(LEFT.box), Change(area=BADGE, frame=None)), ((LEFT.box,),), "accept", "", "Ada", "2026-01-01"
    )
    assert parse(dump(decisions)) == decisions
    assert set(json.loads(dump(decisions))) == {
        "cloak_decisions", "size", "changes", "seen", "verdict", "reason", "reviewer", "at",
        "namesake", "akin", "of",
    }  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"\xff", b"{}", b'{"cloak_decisions": 2}', b'{"cloak_decisions": 1, "size": 3}', b"[" * 100_000]
    + [b'{"cloak_decisions": 1, "size": {"width": 1%s, "height": 1}}' % (b"0" * 400)]
    + [
        b'{"cloak_decisions": 1, "size": {"width": 9, "height": 9}, "%s": "\\ud800"}' % text
        for text in (b"reason", b"reviewer", b"at", b"of")
    ]
    + [b'{"cloak_decisions": 1, "size": {"width": 9, "height": 9}, "of": "12:ab:"}']
    + [
        b'{"cloak_decisions": 1, "size": {"width": 9, "height": 9}, "changes": %s}' % changes
        for changes in (
            b"3",
            b"[3]",
            b'[{"area": {"shape": {"x": 1, "y": 1, "width": 2, "height": 2}, "angle": NaN}}]',
            b'[{"area": {"shape": {"x": 1, "y": 1, "width": 2, "height": 2}, "angle": 1e308}}]',
            b"[{}]",
            b'[{"face": {"x": 0, "y": 0, "width": NaN, "height": 1}}]',
            b'[{"face": {"x": 1e99, "y": 0, "width": 1, "height": 1}}]',
            b'[{"area": {"shape": {"x": 0, "y": 0, "width": 1e9, "height": 1}}}]',
            b'[{"area": {"shape": {"cx": 0, "cy": 0, "rx": -1, "ry": 1}}}]',
            b'[{"area": {"shape": {"cx": 0, "cy": 0, "rx": 2, "ry": 2}, "effect": "sepia"}}]',
        )
    ]
    + [
        b'{"cloak_decisions": 1, "size": {"width": 9, "height": 9}, "seen": [[%s]]}' % box
        for box in (
            b'{"x": 0, "y": 0, "width": NaN, "height": 1}',
            b'{"x": 99, "y": 0, "width": 9, "height": 9}',
            b", ".join([b'{"x": 0, "y": 0, "width": 9, "height": 9}'] * 10_001),
        )
    ],
)
def test_a_hostile_sidecar_is_an_error_of_ours(text):
    with pytest.raises(UsageError):
        parse(text)


@pytest.mark.parametrize("effect", ["pixelate", "blur", "perturb"])
def test_an_area_cannot_bring_an_effect_that_its_pipeline_refuses(effect, jpeg):
    own = Change(area=Region(Box(10, 10, 40, 40), effect=effect))
    cms = load("cms", recall="fast")
    with pytest.raises(DecisionsUnfit, match=f"'{effect}'; its pipeline permits only decoy, fill"):
        anonymize(jpeg(), cms, decisions=Decisions(open_photo(jpeg()).size, (own,), verdict="accept"))


def test_an_unknown_effect_names_the_known_ones():
    with pytest.raises(UnknownName, match="known: blur"):
        check(Decisions(SIZE, (Change(area=replace(BADGE, effect="sepia")),)))


@pytest.fixture(scope="module")
def group(samples):
    data = (samples / "group.jpg").read_bytes()
    return data, anonymize(data, FAST, key=b"k")


def pixels(data):
    return open_photo(data).preview(1).astype(int)


def window(pixels, box):
    return pixels[int(box.y) : int(box.bottom), int(box.x) : int(box.right)]


def test_a_revealed_face_is_identical_to_the_original_and_the_others_are_not(group):
    data, plain = group
    speaker, *others = plain.report.detections[0]
    decisions = Decisions(plain.report.size, (Change(speaker.box),), verdict="accept")
    result = anonymize(data, FAST, key=b"k", decisions=decisions)
    assert result.report.revealed == ((speaker,),)
    assert result.report.faces == len(others)
    assert np.array_equal(window(pixels(result.data), speaker.box), window(pixels(data), speaker.box))
    for face in others:
        assert np.abs(window(pixels(result.data), face.box) - window(pixels(data), face.box)).mean() > 5
    regions = result.regions
    assert problems(result.data, FAST.recipe, FAST.limits, regions, frozenset(FAST.keep)) == ["1 bare faces"]
    assert problems(result.data, FAST.recipe, FAST.limits, regions, frozenset(FAST.keep), [[speaker]]) == []


@pytest.mark.parametrize("hidden", [True, False])
def test_permission_to_leave_a_face_bare_is_of_the_one_that_a_viewer_shows(group, hidden):
    data, plain = group
    one, other = (
        cv2.resize(window(pixels(data), face.box.grown(2)).astype(np.uint8), (240, 300))
        for face in plain.report.detections[0][:2]
    )
    ramp = np.tile(np.linspace(0, 255, 240), (300, 1))
    alpha = (120 + 115 / 255 * (other.mean(axis=2) if hidden else ramp)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(np.dstack([one, alpha])).save(buffer, "PNG")
    png = buffer.getvalue()
    assert len(open_photo(png).renderings()) > 1
    face = max(anonymize(png, FAST).report.detections[0], key=lambda face: face.box.area)
    decisions = Decisions(Size(240, 300), (Change(face.box),), ((face.box,),), verdict="accept")
    result = anonymize(png, FAST, decisions=decisions)
    report = result.report
    assert [len(frame) for (frame,) in (report.detections, report.revealed, report.ambiguous)] == [
        hidden,
        not hidden,
        hidden,
    ]
    assert report.needs_review == hidden
    published = np.asarray(Image.open(io.BytesIO(result.data)))
    assert np.array_equal(window(published, face.box), window(np.dstack([one, alpha]), face.box)) != hidden
    assert problems(result.data, FAST.recipe, FAST.limits, result.regions, frozenset(FAST.keep), report.revealed) == []


def test_a_drawn_area_has_its_own_effect_also_where_it_overlaps_a_face(group):
    data, plain = group
    face = plain.report.detections[0][0]
    area = Region(Box(face.box.x, face.box.bottom - 10, 80, 40), effect="fill")
    decisions = Decisions(plain.report.size, (Change(area=area),), verdict="accept")
    result = anonymize(data, FAST, key=b"k", decisions=decisions)
    assert result.report.areas == ((area,),)
    assert window(pixels(result.data), area.shape).std(axis=(0, 1)).max() < 3
    assert np.abs(window(pixels(result.data), face.box) - window(pixels(data), face.box)).mean() > 5


def test_a_face_whose_area_was_moved_away_is_concealed_again(group):
    data, plain = group
    face = plain.report.detections[0][0]
    away = Change(face.box, Region(Box(2, 2, 20, 20)))
    result = anonymize(data, FAST, key=b"k", decisions=Decisions(plain.report.size, (away,), verdict="accept"))
    bare = pixels(data)
    assert np.abs(window(pixels(result.data), face.box) - window(bare, face.box)).mean() > 5


def test_what_was_seen_and_is_not_found_is_concealed_and_the_photo_not_called_accepted(group):
    data, plain = group
    lost = (Box(10, 10, 60, 80), Box(1180, 10, 60, 80))
    seen = tuple(face.box for face in plain.report.detections[0])
    decisions = Decisions(plain.report.size, (), ((*seen, *lost),), verdict="accept")
    result = anonymize(data, FAST, key=b"k", decisions=decisions)
    assert (result.report.faces, result.report.accepted) == (6, False)
    for box in lost:
        assert not np.array_equal(window(pixels(result.data), box), window(pixels(data), box))


def test_every_face_revealed_is_a_state_of_its_own(group):
    data, plain = group
    changes = tuple(Change(face.box) for face in plain.report.detections[0])
    result = anonymize(data, FAST, decisions=Decisions(plain.report.size, changes, verdict="accept"))
    assert result.report.status is Status.REVEALED
    assert np.array_equal(pixels(result.data), pixels(data))


def test_an_effect_that_does_nothing_to_a_drawn_area_withholds_the_photo(group, monkeypatch):
    data, plain = group
    face = plain.report.detections[0][0]
    area = Region(within(Ellipse(*face.box.center, face.box.width / 2, face.box.height / 2)))
    changes = (*(Change(f.box) for f in plain.report.detections[0]), Change(area=area))
    monkeypatch.setattr("cloak.effects.paint", lambda pixels, *_: pixels)
    with pytest.raises(VerificationFailed, match="still there"):
        anonymize(data, FAST, decisions=Decisions(plain.report.size, changes, verdict="accept"))


@pytest.mark.parametrize("photo", ["group.jpg", "landscape.jpg"])
def test_a_photo_that_must_be_reviewed_waits_for_a_verdict(samples, photo):
    data, required = (samples / photo).read_bytes(), load("newsroom", recall="fast")
    held = anonymize(data, required)
    assert (held.report.status, held.data, held.report.needs_review) == (Status.HELD, None, True)
    size = held.report.size
    assert anonymize(data, required, decisions=Decisions(size)).data is None
    accepted = anonymize(data, required, decisions=Decisions(size, verdict="accept"))
    assert accepted.data is not None
    assert not accepted.report.needs_review
    assert anonymize(data, FAST, decisions=Decisions(size, verdict="hold")).data is None


@pytest.mark.parametrize("changes", [(), (Change(area=Region(Box(300, 200, 80, 80))),)])
def test_what_a_person_released_keeps_its_caption_and_says_that_faces_are_obscured(samples, changes):
    original = io.BytesIO()
    xmp = xmp_packet(Fields(caption="A launch at night", credit="The Daily", headline="Up"))
    Image.open(samples / "landscape.jpg").save(original, "JPEG", xmp=xmp)
    newsroom = load("newsroom", recall="fast")
    newsroom = replace(
        newsroom, keep=(*newsroom.keep, "disclosure"), disclosure="Faces in this image have been obscured."
    )
    made = anonymize(original.getvalue(), newsroom, decisions=Decisions(Size(640, 427), changes, verdict="accept"))
    kept = read_fields(made.data, frozenset({"caption", "credit", "headline"}))
    said = " Faces in this image have been obscured." if changes else ""
    assert (kept.caption, kept.credit, kept.headline) == (
        f"A launch at night{'.' if said else ''}{said}",
        "The Daily",
        None,
    )


def area_on(frame):
    return Change(area=Region(Box(0, 0, 20, 20), effect="fill"), frame=frame)


def test_an_area_on_a_picture_that_the_file_does_not_have_withholds_it(samples):
    pages = [Image.open(samples / "landscape.jpg").resize((320, 214)), Image.new("RGB", (320, 214), "white")]
    whole, first = io.BytesIO(), io.BytesIO()
    pages[0].save(whole, "TIFF", save_all=True, append_images=pages[1:])
    pages[0].save(first, "TIFF")
    decided = Decisions(Size(320, 214), (area_on(1),), verdict="accept")
    assert anonymize(whole.getvalue(), FAST, decisions=decided).report.status is Status.CONCEALED
    with pytest.raises(DecisionsUnfit, match="a picture that this file does not have"):
        anonymize(first.getvalue(), FAST, decisions=decided)
    for frame in (-1, 10**30):
        with pytest.raises(UsageError, match="no picture of a file"):
            check(replace(decided, changes=(area_on(frame),)))


def test_the_disclosure_says_what_was_concealed(samples):
    """Faces, or only what a person drew; nothing where what was drawn lies beside the picture."""
    settings = load("photographer", keep=["caption", "disclosure"], recall="fast")
    data = (samples / "landscape.jpg").read_bytes()
    size = Size(640, 427)
    for shape, status, said in (
        (Box(10, 10, 60, 60), Status.CONCEALED, "Areas of this photo have been concealed."),
        (Ellipse(-75, -75, 100, 100), Status.NO_FACE, None),  # its bounds touch the picture, itself does not
    ):
        made = anonymize(data, settings, decisions=Decisions(size, (Change(area=Region(shape)),)))
        assert (made.report.status, read_fields(made.data, frozenset({"caption"})).caption) == (status, said)
    portrait = (samples / "located.jpg").read_bytes()
    made = anonymize(portrait, replace(settings, keep=("disclosure",)))
    assert read_fields(made.data, frozenset({"caption"})).caption == "Faces in this photo have been concealed."
    (face,) = made.report.detections[0]
    bare = Decisions(made.report.size, (Change(face.box), area_on(0)))
    made = anonymize(portrait, replace(settings, keep=("disclosure",)), decisions=bare)
    assert read_fields(made.data, frozenset({"caption"})).caption == "Areas of this photo have been concealed."
