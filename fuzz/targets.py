"""Every reader of strangers' bytes, and what must hold for each input: one table."""

import asyncio
import json
import os
import random
import unicodedata
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache, partial

import msgspec
import numpy as np
import tomli_w
from imagecodecs import PngError

from cloak import decisions, metadata, pipeline, report
from cloak.anonymizer import anonymize
from cloak.detect import Face
from cloak.errors import CloakError
from cloak.geometry import Box, Ellipse, Pixels, Region, Size
from cloak.ledger import Ledger
from cloak.masks import Mask, draw
from cloak.metadata import icc, manifest
from cloak.metadata.base import Contents, Kind
from cloak.metadata.fields import LENGTHS, Fields, read_all
from cloak.metadata.listing import Full, Listing
from cloak.metadata.published import foreign
from cloak.photo import Limits, Output, open_photo, resample
from cloak.records import Entry
from cloak.reviews import Reviews
from fuzz import jpeg, seeds
from fuzz.seeds import LIMITS
from tests.photo import making

FORMATS = {"heic": "heif"}


TURNED = {
    "APP1 Exif", "EXIF IFD0", "EXIF IFD0 0x0112 Orientation", "EXIF IFD0 0x0128 ResolutionUnit",
    "EXIF IFD0 0x0213 YCbCrPositioning", "EXIF IFD0 0x011A XResolution", "EXIF IFD0 0x011B YResolution",
}  # fmt: skip
"""Parts of a JPEG whose size allows no lossless turn: its orientation, and what EXIF requires beside it."""


@dataclass(frozen=True, slots=True)
class Target:
    """A reader under test.

    Attributes:
        run: takes an input and returns in a word how it ended; raises whatever must not happen.
        seeds: where inputs start from.
        form: how they are built, as in `fuzz.mutate`.
        largest: bytes of an input.
        taken: what of a file from elsewhere serves as a seed as well.
    """

    run: Callable[[bytes], str]
    seeds: Callable[[], list[bytes]]
    form: str = ""
    largest: int = 60_000
    taken: Callable[[bytes], list[bytes]] = lambda _: []


def _tiled(size: int, contents: Contents) -> None:
    """The parts cover the file from its first byte to its last, none twice; what lies inside them lies in the file."""
    at = 0
    for part in contents.parts:
        assert part.length >= 0
        assert 0 <= part.offset <= part.offset + part.length <= size
        if not part.inside:
            assert part.offset == at
            assert part.length > 0
            at += part.length
        for fact in part.facts:
            assert len(fact.value) <= 200
            assert not any(map(_unsafe, fact.value)), fact.label
    assert at == size


def _unsafe(character: str) -> bool:
    """Whether a terminal could be driven by it, or text be turned around."""
    turns = unicodedata.bidirectional(character) in {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    return turns or unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}


def _container(data: bytes) -> str:
    """The carriers of a file, and the fields that may be kept of it."""
    contents = metadata.read(data)
    _tiled(len(data), contents)
    assert "stopped" not in contents.fault, contents.fault
    for name, value in msgspec.to_builtins(read_all(data)).items():
        assert value is None or len(value) <= LENGTHS.get(name, 500)
        assert value is None or value.isprintable(), name
    return f"{contents.format or 'nothing'}: {contents.fault.split('(')[0] or 'whole'}"


def _nested(kind: str, data: bytes) -> str:
    """A carrier that lies in a container."""
    listing = Listing(data)
    listing.pending.append((kind, listing.whole, "seed"))
    try:
        while listing.pending:
            reader, span, inside = listing.pending.popleft()
            metadata._NESTED[reader](listing, span, inside)
    except Full:
        return "full"
    contents = listing.finish("")
    _tiled(len(data), contents)
    return contents.fault or f"{min(len(contents.parts), 9)} parts"


def _profile(data: bytes) -> str:
    """A colour profile: known, rebuilt, converted from, or refused."""
    known, rebuilt = icc.match(data), icc.canonical(data)
    if rebuilt is not None:
        assert icc.canonical(rebuilt) == rebuilt
    for channels in (1, 3, 4):
        try:
            out = icc.convert(np.full((2, 2, channels), 77, np.uint8), data, icc.nearest(data))
            assert out.shape[:2] == (2, 2)
        except CloakError:
            continue
        return "known" if known else "rebuilt" if rebuilt else "converted"
    return "refused"


def _manifest(data: bytes) -> str:
    """A manifest of content credentials, alone and in a file."""
    rest, store = manifest.carve(data)
    assert len(rest) + len(store) <= len(data)
    return manifest.fault(store or data, data) or "ours"


def _fill(pixels: Pixels, mask: Mask, frame: int) -> Pixels:
    return np.full_like(pixels, 60 if pixels.dtype == np.uint8 else 9000)


