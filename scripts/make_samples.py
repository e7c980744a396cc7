"""Makes `samples/` and `tests/data/faces/` out of public-domain photos that Python packages ship.

Usage:
    pip download --no-deps --dest PACKAGES scikit-image==0.26.0 matplotlib==3.11.2 face_recognition==1.3.0
    python scripts/make_samples.py PACKAGES

Nothing else is read. The sources' hashes are checked; the same versions of Pillow and OpenCV give the same files.
Where each photo comes from, and under what terms, is written in `samples/README.md`.
"""

import hashlib
import io
import json
import sys
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import piexif
from PIL import Image, ImageCms

ROOT = Path(__file__).parent.parent
Box = tuple[float, float, float, float]
Point = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Source:
    """A photo inside a package, with the SHA-256 of its bytes, and the part that is used (left, top, right, bottom)."""

    package: str
    member: str
    sha256: str
    crop: tuple[int, int, int, int] | None = None


SOURCES = {
    "astronaut": Source(
        "scikit_image-*.whl",
        "skimage/data/astronaut.png",
        "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5",
    ),
    "rocket": Source(
        "scikit_image-*.whl",
        "skimage/data/rocket.jpg",
        "c2dd0de7c538df8d111e479619b129464d0269d0ae5fd18ca91d33a7fdfea95c",
    ),
    "grace_hopper": Source(
        "matplotlib-*.whl",
        "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
        "a8ca6d734765703b09728ab47fe59f473d93ae3967fc24c7c0288c3c7adb7130",
    ),
    "obama": Source(
        "face_recognition-*.tar.gz",
        "face_recognition-1.3.0/tests/test_images/obama.jpg",
        "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
    ),
    "biden": Source(
        "face_recognition-*.tar.gz",
        "face_recognition-1.3.0/tests/test_images/biden.jpg",
        "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
        (0, 0, 970, 1100),
    ),
}


@dataclass(frozen=True, slots=True)
class Portrait:
    """What is known of a portrait at 512 pixels of width, marked by hand.

    Attributes:
        face: from the hairline to the chin (x, y, width, height).
        person: ellipses (centre, half axes) that surely show the person.
        beyond: corners of a polygon that surely shows none of them.
    """

    face: Box
    person: tuple[tuple[Point, Point], ...]
    beyond: str


PORTRAITS = {
    "astronaut": Portrait(
        (178, 63, 91, 114),
        (((222, 118), (48, 72)), ((205, 330), (120, 130)), ((215, 230), (80, 50)), ((200, 470), (140, 80))),
        "0,0 512,0 512,345 400,345 372,300 300,190 285,60 240,8 190,8 150,50 152,120 110,180 60,260 20,330 14,400"
        " 24,470 36,512 0,512",
    ),
    "grace_hopper": Portrait(
        (183, 120, 171, 213),
        (((268, 170), (88, 130)), ((256, 520), (200, 150)), ((262, 60), (70, 30))),
        "0,0 512,0 512,380 430,345 380,300 385,60 352,62 330,38 290,24 262,22 232,26 200,40 176,64 150,80 152,200"
        " 158,262 180,306 150,335 60,362 20,420 0,600",
    ),
    "obama": Portrait(
        (208, 51, 136, 186),
        (((275, 130), (72, 95)), ((276, 92), (68, 72)), ((270, 480), (170, 200)), ((275, 260), (60, 60))),
        "0,0 512,0 512,640 490,560 440,300 350,210 365,60 300,5 240,5 190,60 200,200 110,290 60,450 30,640 0,640",
    ),
    "biden": Portrait(
        (231, 98, 143, 202),
        (((300, 180), (70, 105)), ((270, 520), (200, 200)), ((290, 320), (50, 60))),
        "0,0 512,0 512,380 440,320 368,332 346,318 344,282 372,240 395,80 330,40 260,40 200,90 205,220 60,290 15,420"
        " 0,581",
    ),
}


