"""Files with a unique marker string in every carrier that their format has.

    data, carriers = plant.PLANTED["jpeg"]()

`carriers` maps each marker to the name of the part (as `cloak.metadata` names it) that holds it. Most markers stand in
the bytes as they are; those in compressed carriers, or split over segments, show after inflating or reassembling.
Every file decodes. Pass a picture of your own to plant around it.
"""

import hashlib
import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image

from tests import plant_heif
from tests.plant_parts import (
    Markers,
    Tiff,
    archive,
    box,
    exif,
    exif_fields,
    icc,
    iptc,
    jpeg,
    jumbf,
    mark,
    picture,
    resources,
    samsung,
    segment,
    small_xmp,
    text,
    video,
    xmp,
)

Planted = tuple[bytes, Markers]


def _halves(data: bytes, marker: bytes) -> tuple[bytes, bytes]:
    """Two pieces, cut in the middle of a marker."""
    cut = data.index(marker) + len(marker) // 2
    return data[:cut], data[cut:]


def planted_jpeg(image: Image.Image | None = None) -> Planted:
    """A baseline JPEG with some fifty carriers, behind its end as well."""
    image = image or picture()
    plain = jpeg(image)
    jfif_end = 4 + struct.unpack(">H", plain[4:6])[0]
    thumbnail = (mark("JFIF_Thumb") + bytes(75))[:75]
    jfif = segment(0xE0, plain[6 : jfif_end - 2] + b"\5\5" + thumbnail + mark("JFIF_Slack"))
    found: Markers = {
        text("JFIF_Thumb"): "JFIF thumbnail",
        text("JFIF_Slack"): "APP0 JFIF slack",
        text("JFXX"): "APP0 JFXX",
        text("JFXX_JPEG"): "APP0 JFXX",
    }
    head = jfif + segment(0xE0, b"JFXX\0\x13\x14\x14" + (mark("JFXX") + bytes(1200))[:1200])
    head += segment(0xE0, b"JFXX\0\x10" + jpeg(picture(40, 30), mark("JFXX_JPEG")))

    block, names = exif("A")
    second, more = exif("Second", ">")
    found |= names | more
    extension = small_xmp(mark("XMP_Extended"))
    guid = hashlib.md5(extension).hexdigest().upper()
    packet, names = xmp("A", guid)
    found |= names | {text("A_XMP_Comment"): "APP1 XMP", text("XMP_Extended"): "XMP dc:creator"}
    pieces = _halves(extension, mark("XMP_Extended"))
    namespace = b"http://ns.adobe.com/xmp/extension/\0" + guid.encode() + struct.pack(">I", len(extension))
    head += segment(0xE1, b"Exif\0\0" + block) + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + packet)
    head += segment(0xE1, namespace + struct.pack(">I", len(pieces[0])) + pieces[1])  # out of order on purpose
    head += segment(0xE1, namespace + struct.pack(">I", 0) + pieces[0])
    head += segment(0xE1, b"Exif\0\0" + second)

    profile, names = icc("A")
    found |= names
    for number, piece in enumerate(_halves(profile, mark("A_ICC_Device")), 1):
        head += segment(0xE2, b"ICC_PROFILE\0" + bytes([number, 2]) + piece)
    found[text("FPXR")] = "APP2 FPXR"
    head += segment(0xE2, b"FPXR\0" + mark("FPXR"))
    for code in (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12, 14, 15):
        head += segment(0xE0 + code, b"UNKN\0" + mark(f"APP{code}"))
        found[text(f"APP{code}")] = f"APP{code} other"
    for code, lead, name in ((3, b"Meta\0", "Meta"), (10, b"UNICODE\0", "comment"), (12, b"Ducky", "Ducky")):
        head += segment(0xE0 + code, lead + mark(f"APP_{name}"))
        found[text(f"APP_{name}")] = f"APP{code} {name}"
    manifest, names = jumbf("A")
    found |= names
    first, rest = _halves(manifest, mark("A_C2PA_Assertion"))
    for number, piece in enumerate((first, manifest[:8] + rest), 1):
        head += segment(0xEB, b"JP" + struct.pack(">HI", 1, number) + piece)
    edits, names = resources("A")
    found |= names
    for piece in _halves(edits, mark("A_8BIM_IPTC_Caption")):
        head += segment(0xED, b"Photoshop 3.0\0" + piece)
    head += segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + mark("Adobe_Slack")) + segment(0xFE, mark("COM"))
    found |= {text("Adobe_Slack"): "APP14 Adobe slack", text("COM"): "COM"}
    # A table that no component uses, and bytes that are no segment: decoders skip both.
    head += segment(0xDB, b"\3" + (mark("DQT_Unused") + bytes([1] * 64))[:64]) + mark("Between")
    found |= {text("DQT_Unused"): "DQT unused table", text("Between"): "unknown bytes"}

    picture_rest = plain[jfif_end:]
    secondary = jpeg(picture(200, 150), mark("MPF_Image"))
    gain_map = segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + small_xmp(mark("MPF_XMP")))
    secondary = secondary[:2] + gain_map + secondary[2:]
    size = 2 + len(head) + len(_mpf(0, 0, 0)) + len(picture_rest)
    base = 2 + len(head) + 8
    data = b"\xff\xd8" + head + _mpf(size, size - base, len(secondary)) + picture_rest + secondary
    data += video(mark("Motion")) + jpeg(picture(32, 32), mark("Second_JPEG")) + archive(mark("Archive"))
    data += samsung(mark("SEFT")) + mark("After_EOI")
    return data, found | {
        text("MPF_Image"): "after EOI MPF image",
        text("MPF_XMP"): "XMP dc:creator",
        text("Motion"): "after EOI MP4",
        text("Second_JPEG"): "after EOI JPEG",
        text("Archive"): "after EOI ZIP",
        text("SEFT"): "after EOI Samsung SEFT",
        text("After_EOI"): "after EOI",
    }


