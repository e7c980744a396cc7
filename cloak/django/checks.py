"""`manage.py check`: whether a photo could reach the disk as it is."""

from typing import Any

from django.conf import settings as site
from django.core.checks import CheckMessage, Error, Warning
from django.core.files.storage import storages

from cloak.django.cleaning import client, pipeline, settings, words
from cloak.django.storage import CleanStorage
from cloak.errors import CloakError
from cloak.pipeline import SHIPPED, Pipeline

HANDLER = "cloak.django.uploads.UploadHandler"


def check(**_: Any) -> list[CheckMessage]:
    """What is wrong with a site's settings."""
    found: list[CheckMessage] = []
    handlers = list(site.FILE_UPLOAD_HANDLERS)
    if HANDLER not in handlers:
        found.append(
            Error("Uploads are not cleaned.", hint=f"Put {HANDLER!r} first in FILE_UPLOAD_HANDLERS.", id="cloak.E001")
        )
    elif handlers[0] != HANDLER:
        found.append(
            Error(
                "Another upload handler comes first: it sees photos before they are cleaned.",
                hint=f"Put {HANDLER!r} first in FILE_UPLOAD_HANDLERS.", id="cloak.E002",
            )
        )  # fmt: skip
    try:
        chosen = settings()
        if chosen.server:
            client(chosen)
            if chosen.pipeline.endswith(".toml"):
                found.append(
                    Error(
                        "A service takes names of pipelines, not files.",
                        hint="Start it with --add-pipeline.",
                        id="cloak.E004",
                    )
                )
        # What a service was started with, only the service knows.
        known = not chosen.server or chosen.pipeline in SHIPPED
        local = pipeline(chosen.pipeline, chosen.max_bytes) if known else None
    except CloakError as error:
        return [*found, Error(words(error), hint="Correct CLOAK in the settings.", id="cloak.E003")]
    if type(storages["default"]) is not CleanStorage:
        found.append(
            Warning(
                "Photos that programs save are not cleaned.",
                hint="Make cloak.django.storage.CleanStorage the default of STORAGES, around yours.", id="cloak.W001",
            )
        )  # fmt: skip
    if getattr(site, "ASGI_APPLICATION", None) and chosen.max_bytes > site.FILE_UPLOAD_MAX_MEMORY_SIZE:
        found.append(
            Warning(
                "Under ASGI, Django writes requests over FILE_UPLOAD_MAX_MEMORY_SIZE to the disk before any handler.",
                hint="Raise it to CLOAK's MAX_BYTES, or serve uploads over WSGI.", id="cloak.W002",
            )
        )  # fmt: skip
    return [*found, *_holding(local)] if local else found


def _holding(chosen: Pipeline) -> list[CheckMessage]:
    """A pipeline that waits for a person would refuse every upload; or every rendition, which has no face left."""
    if chosen.review == "required":
        return [
            Error(
                "The pipeline publishes nothing before a person has accepted it: every photo would be refused.",
                hint="Choose one without review = 'required'; cms, unless you wrote your own.", id="cloak.E006",
            )
        ]  # fmt: skip
    if "wagtail.images" not in site.INSTALLED_APPS or getattr(site, "WAGTAILIMAGES_RENDITION_STORAGE", None):
        return []
    if chosen.no_face == "hold" and type(storages["default"]) is CleanStorage:
        return [
            Error(
                "The pipeline holds photos without faces back, and so all of Wagtail's renditions of clean ones.",
                hint="Name the wrapped storage in WAGTAILIMAGES_RENDITION_STORAGE.", id="cloak.E005",
            )
        ]  # fmt: skip
    return []
