"""Fields that may be kept: a closed vocabulary, each read tolerantly and written anew as one clean value."""

import datetime
import re
import unicodedata
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from cloak.errors import UnknownName
from cloak.metadata.sources import Sources, gather

KEEP_NAMES: tuple[str, ...] = (
    "copyright",
    "creator",
    "credit",
    "caption",
    "headline",
    "day",
    "datetime",
    "rights_url",
    "usage_terms",
    "licensor",
    "digital_source_type",
    "disclosure",
    "icc",
)
"""Names that a pipeline's `keep` may list. "day" keeps the day a photo was taken, "datetime" the time as well;
"licensor" the licensor's name and URL; "disclosure" is never read from a file (the pipeline sets it when it concealed
something); "icc" concerns the colour profile and no field."""

DISCLOSURE = "Faces in this photo have been concealed."
"""The sentence that a pipeline adds to the caption when it keeps "disclosure" and states no other."""
DISCLOSURE_OF_AREAS = "Areas of this photo have been concealed."
"""The same where no face was concealed, only what a person drew."""


@dataclass(frozen=True, slots=True)
class Fields:
    """Values to write. None: not written.

    Attributes:
        copyright: the copyright notice.
        creator: the photographer; several are joined by "; ".
        credit: the credit line.
        caption: what the picture shows.
        headline: its headline.
        date: when it was taken, by the camera's clock: "2024-05-31", or "2024-05-31T12:00:00".
        rights_url: a web page on the rights.
        usage_terms: how it may be used.
        licensor, licensor_url: who licenses it.
        digital_source_type: a URI of IPTC's vocabulary of that name.
        disclosure: a sentence that tells readers of the concealment; it ends the caption.
    """

    copyright: str | None = None
    creator: str | None = None
    credit: str | None = None
    caption: str | None = None
    headline: str | None = None
    date: str | None = None
    rights_url: str | None = None
    usage_terms: str | None = None
    licensor: str | None = None
    licensor_url: str | None = None
    digital_source_type: str | None = None
    disclosure: str | None = None


LENGTHS: dict[str, int] = {
    "copyright": 500,
    "creator": 300,
    "credit": 300,
    "caption": 4_000,
    "headline": 500,
    "usage_terms": 1_000,
    "licensor": 300,
    "disclosure": 500,
}
"""The most characters of each text, cut behind them: together they fit one JPEG segment however they are escaped."""

_URL_LENGTH = 500

_SOURCE_TYPES = frozenset(
    (
        *("digitalCapture", "computationalCapture", "negativeFilm", "positiveFilm", "print", "humanEdits"),
        *("minorHumanEdits", "compositeCapture", "algorithmicallyEnhanced", "softwareImage", "digitalArt"),
        *("digitalCreation", "dataDrivenMedia", "trainedAlgorithmicMedia", "algorithmicMedia", "screenCapture"),
        *("virtualRecording", "composite", "compositeSynthetic", "compositeWithTrainedAlgorithmicMedia"),
    )
)
_SOURCE_TYPE_URI = "http://cv.iptc.org/newscodes/digitalsourcetype/"

_NOT_BY_A_PERSON = re.compile(
    r"[A-Z0-9 .-]{0,40}\bDIGITAL (STILL )?CAMERA|\w{0,12} ?DSC( picture)?|DCF 1\.0|<?(Digimax|KENOX)\b.{0,30}"
    r"|(DSCN?|IMG|PICT|P)_?\d{3,8}|(?i:exif[ _]jpeg[ _]picture|dcim\b.{0,40}|picasa\b.{0,20}|jpeg|camera)"
)
"""What cameras and programs write when nobody wrote anything; it tells the device and nothing else."""


