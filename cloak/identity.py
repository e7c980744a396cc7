"""Whether a file is the photo that decisions were made about: by its bytes, or by the moment when it was taken.

Editors keep the moment in what they export, so that it stays the same where size, format and tones change. Many strip
it: that there is none says nothing.
"""

import hashlib
import hmac
import re
import secrets

from cloak.metadata.fields import read_fields

ROUNDS = 100_000
"""Of the moment's digest: whoever finds it must not learn the moment by trying the seconds of a day."""

_SEAL = re.compile(r"[0-9a-f]{32}:[0-9a-f]{64}:(?:[0-9a-f]{64})?")


def sealed(data: bytes) -> str:
    """A photo's "SALT:BYTES:MOMENT", digests in hexadecimal; no moment if the file does not tell it to the second.

    Whoever does not have the photo learns nothing from it but, by hours of trying, the second in which it was taken.
    """
    salt, moment = secrets.token_hex(16), _moment(data)
    return f"{salt}:{_of_bytes(salt, data)}:{'' if _filled_up(moment) else _of_moment(salt, moment)}"


def is_seal(text: str) -> bool:
    """Whether a text is what `sealed` returns."""
    return _SEAL.fullmatch(text) is not None


def same(seal: str, data: bytes) -> bool | None:
    """Whether a file is the photo of a seal; None where that cannot be told.

    Args:
        seal: "" of a photo that nobody knows.
    """
    if not seal:
        return None
    if unchanged(seal, data):
        return True
    salt, _, moment = seal.split(":")
    taken = _moment(data) if moment else ""
    if not taken:
        return None
    alike = hmac.compare_digest(moment, _of_moment(salt, taken))
    return None if alike and _filled_up(taken) else alike


def unchanged(seal: str, data: bytes) -> bool:
    """Whether a file is, byte for byte, the photo of a seal."""
    salt, _, rest = seal.partition(":")
    return bool(seal) and hmac.compare_digest(rest.partition(":")[0], _of_bytes(salt, data))


def _of_bytes(salt: str, data: bytes) -> str:
    return hmac.digest(bytes.fromhex(salt), hashlib.sha256(data).digest(), "sha256").hex()


def _moment(data: bytes) -> str:
    """The date taken by the camera's clock, with its time; "" where there is none."""
    moment = read_fields(data, frozenset({"datetime"})).date or ""
    return moment if "T" in moment else ""


def _filled_up(moment: str) -> bool:
    """Those who state the minute, the hour or the day only write zeros behind it: many photos have that moment."""
    return moment.endswith(":00")


def _of_moment(salt: str, moment: str) -> str:
    if not moment:
        return ""
    return hashlib.pbkdf2_hmac("sha256", moment.encode(), bytes.fromhex(salt), ROUNDS).hex()