def _mpf(first: int, offset: int, size: int) -> bytes:
    rows = struct.pack("<HHI4s", 0xB000, 7, 4, b"0100") + struct.pack("<HHII", 0xB001, 4, 1, 2)
    rows += struct.pack("<HHII", 0xB002, 7, 32, 8 + 2 + 36 + 4)
    entries = struct.pack("<IIIHH", 0x030000, first, 0, 0, 0) + struct.pack("<IIIHH", 0, size, offset, 0, 0)
    return segment(0xE2, b"MPF\0II*\0" + struct.pack("<IH", 8, 3) + rows + bytes(4) + entries)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _png_ancillary(prefix: str) -> tuple[bytes, bytes, Markers]:
    """(chunks before the pixels, chunks and bytes after them, markers)."""
    profile, found = icc(prefix)
    block, names = exif(prefix, ">")
    packet, more = xmp(prefix)
    manifest, labels = jumbf(prefix)
    found |= names | more | labels | {text(f"{prefix}_XMP_Comment"): "PNG iTXt"}

    def text_chunk(kind: bytes, name: str, lead: bytes, packed: bool = False) -> bytes:
        found[text(f"{prefix}_{name}")] = f"PNG {kind.decode()}"
        value = mark(f"{prefix}_{name}")
        return chunk(kind, lead + (zlib.compress(value) if packed else value))

    hexed = b"\nexif\n%8d\n" % len(block) + mark(f"{prefix}_Raw").hex().encode() + b"\n"
    packed = zlib.compress(profile) + mark(f"{prefix}_iCCP_Behind")
    before = chunk(b"iCCP", mark(f"{prefix}_Profile") + b"\0\0" + packed)
    before += text_chunk(b"tEXt", "tEXt", b"Author\0") + text_chunk(b"zTXt", "zTXt", b"Comment\0\0", True)
    before += text_chunk(b"iTXt", "iTXt", b"Title\0\0\0en\0Titel\0")
    before += text_chunk(b"iTXt", "iTXtz", b"Title\0\1\0\0\0", True)
    before += chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + packet) + chunk(b"eXIf", block)
    before += chunk(b"tEXt", b"Raw profile type exif\0" + hexed) + chunk(b"caBX", manifest)
    before += chunk(b"tIME", struct.pack(">HBBBBB", 2021, 3, 4, 5, 6, 7))
    before += chunk(b"sPLT", mark(f"{prefix}_sPLT") + b"\0\x08" + bytes(6)) + chunk(b"prVt", mark(f"{prefix}_prVt"))
    before += chunk(b"dSIG", mark(f"{prefix}_dSIG")) + chunk(b"pHYs", struct.pack(">IIB", 2835, 2835, 1))
    after = text_chunk(b"tEXt", "tEXt_Late", b"Late\0") + chunk(b"IEND", b"") + mark(f"{prefix}_After")
    found |= {
        text(f"{prefix}_Profile"): "PNG iCCP",
        text(f"{prefix}_iCCP_Behind"): "PNG data behind the zlib stream",
        text(f"{prefix}_sPLT"): "PNG sPLT",
        text(f"{prefix}_prVt"): "PNG prVt",
        text(f"{prefix}_dSIG"): "PNG dSIG",
        text(f"{prefix}_After"): "after IEND",
    }
    return before, after, found