@dataclass(frozen=True, slots=True, eq=False)
class Person:
    """A portrait cut out of its background: (h, w, 4) uint8 RGBA, and where its face lies."""

    rgba: npt.NDArray[np.uint8]
    face: Box

    def scaled(self, factor: float) -> "Person":
        h, w = self.rgba.shape[:2]
        size = max(1, round(w * factor)), max(1, round(h * factor))
        x, y, fw, fh = self.face
        rgba = cv2.resize(self.rgba, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_CUBIC)
        return Person(rgba, (x * factor, y * factor, fw * factor, fh * factor))

    def mirrored(self) -> "Person":
        x, y, w, h = self.face
        return Person(np.ascontiguousarray(self.rgba[:, ::-1]), (self.rgba.shape[1] - x - w, y, w, h))

    def turned(self, angle: float) -> "Person":
        """Turned clockwise by `angle` degrees around the middle of the lower edge."""
        h, w = self.rgba.shape[:2]
        pad = w // 2
        wide = cv2.copyMakeBorder(self.rgba, pad, pad, pad, pad, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
        matrix = cv2.getRotationMatrix2D((pad + w / 2, pad + h), -angle, 1.0)
        rgba = cv2.warpAffine(wide, matrix, (wide.shape[1], wide.shape[0]), flags=cv2.INTER_CUBIC)
        x, y, fw, fh = self.face
        cx, cy = matrix @ np.array([x + fw / 2 + pad, y + fh / 2 + pad, 1.0])
        return Person(rgba[: pad + h], (cx - fw / 2, cy - fh / 2, fw, fh))


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    photos = {name: read(source, Path(sys.argv[1])) for name, source in SOURCES.items()}
    people = {name: cut_out(photos[name], portrait) for name, portrait in PORTRAITS.items()}
    faces = ROOT / "tests" / "data" / "faces"
    faces.mkdir(parents=True, exist_ok=True)
    for name in PORTRAITS:
        clean(at_width(photos[name], 512)).save(faces / f"{name}.jpg", quality=88, optimize=True)
    samples = ROOT / "samples"
    samples.mkdir(exist_ok=True)
    makers = (group, turned, crowd, close, located, cutout, webp)
    expected = {name: entry for maker in makers for name, entry in [maker(samples, photos, people)]}
    clean(photos["rocket"]).save(samples / "landscape.jpg", quality=85, optimize=True)
    expected["landscape.jpg"] = entry_of(photos["rocket"].size, [])
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(expected[name])}" for name in sorted(expected))
    (samples / "expected.json").write_text("{\n" + lines + "\n}\n", "utf-8")


def read(source: Source, packages: Path) -> Image.Image:
    """The photo in sRGB, without any metadata."""
    archive = max(packages.glob(source.package))
    if archive.suffix == ".whl":
        data = zipfile.ZipFile(archive).read(source.member)
    else:
        with tarfile.open(archive) as tar:
            member = tar.extractfile(source.member)
            assert member is not None
            data = member.read()
    if hashlib.sha256(data).hexdigest() != source.sha256:
        sys.exit(f"{source.member} is not the photo that this script was written for")
    image: Image.Image = Image.open(io.BytesIO(data))
    profile = image.info.get("icc_profile")
    image = image.convert("RGB")
    if profile:
        converted = ImageCms.profileToProfile(image, io.BytesIO(profile), ImageCms.createProfile("sRGB"))
        assert converted is not None
        image = converted
    return clean(image.crop(source.crop) if source.crop else image)


def clean(image: Image.Image) -> Image.Image:
    """The pixels alone."""
    return Image.fromarray(np.asarray(image))


def at_width(image: Image.Image, width: int) -> Image.Image:
    if image.width == width:
        return image
    return image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)


def entry_of(size: tuple[int, int], faces: list[Box]) -> dict[str, object]:
    """What `expected.json` says of one sample: upright size, every face's box, and whether there is none."""
    boxes = [[round(value, 1) for value in face] for face in faces]
    return {"size": list(size), "no_face": not faces, "faces": boxes}


def cut_out(photo: Image.Image, portrait: Portrait) -> Person:
    """Segments the person (GrabCut, Rother et al. 2004), starting from the marks."""
    rgb = np.asarray(at_width(photo, 512))
    marks = np.full(rgb.shape[:2], cv2.GC_PR_FGD, np.uint8)
    beyond = np.zeros_like(marks)
    corners = [[int(value) for value in corner.split(",")] for corner in portrait.beyond.split()]
    cv2.fillPoly(beyond, [np.array(corners, np.int32)], 1)
    marks[cv2.dilate(beyond, np.ones((25, 25), np.uint8)) > 0] = cv2.GC_PR_BGD
    marks[beyond > 0] = cv2.GC_BGD
    for centre, axes in portrait.person:
        cv2.ellipse(marks, centre, axes, 0, 0, 360, cv2.GC_FGD, -1)
    cv2.setRNGSeed(1)
    cv2.grabCut(rgb, marks, None, np.zeros((1, 65)), np.zeros((1, 65)), 6, cv2.GC_INIT_WITH_MASK)
    alpha = np.where((marks == cv2.GC_FGD) | (marks == cv2.GC_PR_FGD), 255, 0).astype(np.uint8)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(alpha)
    largest = 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
    alpha = np.where(labels == largest, 255, 0).astype(np.uint8)
    alpha = cv2.erode(alpha, np.ones((3, 3), np.uint8))
    alpha = cv2.GaussianBlur(alpha, (0, 0), 1.2)
    return Person(np.dstack([rgb, alpha]), portrait.face)


