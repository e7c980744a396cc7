"""The native modules by themselves: exact on sound data, an error and no more on any other."""

import cv2
import numpy as np
import pytest
import simplejpeg
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cloak.errors import VerificationFailed
from cloak.geometry import Ellipse, Region, Size
from cloak.masks import draw
from cloak.photo import jpeg, jpeg_huffman, jpeg_write
from cloak.photo.base import Limits, Output
from cloak.photo.jpeg_check import check_scan
from cloak.photo.jpeg_header import ZIGZAG, Component, Huffman, parse
from cloak.photo.jpeg_layout import Layout

pytestmark = pytest.mark.skipif(jpeg.engine() != "native", reason="the native part is not built")
if jpeg.engine() == "native":
    from cloak.photo import _check, _dct, _loud, _stream, jpeg_coded, jpeg_scans

NATURAL = np.array(ZIGZAG, np.int32)


def data(width: int = 96, height: int = 64, *options: int) -> bytes:
    rng = np.random.default_rng(3)
    pixels = np.clip(rng.normal(128, 50, (height, width, 3)), 0, 255).astype(np.uint8)
    ok, made = cv2.imencode(".jpg", pixels, options)
    assert ok
    return bytes(made)


@pytest.mark.parametrize("interval", [0, 1, 5])
def test_copying_without_changes_gives_the_same_bytes(interval: int) -> None:
    before = data(97, 65, cv2.IMWRITE_JPEG_RST_INTERVAL, interval)
    header = parse(before, Limits())
    source = jpeg_coded.index(before, header)
    after = source.write(jpeg_coded.no_changes(source.layout), 1).behind(b"\xff\xd8")
    (a,), (b,) = header.scans, parse(after, Limits()).scans
    assert before[a.start : a.end] == after[b.start : b.end]


@pytest.mark.parametrize("interval", [0, 1, 5])
def test_replacing_mcus_by_themselves_gives_the_same_bytes(interval: int) -> None:
    before = data(97, 65, cv2.IMWRITE_JPEG_RST_INTERVAL, interval)
    header = parse(before, Limits())
    source = jpeg_coded.index(before, header)
    same = source.write(jpeg_coded.no_changes(source.layout), 1).behind(b"")
    count = source.layout.mcus
    for chosen in ([0], [count - 1], [3, 4, 9], range(0, count, 2), range(count)):
        mcus = np.array(list(chosen), np.int64)
        assert source.write(jpeg_coded.Changes(mcus, source.read(mcus)), 1).behind(b"") == same


def test_sequential_and_general_readers_agree() -> None:
    before = data(97, 65, cv2.IMWRITE_JPEG_RST_INTERVAL, 4)
    header = parse(before, Limits())
    source = jpeg_coded.index(before, header)
    every = np.arange(source.layout.mcus)
    assert np.array_equal(source.read(every), jpeg_scans.planes(before, header).read(every))


def test_restart_markers_must_count() -> None:
    before = data(97, 65, cv2.IMWRITE_JPEG_RST_INTERVAL, 3)
    for bad in (before.replace(b"\xff\xd1", b"\xff\xd2", 1), before.replace(b"\xff\xd1", b"", 1)):
        with pytest.raises(jpeg_coded.Unable):
            jpeg_coded.index(bad, parse(bad, Limits()))


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=1, max_size=300), st.integers(1, 40))
def test_any_bytes_are_data_or_damage(entropy: bytes, width: int) -> None:
    """Entropy-coded data of nothing but chance, behind a sound header."""
    whole = data(8 * width, 24)
    scan = parse(whole, Limits()).scans[0]
    odd = whole[: scan.start] + entropy.replace(b"\xff", b"\xff\0") + b"\xff\xd9"
    header = parse(odd, Limits())
    try:
        found = jpeg_coded.index(odd, header)
    except jpeg_coded.Unable:
        return
    assert len(found.read(np.arange(found.layout.mcus))) == found.layout.mcus
    written = found.write(jpeg_coded.no_changes(found.layout), 1).parts[1]
    # All bits but those that fill the last byte are the data's own.
    assert bytes(written[:-1]) == odd[scan.start :][: len(written) - 1]