def _pixels(image: Image.Image) -> bytes:
    rows = image.tobytes()
    step = len(rows) // image.height
    return b"".join(b"\0" + rows[at : at + step] for at in range(0, len(rows), step))


def planted_png(image: Image.Image | None = None) -> Planted:
    """An RGBA PNG; colour that says a marker is hidden under full transparency, too."""
    image = (image or picture()).convert("RGBA")
    before, after, found = _png_ancillary("PNG")
    hidden = mark("PNG_Hidden_Colour")
    pixels = bytearray(_pixels(image))
    for number, byte in enumerate(hidden):  # the red of transparent pixels in the first row
        pixels[1 + 4 * number : 5 + 4 * number] = bytes([byte, byte, byte, 0])
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, 6, 0, 0, 0)
    packed = zlib.compress(bytes(pixels)) + mark("PNG_Behind_IDAT")
    found[text("PNG_Behind_IDAT")] = "PNG data behind the zlib stream"
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before
    return data + chunk(b"IDAT", packed[:999]) + chunk(b"IDAT", packed[999:]) + after, found


def planted_apng(image: Image.Image | None = None) -> Planted:
    """Two frames; the second one's stream is followed by a marker."""
    image = (image or picture(96, 80)).convert("RGB")
    before, after, found = _png_ancillary("APNG")
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, 2, 0, 0, 0)

    def control(number: int) -> bytes:
        return chunk(b"fcTL", struct.pack(">IIIIIHHBB", number, image.width, image.height, 0, 0, 1, 10, 0, 0))

    second = struct.pack(">I", 2) + zlib.compress(_pixels(image.rotate(180))) + mark("APNG_Behind_fdAT")
    found[text("APNG_Behind_fdAT")] = "PNG data behind the zlib stream"
    data = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + before + chunk(b"acTL", struct.pack(">II", 2, 0))
    data += control(0) + chunk(b"IDAT", zlib.compress(_pixels(image))) + control(1) + chunk(b"fdAT", second)
    return data + after, found


def riff_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) & 1)


def _webp(image: Image.Image, prefix: str, **options: object) -> Planted:
    profile, found = icc(prefix)
    block, names = exif(prefix)
    packet, more = xmp(prefix)
    found |= names | more
    out = io.BytesIO()
    image.save(out, "WEBP", icc_profile=profile, exif=block, xmp=packet, **options)
    body = out.getvalue()[8:]
    manifest, labels = jumbf(prefix)
    found |= labels
    body += riff_chunk(b"C2PA", manifest) + riff_chunk(b"UNKN", mark(f"{prefix}_Unknown"))
    found |= {
        text(f"{prefix}_XMP_Comment"): "XMP ",
        text(f"{prefix}_Unknown"): "UNKN",
        text(f"{prefix}_After"): "after RIFF",
    }
    return b"RIFF" + struct.pack("<I", len(body)) + body + mark(f"{prefix}_After"), found


def planted_webp(image: Image.Image | None = None) -> Planted:
    """A lossy WebP with all chunks, an unknown one and trailing bytes."""
    return _webp(image or picture(), "WEBP", quality=90)