def cleaned(fields: Fields) -> Fields:
    """The same fields, each made safe to write; a value of which nothing is left is None.

    Texts: Unicode NFC, one space for every run of white space; without control, format, private and unassigned
    characters (so without any that reorder text) and without the invisible ones that could carry a hidden message;
    cut to `LENGTHS`. URLs: http and https to a host name, without user, password, query and fragment, which could name
    an account or a session. Source types: codes of the vocabulary only. Dates: a real day, from the year 1800 on.
    """
    texts = {name: clean_text(getattr(fields, name), length) for name, length in LENGTHS.items()}
    return replace(
        fields,
        **texts,
        date=_date(fields.date),
        rights_url=clean_url(fields.rights_url),
        licensor_url=clean_url(fields.licensor_url),
        digital_source_type=_source_type(fields.digital_source_type),
    )


def clean_text(text: str | None, length: int) -> str | None:
    """At most `length` characters as `cleaned` says; None if nothing is left."""
    if text is None:
        return None
    # Normalising may take time in the square of a run of combining marks: bound what goes in.
    visible = "".join(map(_visible, text[: 4 * length + 256]))
    visible = unicodedata.normalize("NFC", " ".join(visible.split()))
    return visible[:length].strip() or None


def _visible(character: str) -> str:
    if character.isspace():
        return " "
    if unicodedata.category(character)[0] == "C" or _INVISIBLE.match(character):
        return ""
    return character


_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
"""Default_Ignorable_Code_Point of the Unicode database, as far as the categories C* leave it, and the blank Braille."""


def clean_url(text: str | None) -> str | None:
    """The URL as `cleaned` says; None for any that is no plain address of a web page."""
    if text is None or len(text) > 4 * _URL_LENGTH:
        return None
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if parts.scheme not in ("http", "https") or host is None or not _HOST.fullmatch(host):
        return None
    if not _PATH.fullmatch(parts.path) or (port is not None and port not in (80, 443, 8080)):
        return None
    place = host if port is None else f"{host}:{port}"
    url = f"{parts.scheme}://{place}{parts.path}"
    return url if len(url) <= _URL_LENGTH else None


_HOST = re.compile(r"(?=.{4,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]")
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")


def _source_type(text: str | None) -> str | None:
    code = (text or "").strip().rstrip("/").rpartition("/")[2]
    return _SOURCE_TYPE_URI + code if code in _SOURCE_TYPES else None


def _date(text: str | None) -> str | None:
    match = _DATE.fullmatch((text or "").strip())
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part) if part else None for part in match.groups())
    try:
        date = datetime.date(year or 0, month or 0, day or 0)
        if date.year < 1800:
            return None
        if hour is None:
            return date.isoformat()
        return f"{date.isoformat()}T{datetime.time(hour, minute or 0, second or 0).isoformat()}"
    except ValueError:
        return None


_DATE = re.compile(
    # EXIF "2024:05:31 12:00:00" (blanks or zeros: unknown), XMP "2024-05-31T12:00:00.00+02:00", IIM "20240531".
    r"([12]\d{3})[:/.-]?(\d\d)[:/.-]?(\d\d)"
    r"(?:[T ]+(?:([01]\d|2[0-3]):?([0-5]\d)(?::?([0-5]\d))?(?:[.,]\d{1,9})?(?: ?Z| ?[+-]\d\d:?\d\d)?|[ :]*))?",
    re.ASCII,
)


def read_fields(data: bytes, keep: frozenset[str]) -> Fields:
    """The fields named in `keep`, as far as the file holds them, `cleaned`.

    EXIF counts before XMP and XMP before IPTC, but IPTC that was edited after the XMP before it (Metadata Working
    Group, Guidelines for Handling Image Metadata 2.0, 2010, chapter 5); a value that cleans to nothing does not count.
    Never raises for what is in `data`. Raises `UnknownName` for a name that is not in `KEEP_NAMES`.
    """
    for name in keep:
        if name not in KEEP_NAMES:
            raise UnknownName("field to keep", name, KEEP_NAMES)
    if keep <= {"icc", "disclosure"}:
        return Fields()
    all_fields = read_all(data)
    names = {_FIELDS_KEPT.get(name, name) for name in keep - {"icc", "disclosure"}}
    if "licensor" in keep:
        names.add("licensor_url")
    kept = Fields(**{name: getattr(all_fields, name) for name in names})
    return kept if "datetime" in keep or kept.date is None else replace(kept, date=kept.date[:10])