def with_coefficients(step: int, rows: np.ndarray) -> tuple[bytes, np.ndarray]:
    """A grey baseline JPEG of these blocks beside one another, zigzag order, and the steps: those of AC rise."""
    quant = (step, *(step + k // 8 for k in range(1, 64)))
    grid = Layout(Size(8 * len(rows), 8), (Component(1, 1, quant),))
    planes = jpeg_coded.Planes(grid, rows[:, None].astype(np.int16))
    return planes.write(jpeg_coded.no_changes(grid), 1).behind(jpeg_write.start("grey")), np.array(quant)


def refused(made: bytes) -> list[bool]:
    """By the reader of what is edited in place, that of several scans, and the second look."""
    header, out = parse(made, Limits()), []
    for look in (
        lambda: jpeg_coded.index(made, header),
        lambda: jpeg_scans.planes(made, header),
        lambda: check_scan(made),
    ):
        try:
            look()
            out.append(False)
        except (jpeg_coded.Unable, VerificationFailed):
            out.append(True)
    return out


def waves(n: int) -> np.ndarray:
    """(64, n * n): the samples that a coefficient of 1, in zigzag order, gives a picture of n eighths."""
    k = np.arange(8)[:, None]
    cosines = np.sqrt(np.where(k, 2, 1) / 8) * np.cos((2 * np.arange(n) + 1) * k * np.pi / (2 * n)) * (k < n)
    return np.kron(cosines, cosines)[NATURAL]


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 200), st.integers(1, 64), st.floats(0.2, 2))
def test_blocks_that_decoders_do_not_agree_on_are_refused_and_no_others(
    seed: int, step: int, n: int, part: float
) -> None:
    rng = np.random.default_rng(seed)
    rows = np.zeros((3, 64))
    rows[1, rng.permutation(64)[:n]] = rng.normal(0, 2048 * part / step / n**0.5, n)
    rows = np.clip(rows, -1000, 1000).round()
    made, quant = with_coefficients(step, rows)
    values = rows[1] * quant
    around = (values[1:] ** 2).sum()
    room = max(500 - abs(values[0]) / 8, 0)
    farthest = max(np.abs(values @ waves(n)).max() for n in (8, 4, 2))
    assume(abs(farthest - 500) > 1e-2)
    loud = (values**2).sum() > 2048**2 or (around > 3 * room**2 and farthest > 500)
    assert refused(made) == [loud] * 3


def test_what_wraps_around_is_in_no_published_file() -> None:
    """Samples of 530, of less energy than was refused before: vector code shows white, libjpeg's C code black."""
    block = np.zeros(64)
    block[::11] = 530  # and what lets the search see a mean of grey
    block[1::11] = -128
    rows = np.tile(waves(8) @ block, (64, 1)) / 2
    quant = (2,) * 64
    planes = jpeg_coded.Planes(Layout(Size(512, 8), (Component(1, 1, quant),)), np.rint(rows)[:, None].astype(np.int16))
    made = planes.write(jpeg_coded.no_changes(planes.layout), 1).behind(jpeg_write.start("grey"))
    assert refused(made) == [True] * 3
    after = jpeg.open_jpeg(made, Limits()).conceal([[]], lambda pixels, mask, frame: pixels, Output())
    assert after.path == "re-encoded"
    assert refused(after.data) == [False] * 3