def planted_webp_animation(image: Image.Image | None = None) -> Planted:
    """The same around two frames; an unknown chunk lies inside the first one."""
    image = image or picture(96, 80)
    data, found = _webp(image, "AWEBP", save_all=True, append_images=[image.rotate(180)], duration=100)
    at = data.index(b"ANMF")
    size = struct.unpack("<I", data[at + 4 : at + 8])[0]
    inner = riff_chunk(b"HIDE", mark("AWEBP_In_Frame"))
    found[text("AWEBP_In_Frame")] = "HIDE"
    end = at + 8 + size
    data = data[: at + 4] + struct.pack("<I", size + len(inner)) + data[at + 8 : end] + inner + data[end:]
    total = data.index(mark("AWEBP_After")) - 8
    return data[:4] + struct.pack("<I", total) + data[8:], found


def _tiff(image: Image.Image, order: str, big: bool, prefix: str) -> Planted:
    tiff = Tiff(order, big)
    main, found = exif_fields(tiff, prefix, "TIFF")
    names: Markers = {}
    packet, more = xmp(prefix)
    datasets, sets = iptc(prefix)
    edits, blocks = resources(prefix)
    profile, colours = icc(prefix)
    manifest, labels = jumbf(prefix)
    names |= more | sets | blocks | colours | labels | {text(f"{prefix}_XMP_Comment"): "TIFF IFD0 0x02BC XMP"}

    def page(picture: Image.Image, *fields: tuple[int, int, bytes], linked: bool = True, lead: bytes = b"") -> int:
        half = picture.height // 2
        rows = picture.convert("RGB").tobytes()
        cut = half * picture.width * 3
        first = tiff.append(lead + rows[:cut]) + len(lead)
        tiff.append(mark(f"{prefix}_Gap{picture.width}"))
        names[text(f"{prefix}_Gap{picture.width}")] = "TIFF gap"
        last = tiff.append(rows[cut:])
        number = tiff.pack
        base = [
            *((tag, 3, number("H", value)) for tag, value in ((0x0103, 1), (0x0106, 2), (0x0115, 3), (0x011C, 1))),
            (0x0100, 4, number("I", picture.width)),
            (0x0101, 4, number("I", picture.height)),
            (0x0102, 3, number("HHH", 8, 8, 8)),
            tiff.pointer(0x0111, first, last),
            (0x0116, 4, number("I", half)),
            (0x0117, 4, number("II", cut, len(rows) - cut)),
        ]
        return tiff.directory([*base, *fields], linked)

    reduced = (0x00FE, 4, tiff.pack("I", 1))
    sub = page(image.resize((80, 60)), reduced, (0x013B, 2, mark(f"{prefix}_SubArtist") + b"\0"), linked=False)
    page(
        image,
        *main,
        (0x02BC, 1, packet),
        (0x83BB, 7, datasets),
        (0x8649, 1, edits),
        (0x8773, 7, profile),
        (0xCD41, 7, manifest),
        tiff.pointer(0x014A, sub),
        lead=mark(f"{prefix}_BeforeStrips"),
    )
    page(image.resize((64, 48)), reduced, (0x013B, 2, mark(f"{prefix}_Page2Artist") + b"\0"))
    tiff.data += mark(f"{prefix}_Trailing")
    names |= {
        text(f"{prefix}_SubArtist"): "TIFF SubIFD 0x013B Artist",
        text(f"{prefix}_Page2Artist"): "TIFF IFD1 0x013B Artist",
        text(f"{prefix}_BeforeStrips"): "TIFF gap",
        text(f"{prefix}_Trailing"): "TIFF gap",
    }
    return bytes(tiff.data), found | names


