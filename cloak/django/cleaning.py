"""The settings of a site, and the one way from a photo's bytes to clean ones."""

import hashlib
import os
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec
from django.conf import settings as site

from cloak.client import Client
from cloak.errors import UnknownName, UsageError
from cloak.intake import PHOTOS
from cloak.metadata import sniff
from cloak.pipeline import Pipeline, load


@dataclass(frozen=True, slots=True)
class Settings:
    """The dict `CLOAK` of a site's settings, its keys in capitals.

    Attributes:
        pipeline: a shipped name, or the path of a TOML file (in this process only).
        server: address of the service that does the work; "": this process does.
        token: the service's bearer token; "": CLOAK_TOKEN of the environment.
        timeout: seconds to wait for the service.
        max_bytes: the largest photo to take.
        noise_key: same key, same output, where this process does the work; "": drawn for each photo.
    """

    pipeline: str = "cms"
    server: str = ""
    token: str = field(default="", repr=False)
    timeout: float = 120.0
    max_bytes: int = 100_000_000
    noise_key: str = field(default="", repr=False)


def settings() -> Settings:
    """The site's settings. Raises `UsageError` for a key or value that makes no sense."""
    given = getattr(site, "CLOAK", {})
    if not isinstance(given, dict):
        raise UsageError("CLOAK is no dict")
    known = [name.upper() for name in Settings.__slots__]
    for key in given:
        if key not in known:
            raise UnknownName("key in CLOAK", str(key), known)
    try:
        return msgspec.convert({key.lower(): value for key, value in given.items()}, Settings)
    except msgspec.ValidationError as error:
        raise UsageError(f"CLOAK: {error}") from None


def client(chosen: Settings) -> Client:
    """The service. Raises `UsageError` when its address or token is not valid."""
    return Client(chosen.server, chosen.token or os.environ.get("CLOAK_TOKEN", ""), timeout=chosen.timeout)


@lru_cache(maxsize=4)
def pipeline(name: str, max_bytes: int) -> Pipeline:
    """The pipeline of this process. Raises `UsageError` when it is not valid."""
    return load(name, limits={"bytes": max_bytes})


def clean(data: bytes) -> bytes:
    """The clean photo.

    Raises `Withheld` when it cannot be made safe, `Unavailable` when the service does not answer: then nothing may be
    stored. `UsageError` when the settings are wrong.
    """
    chosen = settings()
    if chosen.server:
        return client(chosen).anonymize(data, pipeline=chosen.pipeline)[0]
    from cloak.anonymizer import anonymize

    key = hashlib.sha256(chosen.noise_key.encode()).digest() if chosen.noise_key else None
    return anonymize(data, pipeline(chosen.pipeline, chosen.max_bytes), key=key).published()


def is_photo(name: str, content_type: str, start: bytes) -> bool:
    """Whether a file must be cleaned: by its content, its name or what its sender says of it.

    Whatever promises a picture is cleaned or refused; other files (documents, PDFs too, sounds) are not cloak's to
    judge.
    """
    suffix = os.path.splitext(name)[1].lower()
    return bool(sniff(start)) or suffix in PHOTOS - {".pdf"} or content_type.lower().startswith("image/")


def digest(data: bytes) -> bytes:
    """By which a storage knows again what was cleaned a moment ago in this process. It is kept nowhere."""
    return hashlib.sha256(data).digest()


def words(error: Any) -> str:
    """An error as editors read it."""
    return f"{str(error)[:1].upper()}{str(error)[1:]}. {error.next_step}"