def test_rounding_to_odd_steps_leaves_nothing_that_decoders_do_not_agree_on() -> None:
    """A pattern is painted over steps that nearly double half of its coefficients, and drop the others."""
    basis = waves(8)
    some = basis[np.random.default_rng(0).random(64) < 0.5]
    pattern = np.where(some[:, 0] @ some > 0, 255, 0).astype(np.uint8).reshape(8, 8)
    found = basis @ (pattern.ravel() - 128.0)
    steps = np.where(found * basis[:, 0] > 0, 1.9 * np.abs(found), 3 * np.abs(found) + 1).astype(int)
    grid = Layout(Size(64, 64), (Component(1, 1, tuple(steps.clip(1).tolist())),))
    planes = jpeg_coded.Planes(grid, np.zeros((64, 1, 64), np.int16))
    made = planes.write(jpeg_coded.no_changes(grid), 1).behind(jpeg_write.start("grey"))
    assert refused(made) == [False] * 3
    masks = draw([Region(Ellipse(32, 32, 16, 16))], Size(64, 64))
    window = masks[0].window()
    painted = np.tile(pattern, (8, 8))[window][..., None]
    after = jpeg.open_jpeg(made, Limits()).conceal([masks], lambda pixels, mask, frame: painted, Output())
    assert after.path == "re-encoded"
    assert refused(after.data) == [False] * 3


@pytest.mark.parametrize("place", [0, 1])
def test_what_16_bit_arithmetic_drops_is_in_no_published_file(place: int) -> None:
    """libjpeg-turbo shows a flat grey; a decoder that clips shows black and white."""
    rows = np.zeros((64, 64))
    rows[::2, place], rows[1::2, place] = 512, -512
    made, _ = with_coefficients(128, rows)
    assert np.ptp(simplejpeg.decode_jpeg(made, "GRAY")) == 0
    assert refused(made) == [True] * 3
    after = jpeg.open_jpeg(made, Limits()).conceal([[]], lambda pixels, mask, frame: pixels, Output())
    assert after.path == "re-encoded"
    assert refused(after.data) == [False] * 3


def no_tables() -> list[np.ndarray]:
    look, near = (np.zeros((1, n), np.uint16) for n in (65536, 1024))
    return [*([np.zeros(1, np.int32)] * 3), look, near, np.zeros((1, 4096), np.uint32)]


def test_arrays_that_do_not_fit_are_refused() -> None:
    good = [np.zeros(300, np.uint8), *(np.zeros(1, np.uint64) for _ in range(2))]
    tables = no_tables()
    places = [np.zeros(1, np.uint64), np.zeros(1, np.uint64), np.zeros((1, 4), np.int32), np.zeros((1, 64), np.int16)]
    places.append(np.ones((1, 64), np.int32))
    _stream.Stream(*good, *tables, 1, *places)
    for i, bad in ((2, np.ones(1, np.int32)), (3, np.zeros((1, 100), np.uint16)), (0, np.full(1, 4, np.int32))):
        with pytest.raises(ValueError, match=r"out of range|fit"):
            _stream.Stream(*good, *tables[:i], bad, *tables[i + 1 :], 1, *places)
    with pytest.raises(_stream.Damaged):
        _stream.unstuff(b"abc", np.zeros(10, np.uint8), np.zeros(1, np.uint64), np.zeros(1, np.uint64))
    one, steps, plane = np.zeros((1, 1, 64), np.int16), np.ones(64, np.int32), np.zeros((8, 8), np.uint8)
    fits = [one, 0, steps, NATURAL, plane, 1, 1]
    _dct.samples(*fits)
    for i, bad in ((0, one[..., 1:].copy()), (1, 1), (1, -1), (2, steps[1:]), (4, plane[1:]), (5, 2), (6, 0)):
        with pytest.raises(ValueError, match="fit"):
            _dct.samples(*fits[:i], bad, *fits[i + 1 :])
    fits = [plane, np.zeros(1, np.int64), 0, steps, NATURAL, one, 1, 1]
    _dct.coefficients(*fits)
    for i, bad in ((0, plane[1:]), (1, np.ones(1, np.int64)), (1, np.zeros(2, np.int64)), (2, 1), (4, NATURAL[1:])):
        with pytest.raises(ValueError, match=r"fit|outside"):
            _dct.coefficients(*fits[:i], bad, *fits[i + 1 :])
    with pytest.raises(ValueError, match="fit"):
        _loud.tame(one, np.ones((2, 64), np.int32))
    zero, quant = np.zeros(1, np.int32), np.ones((1, 64), np.int32)
    fits = [np.zeros((1, 65536), np.uint16), no_tables()[-1], zero, zero, quant, quant.astype(np.uint64), zero, 1, 0]
    assert _check.scan_end(b"", 0, *fits) == -1
    for i, bad in ((0, np.zeros((1, 9), np.uint16)), (4, quant[:, 1:].copy()), (5, np.ones((2, 64), np.uint64))):
        with pytest.raises(ValueError, match="fit"):
            _check.scan_end(b"", 0, *fits[:i], bad, *fits[i + 1 :])