def planted_gif(image: Image.Image | None = None) -> Planted:
    """A still GIF89a with extensions of every kind."""
    out = io.BytesIO()
    (image or picture()).quantize(64).save(out, "GIF")
    plain = out.getvalue().replace(b"GIF87a", b"GIF89a", 1)
    start = 13 + 3 * (2 << (plain[10] & 7))
    packet, found = xmp("GIF")
    profile, colours = icc("GIF")
    edits, blocks = resources("GIF")

    def blocks_of(data: bytes) -> bytes:
        return b"".join(bytes([len(data[i : i + 255])]) + data[i : i + 255] for i in range(0, len(data), 255)) + b"\0"

    magic = bytes([1, *range(255, -1, -1)]) + b"\0"
    extra = b"\x21\xff\x0bXMP DataXMP" + packet + magic
    extra += b"\x21\xff\x0bICCRGBG1012" + blocks_of(profile) + b"\x21\xff\x0bMGK8BIM0000" + blocks_of(edits)
    manifest, labels = jumbf("GIF")
    extra += b"\x21\xff\x0bC2PA_GIF\x01\x00\x00" + blocks_of(manifest)
    extra += b"\x21\xff\x0bACMEAPP1.0a" + blocks_of(mark("GIF_Application"))
    extra += b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0" + blocks_of(mark("GIF_Loop_Slack"))
    extra += b"\x21\xfe" + blocks_of(mark("GIF_Comment")) + b"\x21\xce" + blocks_of(mark("GIF_Extension"))
    late = b"\x21\xfe" + blocks_of(mark("GIF_Comment_Late")) + b"\x21\x01\x0c" + bytes(12) + blocks_of(mark("GIF_Text"))
    return plain[:start] + extra + plain[start:-1] + late + b";" + mark(
        "GIF_After"
    ), found | colours | blocks | labels | {
        text("GIF_XMP_Comment"): "GIF application XMP",
        text("GIF_Application"): "GIF application other",
        text("GIF_Loop_Slack"): "GIF application loop slack",
        text("GIF_Comment"): "GIF comment",
        text("GIF_Comment_Late"): "GIF comment",
        text("GIF_Extension"): "GIF unknown extension",
        text("GIF_Text"): "GIF plain text",
        text("GIF_After"): "after trailer",
    }


def planted_bmp(image: Image.Image | None = None) -> Planted:
    """A BITMAPV5HEADER file with an embedded profile, a gap and trailing bytes."""
    image = (image or picture(318, 240)).convert("RGB")
    profile, found = icc("BMP")
    blue = Image.merge("RGB", image.split()[::-1]).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    used = 3 * image.width
    row = -(-used // 4) * 4
    raw = blue.tobytes()
    padding = mark("BMP_Row_Padding").ljust((row - used) * image.height, b"\0") if row > used else b""
    rows = b"".join(
        raw[i * used : (i + 1) * used] + padding[i * (row - used) : (i + 1) * (row - used)] for i in range(image.height)
    )
    start = 14 + 124 + len(mark("BMP_Gap"))
    where = start - 14 + len(rows)
    header = struct.pack("<IiiHHIIiiII", 124, image.width, image.height, 1, 24, 0, len(rows), 2835, 2835, 0, 0)
    header += bytes(16) + struct.pack("<I", 0x4D424544) + bytes(48) + struct.pack("<IIII", 4, where, len(profile), 0)
    data = b"BM" + struct.pack("<IHHI", start + len(rows) + len(profile), 0, 0, start)
    data += header + mark("BMP_Gap") + rows + profile + mark("BMP_Trailing")
    found |= {text("BMP_Gap"): "BMP gap", text("BMP_Trailing"): "BMP gap"}
    return data, found


PLANTED: dict[str, Callable[..., Planted]] = {
    "jpeg": planted_jpeg,
    "png": planted_png,
    "apng": planted_apng,
    "webp": planted_webp,
    "webp-animation": planted_webp_animation,
    "tiff": lambda image=None: _tiff(image or picture(), "<", False, "TIFF"),
    "tiff-be": lambda image=None: _tiff(image or picture(), ">", False, "TIFFBE"),
    "bigtiff": lambda image=None: _tiff(image or picture(), "<", True, "BIGTIFF"),
    "gif": planted_gif,
    "bmp": planted_bmp,
    "heif": lambda image=None: plant_heif.planted(image or picture(), "HEIF"),
    "avif": lambda image=None: plant_heif.planted(image or picture(), "AVIF"),
}
"""One planted file a format, by name; each takes a picture of your own, or makes one."""

__all__ = ["PLANTED", "box", "chunk", "mark", "riff_chunk", "segment"]
