"""The checks of `fuzz/jpeg.py` on inputs that coverage guides (atheris), where blind mutations do not get to.

    python fuzz/jpeg_guided.py CORPUS -max_total_time=1800 -max_len=20000

An empty corpus gets the seeds of `fuzz/jpeg.py`. The Python code is instrumented; for out-of-bounds accesses run it on
modules built with AddressSanitizer, as described there.
"""

import random
import sys
import zlib
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cloak"]):
    from cloak.photo import jpeg  # noqa: F401 - before the module below imports it

from jpeg import examine, seeds


def one(data: bytes) -> None:
    """Whatever is no `CloakError` is a finding."""
    examine(data, random.Random(zlib.crc32(data)))


def main() -> None:
    folders = [Path(argument) for argument in sys.argv[1:] if not argument.startswith("-")]
    for folder in folders[:1]:
        folder.mkdir(parents=True, exist_ok=True)
        if not any(folder.iterdir()):
            for i, seed in enumerate(seeds()):
                (folder / f"seed-{i}.jpg").write_bytes(seed)
    atheris.Setup(sys.argv, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
