"""How far a published photo can still be linked to its camera, and to a message hidden in it.

    python -m benchmarks.prnu [--scenes 16] [--side 1024]

Sensor noise: a camera is a generated fingerprint K (white, sigma 1 %: stronger than real ones, so that two megapixels
tell what twenty do), its photos are scenes * (1 + K) with photon noise, saved as JPEG 93, 4:2:0. The opponent has the
mean residual of 30 flat photos of the same camera, correlates it with the residual of each published photo over all
shifts, and calls a peak-to-correlation energy (PCE; Goljan, Fridrich, Filler 2009) above 60 a match. "Knows" resizes
the fingerprint to the published size first; "searches" also tries stretches of 0 to 2.4 % along each axis.

Hidden messages: random bits in the lowest bits of a JPEG's coefficients, in those of a PNG's pixels, and as a robust
pattern in blocks of 32 x 32 pixels, made to outlive compression. The share of bits read wrongly is printed: 0 is a
message that survived, 0.5 is none (a few percent are mended by any error-correcting code).
"""

import argparse
import io
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import jpeglib
import numpy as np
import numpy.typing as npt
from PIL import Image

from cloak.geometry import Pixels, Size
from cloak.masks import Mask
from cloak.photo import Output, open_photo
from cloak.photo.resample import plan