def backdrop(width: int, height: int, seed: int) -> npt.NDArray[np.uint8]:
    """A studio wall: grey-blue, lighter in the middle, with a little grain."""
    y, x = np.mgrid[:height, :width]
    glow = np.exp(-(((x / width - 0.5) / 0.5) ** 2) - ((y / height - 0.35) / 0.6) ** 2)
    grain = np.random.default_rng(seed).normal(0, 2, (height, width))
    wall = np.array([96, 106, 116]) + (70 * glow + grain)[..., None]
    out: npt.NDArray[np.uint8] = np.clip(wall, 0, 255).astype(np.uint8)
    return out


def paste(canvas: npt.NDArray[np.uint8], person: Person, x: int, y: int) -> Box:
    """Draws the person with their upper left corner at (x, y); answers where the face came to lie."""
    h, w = person.rgba.shape[:2]
    left, top, right, bottom = max(x, 0), max(y, 0), min(x + w, canvas.shape[1]), min(y + h, canvas.shape[0])
    if left < right and top < bottom:
        part = person.rgba[top - y : bottom - y, left - x : right - x].astype(np.float64)
        under = canvas[top:bottom, left:right].astype(np.float64)
        mixed = under + (part[..., :3] - under) * part[..., 3:] / 255
        canvas[top:bottom, left:right] = np.rint(mixed).astype(np.uint8)
    fx, fy, fw, fh = person.face
    return fx + x, fy + y, fw, fh


Photos = dict[str, Image.Image]
People = dict[str, Person]
Made = tuple[str, dict[str, object]]


def stand(canvas: npt.NDArray[np.uint8], person: Person, face: float, middle: float) -> Box:
    """Scales the person to a face of that height, and stands them on the lower edge around column `middle`."""
    person = person.scaled(face / person.face[3])
    h, w = person.rgba.shape[:2]
    return paste(canvas, person, round(middle - w / 2), canvas.shape[0] - h + 1)


def group(folder: Path, _: Photos, people: People) -> Made:
    canvas = backdrop(1280, 720, 1)
    faces = [
        stand(canvas, people["obama"], 172, 215),
        stand(canvas, people["biden"].mirrored(), 178, 1070),
        stand(canvas, people["astronaut"], 126, 560),
        stand(canvas, people["grace_hopper"].turned(7), 158, 760),
    ]
    Image.fromarray(canvas).save(folder / "group.jpg", quality=88, optimize=True)
    return "group.jpg", entry_of((1280, 720), faces)


def turned(folder: Path, _: Photos, people: People) -> Made:
    """Two tilted heads, stored lying on the side, with an orientation that says so."""
    canvas = backdrop(640, 800, 2)
    faces = [
        stand(canvas, people["obama"].turned(-24), 176, 330),
        stand(canvas, people["grace_hopper"].turned(20), 150, 400),
    ]
    stored = Image.fromarray(np.ascontiguousarray(np.rot90(canvas)))  # counter-clockwise: orientation 6 turns it back
    exif = piexif.dump({"0th": {piexif.ImageIFD.Orientation: 6, piexif.ImageIFD.Make: b"Sample Camera"}})
    stored.save(folder / "turned.jpg", quality=88, optimize=True, exif=exif)
    return "turned.jpg", entry_of((640, 800), faces)