def _noise(pixels: Pixels, mask: Mask, frame: int) -> Pixels:
    """More colours than a palette has room for."""
    top = np.iinfo(pixels.dtype).max
    return np.random.default_rng(frame).integers(0, top, pixels.shape, pixels.dtype, endpoint=True)


def _output(size: Size, rng: random.Random) -> Output:
    """Some way of writing, half of the time the usual one."""
    if rng.random() < 0.5:
        return Output()
    return Output(
        fields=Fields(copyright="Zo\u00eb", date="2024-05-31") if rng.random() < 0.5 else Fields(),
        icc=rng.random() < 0.5,
        quality=rng.choice((None, 1, 60, 100)),
        optimize=rng.random() < 0.5,
        bake_orientation=rng.random() < 0.5,
        resampling=resample.plan(size, rng.choice((None, 20)), rng.choice((None, b"seed"))),
    )


def _photo(data: bytes) -> str:
    """A picture decoded, concealed and written; what is written is read again, and holds nothing else."""
    rng = random.Random(zlib.crc32(data))  # the same input is treated alike
    try:
        photo = open_photo(data, LIMITS)
        assert photo.size.pixels * photo.frames <= LIMITS.pixels
        assert 1 <= photo.frames <= LIMITS.frames
        reduction = rng.choice((1, 2, 4, 8))
        for frame in range(photo.frames):
            small = photo.preview(reduction, frame)
            assert small.shape == (-(-photo.size.height // reduction), -(-photo.size.width // reduction), 3)
        region = Region(Ellipse(photo.size.width / 2, photo.size.height / 2, 5, 5))
        masks = draw([region], photo.size, feather=0.2)
        output = _output(photo.size, rng)
        encoded = photo.conceal([masks] * photo.frames, _fill if rng.random() < 0.5 else _noise, output)
    except CloakError as error:
        if isinstance(error.__cause__, PngError):
            raise AssertionError("libpng stopped within a picture, which leaks it") from error
        return error.slug
    again = open_photo(encoded.data, Limits())
    size = output.resampling.size if output.resampling else photo.size
    assert (again.size, again.frames, again.format) == (size, photo.frames, photo.format)
    contents = metadata.read(encoded.data)
    assert contents.fault == "", contents.fault
    # What the verifier says, and, without fields to keep, what does not take its word: no metadata of any kind.
    assert not (strange := foreign(encoded.data, contents, output.fields)), strange
    kinds = {Kind.UNKNOWN, Kind.IMAGE} | ({Kind.METADATA} if output.fields == Fields() else set())
    names = {part.name for part in contents.parts if part.kind in kinds}
    assert names <= TURNED, names
    return "written"


def _whole(data: bytes) -> str:
    """Everything: search, concealment and both proofs."""
    try:
        result = anonymize(data, seeds.settings(), key=b"fuzz")
    except CloakError as error:
        return error.slug
    assert result.data is not None
    return str(result.report.status)


def _pipeline(data: bytes) -> str:
    """A pipeline's file; what is accepted can be written down and read again."""
    try:
        made = pipeline.parse(data, "fuzz")
    except CloakError as error:
        return error.slug
    assert pipeline.parse(tomli_w.dumps(made.table()).encode(), "fuzz") == made
    made.hash()
    return "accepted"


def _decisions(data: bytes) -> str:
    """A sidecar; what is accepted can be written down, applied and drawn."""
    try:
        made = decisions.parse(data)
    except CloakError as error:
        return error.slug
    assert decisions.parse(decisions.dump(made)) == made
    size = made.size if made.size.pixels < 500_000 else Size(640, 480)
    try:
        applied = decisions.apply(made, 0, [Face(Box(10, 10, 40, 50), 0.9, "yunet")], size)
    except CloakError as error:
        return error.slug
    if len(applied.areas) < 20:
        draw(applied.areas, size, feather=0.15)
    return "applied"


def _row(data: bytes) -> str:
    """A row of a ledger or report: where faces were concealed."""
    try:
        row = json.loads(data)
    except (ValueError, RecursionError):
        return "no JSON"
    if not isinstance(row, dict):
        return "no row"
    try:
        regions, _, _ = report.remembered(row)
        draw([region for frame in regions for region in frame][:20], Size(200, 200))
    except CloakError as error:
        return error.slug
    return "read"


def _ledger(data: bytes) -> str:
    """A ledger's file, as a run, a review and a verifier read it."""
    path = seeds.folder() / "ledger.sqlite"
    for name in ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm", "ledger.sqlite-journal"):
        (seeds.folder() / name).unlink(missing_ok=True)
    path.write_bytes(data)
    try:
        with Ledger(path, lock=False) as ledger:
            ledger.key(b"photo")
            entry = ledger.find("a.jpg")
            if entry is not None:
                report.remembered(entry.row)
            for _, found, _ in ledger.origins():
                report.remembered(found.row)
            Reviews(ledger).all()
            ledger.name_given("sequence", b"a.jpg")
            ledger.names_given("sequence")
            ledger.under_other_names("sequence")
            ledger.record("b.jpg", Entry("0", "0", None, {}))
            ledger.give_name("sequence", b"c.jpg", "1.jpg")
    except CloakError as error:
        return error.slug
    return "read"


def _request(data: bytes) -> str:
    """A request to the service: first line, headers, a blank line, the body; what works on photos stands aside."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    path, _, query = first.partition(b"?")
    fields = [(name.strip().lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
        "path": path.decode("latin-1"), "raw_path": path, "query_string": query, "root_path": "", "headers": fields,
        "client": ("127.0.0.1", 9), "server": ("127.0.0.1", 8571),
    }  # fmt: skip
    said: list[dict[str, object]] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> dict[str, object]:
        if waiting:
            return waiting.pop()
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    async def send(message: dict[str, object]) -> None:
        said.append(message)

    # In a thread: whoever runs this may have a loop of its own, as Playwright's tests do.
    with ThreadPoolExecutor(1) as thread:
        thread.submit(lambda: asyncio.run(asyncio.wait_for(_service()(scope, receive, send), 20))).result()
    assert said[0]["type"] == "http.response.start"
    status = said[0]["status"]
    assert status in {200, 400, 401, 403, 404, 405, 413, 415, 421, 503}, status
    return str(status)


@cache
def _service() -> Callable[..., object]:
    from cloak.service.app import OPEN_PATHS, Service, create_app
    from cloak.service.guard import Guard
    from cloak.service.settings import Settings
    from cloak.service.work import Answer, Task, _anonymize

    service = Service(Settings(key=b"fuzz", tokens=("fuzz" * 4,), max_bytes=5_000))
    answer = _anonymize(Task("anonymize", making.saved(making.picture(), "PNG"), seeds.settings(), b"fuzz"))

    async def do(task: Task, until: float, watch: object) -> Answer:
        return answer

    service.crew.do = do  # type: ignore[method-assign]
    return Guard(create_app(service), service.settings.tokens, OPEN_PATHS)


def _table() -> Iterator[tuple[str, Target]]:
    kinds = {
        "jpeg": ("jpeg", ("jpeg",)), "png": ("png", ("png", "apng")), "webp": ("webp", ("webp", "webp-animation")),
        "tiff": ("tiff", ("tiff", "tiff-be", "bigtiff")), "gif": ("gif", ("gif",)), "bmp": ("bmp", ("bmp",)),
        "heic": ("boxes", ("heif",)), "avif": ("boxes", ("avif",)),
    }  # fmt: skip
    for kind, (form, planted) in kinds.items():
        taken = partial(seeds.whole, FORMATS.get(kind, kind))
        yield f"photo-{kind}", Target(_photo, partial(seeds.pictures, kind), form, 20_000, taken)
        yield f"read-{kind}", Target(_container, partial(seeds.planted, *planted), form, 60_000, taken)
    yield "jpeg-engine", Target(_engine, lambda: list(jpeg.seeds()), "jpeg", 20_000, partial(seeds.whole, "jpeg"))
    forms = {
        "exif": "tiff", "xmp": "elements", "icc": "", "iptc": "datasets", "resources": "resources", "jumbf": "boxes"
    }  # fmt: skip
    for kind, form in forms.items():
        taken = partial(seeds.inside, kind)
        yield kind, Target(partial(_nested, kind), lambda kind=kind: seeds.carried()[kind], form, 40_000, taken)
    yield "profile", Target(_profile, seeds.profiles, taken=partial(seeds.inside, "icc"))
    yield "manifest", Target(_manifest, seeds.manifests, "boxes", taken=partial(seeds.inside, "jumbf"))
    yield "anonymize", Target(_whole, seeds.all_pictures, "any", 20_000, taken=lambda data: [data])
    yield "pipeline", Target(_pipeline, seeds.shipped, "lines", 8_000)
    yield "decisions", Target(_decisions, seeds.sidecars, "items", 8_000)
    yield "row", Target(_row, seeds.rows, "items", 20_000)
    yield "ledger", Target(_ledger, seeds.ledgers, "", 200_000)
    yield "request", Target(_request, seeds.requests, "lines", 8_000)


def _engine(data: bytes) -> str:
    return jpeg.examine(data, random.Random(zlib.crc32(data)))  # the same input is treated alike


TARGETS: dict[str, Target] = dict(_table())
"""By name: what decodes and what walks each format, then what lies in files, then our own."""

os.environ.setdefault("OMP_NUM_THREADS", "1")