def test_a_stream_that_was_never_scanned_reads_no_foreign_memory() -> None:
    bits, ends = np.zeros(300, np.uint8), np.zeros(1, np.uint64)
    tables = no_tables()
    starts = np.array([2**40], np.uint64)
    stream = _stream.Stream(
        *(bits, ends, ends, *tables, 1, starts, ends, np.zeros((1, 4), np.int32), np.zeros((1, 64), np.int16)),
        np.ones((1, 64), np.int32),
    )
    with pytest.raises(IndexError):
        stream.read(np.array([0]), np.zeros((1, 1, 64), np.int16))
    with pytest.raises(IndexError):
        stream.read(np.array([5]), np.zeros((1, 1, 64), np.int16))


def transformed(zigzag: np.ndarray, quant: np.ndarray) -> np.ndarray:
    """(n, 64) samples of (n, 64) coefficients."""
    plane = np.empty((8 * len(zigzag), 8), np.uint8)
    _dct.samples(zigzag[:, None], 0, quant, NATURAL, plane, 1, 1)
    return plane.reshape(-1, 64)


def transformed_back(samples: np.ndarray, quant: np.ndarray) -> np.ndarray:
    """(n, 64) coefficients of (n, 64) samples."""
    out = np.empty((len(samples), 1, 64), np.int16)
    _dct.coefficients(samples.reshape(-1, 8), np.arange(len(samples)), 0, quant, NATURAL, out, 1, 1)
    return out[:, 0]


@pytest.mark.parametrize("step", [1, 2, 3, 16, 99, 255])
def test_a_flat_block_is_coded_as_the_transforms_round_it(step: int) -> None:
    quant = np.full(64, step, np.int32)
    flat = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 64, axis=1)
    # One by one down a column and across a row, in single precision as the modules do it.
    value = np.arange(256, dtype=np.float32) - 128
    for _ in range(2):
        value = np.float32(0.35355339) * ((value + value) + (value + value) + ((value + value) + (value + value)))
    expected = np.zeros((256, 64), np.int16)
    expected[:, 0] = np.floor(np.clip(value / np.float32(step), -1023, 1023) + np.float32(2048.5)) - 2048
    assert np.array_equal(transformed_back(flat, quant), expected)
    # A block that differs by one sample anywhere is not flat: with steps of 1 its differences show.
    if step == 1:
        for place in range(64):
            almost = flat.copy()
            almost[:, place] ^= 16
            assert (transformed_back(almost, quant)[:, 1:] != 0).any(axis=1).all(), place


def test_blocks_lie_in_the_plane_as_their_component_is_sampled() -> None:
    # Two rows of three MCUs of 2 x 2 blocks each, every block flat in its own value, behind one of another component.
    values = np.arange(24).reshape(6, 4) * 8
    coefficients = np.zeros((6, 5, 64), np.int16)
    coefficients[:, 0], coefficients[:, 1:, 0] = 99, values - 128 * 8
    plane, steps = np.empty((32, 48), np.uint8), np.ones(64, np.int32)
    _dct.samples(coefficients, 1, steps, NATURAL, plane, 2, 2)
    expected = values.reshape(2, 3, 2, 2).transpose(0, 2, 1, 3).reshape(4, 6) // 8
    assert np.array_equal(plane, expected.repeat(8, axis=0).repeat(8, axis=1))
    out = np.full((2, 5, 64), 7, np.int16)
    _dct.coefficients(plane, np.array([5, 1]), 1, steps, NATURAL, out, 2, 2)
    assert np.array_equal(out[:, 1:], coefficients[[5, 1], 1:])
    assert (out[:, 0] == 7).all()