def crowd(folder: Path, _: Photos, people: People) -> Made:
    """A grandstand: heads of 20 to 44 pixels, each mirrored, lit and tilted a little differently."""
    canvas = backdrop(1400, 700, 3)
    random = np.random.default_rng(3)
    faces = []
    names = sorted(people)
    head = 60.0
    for row in range(9):
        height = 20 + 3 * row
        count = int(1400 / (height * 2.2))
        for k in range(count):
            person = people[names[int(random.integers(4))]]
            person = person.scaled(height * random.uniform(0.95, 1.08) / person.face[3])
            person = person.mirrored() if random.integers(2) else person
            person = person.turned(random.uniform(-9, 9))
            lit = np.clip(person.rgba[..., :3] * random.uniform(0.8, 1.1), 0, 255).astype(np.uint8)
            person = Person(np.dstack([lit, person.rgba[..., 3]]), person.face)
            fx, fy, fw, fh = person.face
            middle = (k + (0.3 if row % 2 else 0.7)) * 1400 / count
            y = head + random.uniform(-3, 3)
            faces.append(paste(canvas, person, round(middle - fx - fw / 2), round(y - fy - fh / 2)))
        head += 2.15 * height
    Image.fromarray(canvas).save(folder / "crowd.jpg", quality=88, optimize=True)
    return "crowd.jpg", entry_of((1400, 700), faces)


def close(folder: Path, photos: Photos, _: People) -> Made:
    """A face that leaves the frame on three sides."""
    photo = photos["biden"]
    scale = 970 / 512
    x, y, w, h = (value * scale for value in PORTRAITS["biden"].face)
    left, top, right, bottom = round(x + 12), round(y - 40), round(x + w - 10), round(y + h - 30)
    part = photo.crop((left, top, right, bottom))
    size = 800, round(800 * part.height / part.width)
    zoom = 800 / part.width
    part.resize(size, Image.Resampling.LANCZOS).save(folder / "close.jpg", quality=85, optimize=True)
    face = 0.0, (y - top) * zoom, 800.0, size[1] - (y - top) * zoom
    return "close.jpg", entry_of(size, [face])


def located(folder: Path, photos: Photos, _: People) -> Made:
    """A portrait that tells where, when and by whom, and holds its own face once more as a thumbnail."""
    photo = photos["grace_hopper"]
    small = io.BytesIO()
    photo.resize((137, 160), Image.Resampling.LANCZOS).save(small, "JPEG", quality=80)
    exif = piexif.dump(
        {
            "0th": {
                piexif.ImageIFD.Make: b"Sample Camera",
                piexif.ImageIFD.Model: b"Planted 1",
                piexif.ImageIFD.Artist: b"Planted Photographer",
                piexif.ImageIFD.Copyright: b"Public domain",
            },
            "Exif": {
                piexif.ExifIFD.DateTimeOriginal: b"2024:05:31 12:00:00",
                piexif.ExifIFD.BodySerialNumber: b"PLANTED-0001",
            },
            "GPS": {
                piexif.GPSIFD.GPSLatitudeRef: b"N",
                piexif.GPSIFD.GPSLatitude: ((38, 1), (53, 1), (23, 1)),
                piexif.GPSIFD.GPSLongitudeRef: b"W",
                piexif.GPSIFD.GPSLongitude: ((77, 1), (0, 1), (27, 1)),
            },
            "1st": {piexif.ImageIFD.Compression: 6},
            "thumbnail": small.getvalue(),
        }
    )
    xmp = (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" photoshop:City="Planted City"'
        ' xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="Planted Tool"/>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
    photo.save(
        folder / "located.jpg", quality=88, optimize=True, exif=exif, xmp=xmp.encode(), comment=b"planted comment"
    )
    return "located.jpg", entry_of(photo.size, [PORTRAITS["grace_hopper"].face])


def cutout(folder: Path, photos: Photos, people: People) -> Made:
    """A person without background, and another face hidden where nothing is to be seen."""
    person = people["astronaut"]
    rgba = person.rgba.copy()
    hidden = np.asarray(at_width(photos["grace_hopper"], 512).crop((150, 80, 390, 360)).resize((120, 140)))
    rgba[10:150, 350:470, :3] = hidden
    Image.fromarray(rgba).save(folder / "cutout.png", optimize=True)
    return "cutout.png", entry_of((512, 512), [person.face])


def webp(folder: Path, photos: Photos, _: People) -> Made:
    photo = at_width(photos["obama"], 512)
    photo.save(folder / "portrait.webp", quality=85, method=6)
    return "portrait.webp", entry_of(photo.size, [PORTRAITS["obama"].face])


if __name__ == "__main__":
    main()
