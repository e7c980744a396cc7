"""Markers that survive: cloak beside Pillow, piexif, exiftool and mat2, on one planted file a format.

    python -m benchmarks.leaks [--corpus FOLDER]

Each file holds a marker string in every carrier of its format (`tests/plant.py`; with --corpus, files `planted.*` of a
folder with their `markers.json`). A marker counts as surviving if it is found in the output's bytes, or after
decompressing every zlib stream in them. exiftool and mat2 come from Debian's packages of these names.
"""

import argparse
import io
import json
import re
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from cloak.anonymizer import anonymize
from cloak.errors import Withheld
from cloak.pipeline import load

Corpus = dict[str, tuple[bytes, list[bytes]]]


def planted() -> Corpus:
    from tests.plant import PLANTED

    made = {}
    for name, plant in PLANTED.items():
        data, markers = plant()
        made[name] = data, [marker if isinstance(marker, bytes) else marker.encode() for marker in markers]
    return made


def folder(path: Path) -> Corpus:
    markers = json.loads((path / "markers.json").read_text())
    return {name: ((path / name).read_bytes(), [m.encode() for m in found]) for name, found in markers.items()}


def surviving(data: bytes, markers: list[bytes]) -> int:
    views = [data]
    for start in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", data):
        try:
            views.append(zlib.decompressobj().decompress(data[start.start() :], 10_000_000))
        except zlib.error:
            continue
    whole = b"\0".join(views)
    return sum(marker in whole or marker.decode().encode("utf-16-le") in whole for marker in markers)


def by_cloak(data: bytes, _: str) -> bytes:
    result = anonymize(data, load("cms", recall="fast"))
    assert result.data is not None
    return result.data


def by_pillow(data: bytes, _: str) -> bytes:
    import pillow_heif

    pillow_heif.register_heif_opener()
    image = Image.open(io.BytesIO(data))
    out = io.BytesIO()
    image.save(out, image.format, save_all=getattr(image, "n_frames", 1) > 1)
    return out.getvalue()


def by_piexif(data: bytes, _: str) -> bytes:
    import piexif

    out = io.BytesIO()
    piexif.remove(data, out)
    return out.getvalue()


def by_exiftool(data: bytes, suffix: str) -> bytes:
    return _on_a_file(["exiftool", "-q", "-all=", "-overwrite_original"], data, suffix)


def by_mat2(data: bytes, suffix: str) -> bytes:
    return _on_a_file(["mat2", "--inplace"], data, suffix)


def _on_a_file(command: list[str], data: bytes, suffix: str) -> bytes:
    if shutil.which(command[0]) is None:
        raise FileNotFoundError(command[0])
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / f"planted.{suffix}"
        path.write_bytes(data)
        done = subprocess.run([*command, str(path)], capture_output=True, timeout=120)
        if done.returncode or path.read_bytes() == data:
            raise ValueError("refused")
        return path.read_bytes()


TOOLS: dict[str, Callable[[bytes, str], bytes]] = {
    "cloak": by_cloak,
    "Pillow, saved again": by_pillow,
    "piexif.remove": by_piexif,
    "exiftool -all=": by_exiftool,
    "mat2": by_mat2,
}
SUFFIX = {
    "jpeg": "jpg", "apng": "png", "webp-animation": "webp", "tiff": "tif", "tiff-be": "tif", "bigtiff": "tif",
    "heif": "heic",
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path)
    options = parser.parse_args()
    corpus = folder(options.corpus) if options.corpus else planted()
    print(f"| | planted | {' | '.join(TOOLS)} |")
    print("|---" * (len(TOOLS) + 2) + "|")
    for name, (data, markers) in corpus.items():
        present = [marker for marker in markers if surviving(data, [marker])]
        suffix = SUFFIX.get(name, name.rpartition(".")[2])
        cells = []
        for tool in TOOLS.values():
            try:
                cells.append(str(surviving(tool(data, suffix), present)))
            except Withheld as error:
                cells.append(f"withheld ({error.slug})")
            except FileNotFoundError:
                cells.append("not installed")
            except Exception:
                cells.append("refused")
        print(f"| {name} | {len(present)} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
