"""When a photo was taken, as a digest that tells another photo of its name.

Editors keep the moment in what they export, so that it stays the same where size, format and tones change. Many strip
it: that there is none says nothing.
"""

import hashlib
import hmac
import re
import secrets

from cloak.metadata.fields import read_fields

ROUNDS = 100_000
"""Of the digest: whoever finds it must not learn the moment by trying the seconds of a day."""

_SEALED = re.compile(r"[0-9a-f]{32}:[0-9a-f]{64}")


def sealed(data: bytes) -> str:
    """A photo's moment, "SALT:DIGEST" in hexadecimal; "" if the file does not tell it to the second."""
    moment = _moment(data)
    salt = secrets.token_hex(16)
    return f"{salt}:{_digest(salt, moment)}" if moment else ""


def is_seal(text: str) -> bool:
    """Whether a text is what `sealed` returns."""
    return not text or _SEALED.fullmatch(text) is not None


def contradicts(seal: str, data: bytes) -> bool:
    """Whether a file says that it was taken at another moment."""
    moment = _moment(data) if seal else ""
    salt, _, digest = seal.partition(":")
    return bool(moment) and not hmac.compare_digest(_digest(salt, moment), digest)


def _moment(data: bytes) -> str:
    date = read_fields(data, frozenset({"datetime"})).date or ""
    return date if "T" in date else ""


def _digest(salt: str, moment: str) -> str:
    return hashlib.pbkdf2_hmac("sha256", moment.encode(), bytes.fromhex(salt), ROUNDS).hex()