_FIELDS_KEPT = {"day": "date", "datetime": "date"}


def read_all(data: bytes) -> Fields:
    """All fields that the file holds, as `read_fields` reads them, but `disclosure`. Never raises."""
    sources = gather(data)
    return Fields(**{name: _first(sources, name) for name in _PLACES})


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a field is read: EXIF tag, XMP property (and the element inside it), IPTC dataset of record 2."""

    exif: int = 0
    xmp: str = ""
    iptc: int = 0
    inner: str = ""


_PLACES = {
    "copyright": _Places(0x8298, "dc:rights", 116),
    "creator": _Places(0x013B, "dc:creator", 80),
    "credit": _Places(0, "photoshop:Credit", 110),
    "caption": _Places(0x010E, "dc:description", 120),
    "headline": _Places(0, "photoshop:Headline", 105),
    "date": _Places(0x9003, "photoshop:DateCreated", 55),
    "rights_url": _Places(0, "xmpRights:WebStatement"),
    "usage_terms": _Places(0, "xmpRights:UsageTerms"),
    "licensor": _Places(0, "plus:Licensor", 0, "LicensorName"),
    "licensor_url": _Places(0, "plus:Licensor", 0, "LicensorURL"),
    "digital_source_type": _Places(0, "Iptc4xmpExt:DigitalSourceType"),
}


def _first(sources: Sources, name: str) -> str | None:
    """The clean value from the first place that has one."""
    places = _PLACES[name]
    values = [_from_xmp(sources, places, name), _from_iptc(sources, places, name)]
    if sources.iptc_newer:
        values.reverse()
    for value in (_from_exif(sources, places, name), *values):
        clean = getattr(cleaned(Fields(**{name: value})), name) if value else None
        if clean is not None and _NOT_BY_A_PERSON.fullmatch(clean) is None:
            return str(clean)
    return None


def _from_exif(sources: Sources, places: _Places, name: str) -> str | None:
    raw = sources.exif.get(places.exif)
    if raw is None:
        return None
    # The photographer's and the editor's copyright are two strings in one field (Exif 3.0, 4.6.4).
    texts = [decoded(part).strip() for part in raw.split(b"\0")]
    texts = texts if name == "copyright" else texts[:1]
    return "; ".join(text for text in texts if text)


def _from_xmp(sources: Sources, places: _Places, name: str) -> str | None:
    texts = [text for inner, text in sources.xmp.get(places.xmp, []) if inner == places.inner or not places.inner]
    # Of language alternatives the default stands first (ISO 16684-1, 8.2.2.4); only creators are many.
    return "; ".join(texts[:32] if name == "creator" else texts[:1])


def _from_iptc(sources: Sources, places: _Places, name: str) -> str | None:
    if not places.iptc:
        return None
    texts = [decoded(value).replace("\0", " ") for value in sources.iptc.get((2, places.iptc), [])]
    if name == "date" and texts:
        time = [decoded(value) for value in sources.iptc.get((2, 60), [])]
        both = " ".join([texts[0], *time[:1]])
        return both if _date(both) else texts[0]
    return "; ".join(texts[:32] if name == "creator" else texts[:1])


def decoded(raw: bytes) -> str:
    """Text of an unstated encoding: UTF-8 if it is valid, also with its last character cut, else Windows' Western."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        whole = raw[: error.start].decode()
        if error.reason == "unexpected end of data" and not whole.isascii():
            return whole
        return raw.decode("cp1252", "ignore")