Grey = npt.NDArray[np.float32]
SAMPLES = Path(__file__).parent.parent / "samples"
WAYS: dict[str, Callable[[Size], Output]] = {
    "photographer: pixels kept": lambda _: Output(),
    "quality 95": lambda _: Output(quality=95),
    "quality 85": lambda _: Output(quality=85),
    "quality 70": lambda _: Output(quality=70),
    "resize to 3/4": lambda size: Output(resampling=plan(size, max(size.width, size.height) * 3 // 4, None)),
    "resize to 1/2": lambda size: Output(resampling=plan(size, max(size.width, size.height) // 2, None)),
    "resize to 1/4": lambda size: Output(resampling=plan(size, max(size.width, size.height) // 4, None)),
    "resample": lambda size: Output(resampling=plan(size, None, b"seed")),
    "resample, quality 85": lambda size: replace(Output(resampling=plan(size, None, b"seed")), quality=85),
    "resample, resize to 1/2": lambda size: Output(
        resampling=plan(size, max(size.width, size.height) // 2, b"seed"), quality=85
    ),
}


def scenes(count: int, side: int) -> Iterator[Grey]:
    """Crops of the samples, enlarged so that they are smooth at the scale of pixels, as photos of large sensors are."""
    rng = np.random.default_rng(1)
    pictures = [cv2.imread(str(p)) for p in sorted(SAMPLES.glob("*.jpg"))]
    for number in range(count):
        picture = pictures[number % len(pictures)]
        height, width = picture.shape[:2]
        crop = min(height, width, side) // 2
        y, x = rng.integers(0, height - crop), rng.integers(0, width - crop)
        part = picture[y : y + crop, x : x + crop]
        yield cv2.resize(part, (side, side), interpolation=cv2.INTER_CUBIC).astype(np.float32)


def shot(scene: Grey, fingerprint: Grey, rng: np.random.Generator, quality: int = 93) -> bytes:
    """The photo that a camera makes of a scene: a JPEG."""
    light = scene * (1 + fingerprint[..., None]) + rng.normal(0, 2, scene.shape).astype(np.float32)
    pixels = np.clip(light, 0, 255).astype(np.uint8)[..., ::-1]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def grey(data: bytes) -> Grey:
    pixels = np.asarray(Image.open(io.BytesIO(data)).convert("L"), np.float32)
    return np.asarray(pixels)


def residual(picture: Grey) -> Grey:
    """What a Wiener filter takes for noise (Mihcak et al. 1999, in the pixel domain), zero in mean along each axis."""
    mean = cv2.boxFilter(picture, -1, (3, 3))
    variance = cv2.boxFilter(picture * picture, -1, (3, 3)) - mean * mean
    noise = (picture - mean) * (9.0 / np.maximum(variance, 9.0))
    noise -= noise.mean(axis=0, keepdims=True)
    return np.asarray(noise - noise.mean(axis=1, keepdims=True), np.float32)


def pce(picture: Grey, fingerprint: Grey) -> float:
    """Peak-to-correlation energy over all circular shifts; the surroundings of the peak do not count as energy."""
    expected = fingerprint * picture
    expected -= expected.mean()
    plane = np.fft.irfft2(np.fft.rfft2(residual(picture)) * np.conj(np.fft.rfft2(expected)), picture.shape)
    y, x = np.unravel_index(int(np.argmax(plane)), plane.shape)
    peak = float(plane[y, x])
    rest = np.roll(plane, (-int(y) + 5, -int(x) + 5), (0, 1))
    rest[:11, :11] = 0
    return peak * peak / (float((rest * rest).sum()) / (rest.size - 121))


def stretched(fingerprint: Grey, x: float, y: float) -> Grey:
    height, width = fingerprint.shape
    made = cv2.resize(fingerprint, None, fx=1 + x, fy=1 + y, interpolation=cv2.INTER_CUBIC)
    return np.asarray(made[:height, :width], np.float32)


def sensor(count: int, side: int) -> None:
    rng = np.random.default_rng(2)
    fingerprint = rng.normal(0, 0.01, (side, side)).astype(np.float32)
    estimate = np.zeros((side, side), np.float32)
    for _ in range(30):
        flat = np.full((side, side, 3), rng.uniform(120, 200), np.float32)
        estimate += residual(grey(shot(flat, fingerprint, rng))) / 30
    photos = [shot(scene, fingerprint, rng) for scene in scenes(count, side)]
    other = rng.normal(0, float(estimate.std()), (side, side)).astype(np.float32)
    print("| | PCE, median: knows the size | matched | searches stretches too | matched | another camera's PCE |")
    print("|---|---|---|---|---|---|")
    for name, way in WAYS.items():
        plain, searched, strange = [], [], []
        for number, photo in enumerate(photos):
            opened = open_photo(photo)
            published = opened.conceal([[]], _unpainted, way(opened.size)).data
            picture = grey(published)
            size = (picture.shape[1], picture.shape[0])
            method = cv2.INTER_AREA if size[0] < side else cv2.INTER_CUBIC
            known = estimate if size == (side, side) else cv2.resize(estimate, size, interpolation=method)
            plain.append(pce(picture, known))
            strange.append(pce(picture, cv2.resize(other, size, interpolation=method)))
            if number < 3 and name.startswith("resample"):
                steps = np.arange(0.008, 0.0245, 0.001)
                searched.append(max(pce(picture, stretched(known, x, y)) for x in steps for y in steps))
        found = f"{np.median(searched):.0f} | {_matched(searched)}" if searched else "- | -"
        print(f"| {name} | {np.median(plain):.0f} | {_matched(plain)} | {found} | {max(strange):.0f} |", flush=True)


def _unpainted(pixels: Pixels, _: Mask, __: int) -> Pixels:
    return pixels


def _matched(energies: list[float]) -> str:
    return f"{sum(energy > 60 for energy in energies)} of {len(energies)}"


def coefficients(data: bytes) -> npt.NDArray[np.int16]:
    """The quantised luminance coefficients, (rows, columns, 8, 8)."""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(data)
        file.flush()
        return np.asarray(jpeglib.read_dct(file.name).Y)


def in_coefficients(photo: bytes, rng: np.random.Generator) -> tuple[bytes, Callable[[bytes], float]]:
    """A message in the lowest bits of a JPEG's coefficients of size 2 and more."""
    with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
        file.write(photo)
        file.flush()
        image = jpeglib.read_dct(file.name)
        plane = image.Y
        place = np.abs(plane) > 1
        bits = rng.integers(0, 2, int(place.sum()), dtype=np.int16)
        plane[place] = np.sign(plane[place]) * (np.abs(plane[place]) & ~1 | bits)
        image.write_dct(file.name)
        hidden = Path(file.name).read_bytes()
    return hidden, lambda data: _errors(_at(np.abs(coefficients(data)) & 1, place), bits)


def in_pixels(photo: bytes, rng: np.random.Generator) -> tuple[bytes, Callable[[bytes], float]]:
    """A message in the lowest bits of a PNG's pixels."""
    pixels = np.asarray(Image.open(io.BytesIO(photo)).convert("RGB"))
    bits = rng.integers(0, 2, pixels.shape, dtype=np.uint8)
    hidden = io.BytesIO()
    Image.fromarray(pixels & 254 | bits).save(hidden, "PNG", compress_level=1)
    whole = np.ones(pixels.shape, np.bool_)
    read = lambda data: np.asarray(Image.open(io.BytesIO(data)).convert("RGB")) & 1  # noqa: E731
    return hidden.getvalue(), lambda data: _errors(_at(read(data), whole), bits.ravel())


def in_blocks(photo: bytes, rng: np.random.Generator) -> tuple[bytes, Callable[[bytes], float]]:
    """A bit in each block of 32 x 32 pixels: a smooth secret pattern of +-3 grey levels, the other way round for 1."""
    pixels = np.asarray(Image.open(io.BytesIO(photo)).convert("RGB"), np.float32)
    height, width = (side // 32 for side in pixels.shape[:2])
    noise = cv2.resize(rng.normal(0, 1, (height * 8, width * 8)).astype(np.float32), (width * 32, height * 32))
    pattern = 3 * np.sign(noise)
    bits = rng.integers(0, 2, (height, width))
    signed = pattern * np.kron(1 - 2 * bits, np.ones((32, 32)))
    marked = pixels[: height * 32, : width * 32] + signed[..., None]
    hidden = io.BytesIO()
    Image.fromarray(np.clip(marked, 0, 255).astype(np.uint8)).save(hidden, "JPEG", quality=95)

    def read(data: bytes) -> float:
        found = cv2.resize(grey(data), (width * 32, height * 32), interpolation=cv2.INTER_AREA)
        found -= cv2.GaussianBlur(found, (0, 0), 6)
        sums = (found * pattern).reshape(height, 32, width, 32).sum(axis=(1, 3))
        return _errors((sums < 0).astype(np.uint8).ravel(), bits.ravel())

    return hidden.getvalue(), read


def _at(values: npt.NDArray[np.generic], place: npt.NDArray[np.bool_]) -> npt.NDArray[np.generic] | None:
    return values[place] if values.shape == place.shape else None


def _errors(found: npt.NDArray[np.generic] | None, bits: npt.NDArray[np.generic]) -> float:
    return 0.5 if found is None else float((found != bits).mean())


def messages(side: int) -> None:
    rng = np.random.default_rng(3)
    photos = [shot(scene, np.zeros((side, side), np.float32), rng) for scene in scenes(4, side)]
    hidden = [[way(photo, rng) for photo in photos] for way in (in_coefficients, in_pixels, in_blocks)]
    coarse = [shot(scene, np.zeros((side, side), np.float32), rng, quality=85) for scene in scenes(4, side)]
    hidden.insert(1, [in_coefficients(photo, rng) for photo in coarse])
    print("| bits read wrongly | coefficients, JPEG 93 | coefficients, JPEG 85 | PNG pixels | robust pattern |")
    print("|---|---|---|---|---|")
    for name, settings in WAYS.items():
        cells = []
        for pairs in hidden:
            wrong = []
            for data, read in pairs:
                opened = open_photo(data)
                made = opened.conceal([[]], _unpainted, settings(opened.size)).data
                wrong.append(read(made))
            cells.append(f"{np.mean(wrong):.2f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scenes", type=int, default=16)
    parser.add_argument("--side", type=int, default=1024)
    options = parser.parse_args()
    messages(options.side)
    print()
    sensor(options.scenes, options.side)


if __name__ == "__main__":
    main()
