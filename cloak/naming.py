"""What published files are called: an original's name may tell who, when and with which camera."""

import os
import secrets
from dataclasses import replace
from pathlib import PurePath
from typing import get_args

from cloak.errors import Withheld
from cloak.files import read
from cloak.intake import Item, LeftOut
from cloak.ledger import Ledger
from cloak.metadata import sniff
from cloak.pipeline import Names
from cloak.store import Folder

NAMES: tuple[Names, ...] = get_args(Names)
"""keep: names and folders as they are. sequence: 0001.jpg on, in the order of the run, in one folder. random: 16 random
hexadecimal digits, in one folder; they tell nothing, not even an order."""

_SUFFIX = {
    "avif": ".avif", "bmp": ".bmp", "gif": ".gif", "heif": ".heic", "jpeg": ".jpg", "png": ".png", "tiff": ".tif",
    "webp": ".webp",
}  # fmt: skip
"""By format: the original's own (".HIF", ".JPG_original") may tell of its maker."""


class Naming:
    """Gives photos their published names, the same again in every later run on one ledger.

    Args:
        policy: one of `NAMES`.
        ledger: of the output folder; it keeps the names given, and only it tells which original has which.
        folder: names that something has there already are not given.
    """

    def __init__(self, policy: Names, ledger: Ledger, folder: Folder) -> None:
        self._policy, self._ledger, self._folder = policy, ledger, folder
        self._count = 0

    def __call__(self, item: Item) -> Item:
        """The item under its published name. Raises `OutputError` when the ledger cannot be written."""
        if self._policy == "keep":
            return item
        own = os.fsencode(item.name)
        given = self._ledger.name_given(self._policy, own)
        # A file that was still being written may have got no suffix, or another one; nothing came of it then.
        early = given is not None and self._ledger.find(given) is None
        if given is not None and early and _suffix(item) not in {"", PurePath(given).suffix}:
            self._ledger.forget_name(given)
            given = None
        while given is None:
            name = self._draw() + _suffix(item)
            if not self._folder.path(PurePath(name)).exists() and self._ledger.give_name(self._policy, own, name):
                given = name
        return replace(item, name=PurePath(given))

    def _draw(self) -> str:
        if self._policy == "random":
            return secrets.token_hex(8)
        self._count = max(self._count, self._ledger.names_given(self._policy)) + 1
        return f"{self._count:04}"


def earlier_names(policy: Names, ledger: Ledger, folder: Folder) -> list[LeftOut]:
    """Files in the output folder that an earlier run published under other names than are given now, if any are."""
    if policy == "keep":
        return []
    reasons = {
        True: "published by an earlier run under its own name: remove it if the name must not be known",
        False: "published by an earlier run under a name of another policy: remove it if it stands there twice",
    }
    found = ((folder.root / name, reasons[own]) for name, own in ledger.under_other_names(policy))
    return [LeftOut(place, reason) for place, reason in found if place.exists()]


def _suffix(item: Item) -> str:
    """By content; for what is no photo it hardly matters, as nothing is published."""
    try:
        return _SUFFIX.get(sniff(read(item.path, 1 << 40, most=64)), "")
    except Withheld:
        return ""