def test_a_block_without_frequencies_is_transformed_as_any_other() -> None:
    for value in (-2000, -1, 0, 5, 2000):
        flat, other = np.zeros((1, 64), np.int16), np.zeros((1, 64), np.int16)
        flat[0, 0] = other[0, 0] = value
        other[0, 63] = 1
        steps = np.ones(64, np.int32)
        assert np.abs(transformed(flat, steps).astype(int) - transformed(other, steps)).max() <= 1


def test_inverse_transform_agrees_with_the_definition() -> None:
    rng = np.random.default_rng(2)
    quant = rng.integers(1, 40, 64).astype(np.int32)
    zigzag = (rng.normal(0, 60, (200, 64)) / quant).astype(np.int16)
    out = transformed(zigzag, quant)
    block = np.zeros((200, 64))
    block[:, NATURAL] = zigzag.astype(float) * quant
    u, x = np.mgrid[:8, :8]
    basis = np.where(u == 0, np.sqrt(0.125), 0.5) * np.cos((2 * x + 1) * u * np.pi / 16)
    exact = np.einsum("ux,nuv,vy->nxy", basis, block.reshape(-1, 8, 8), basis).reshape(-1, 64) + 128
    assert np.abs(out - np.clip(exact, 0, 255)).max() < 1


def test_transforms_are_inverse_to_each_other() -> None:
    rng = np.random.default_rng(4)
    samples = rng.integers(0, 256, (300, 64)).astype(np.uint8)
    quant = np.ones(64, np.int32)
    out = transformed(transformed_back(samples, quant), quant)
    assert np.abs(out.astype(int) - samples).max() <= 2
    flat = np.full((1, 64), 77, np.uint8)
    assert not transformed_back(flat, quant)[0, 1:].any()


def test_extreme_coefficients_do_not_overflow() -> None:
    for value in (32767, -32768):
        steps = np.full(64, 65535, np.int32)
        transformed(np.full((1, 64), value, np.int16), steps)
        flat = np.zeros((1, 64), np.int16)
        flat[0, 0] = value
        out = transformed(flat, steps)
        assert (out == (255 if value > 0 else 0)).all()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 10**6), min_size=256, max_size=256) | st.just([2**i for i in range(40)] + [0] * 216))
def test_optimal_tables_are_complete_prefix_codes(counts: list[int]) -> None:
    table = jpeg_huffman.optimal(counts)
    assert {s for s, n in enumerate(counts) if n} <= set(table.symbols)
    assert sum(n << (16 - i) for i, n in enumerate(table.counts, 1)) < 65536  # the code of ones is free
    codes, look = jpeg_huffman.codes(table), jpeg_huffman.lookup(table)
    for s in table.symbols:
        length, code = int(codes[s]) >> 16, int(codes[s]) & 0xFFFF
        assert look[code << (16 - length)] == length << 8 | s


def test_optimal_tables_are_no_longer_than_huffmans() -> None:
    counts = [0] * 256
    counts[:6] = [45, 13, 12, 16, 9, 5]
    table = jpeg_huffman.optimal(counts)
    lengths = {s: int(jpeg_huffman.codes(table)[s]) >> 16 for s in range(6)}
    # 224 bits is Huffman's optimum; the reserved code makes the rarest symbol one bit longer.
    assert sum(n * lengths[s] for s, n in enumerate(counts[:6])) == 224 + 5


def test_lookup_of_a_full_table_has_no_holes() -> None:
    table = Huffman(bytes([0, 4] + [0] * 14), bytes([5, 6, 7, 8]))
    assert (jpeg_huffman.lookup(table) >> 8 == 2).all()
