"""What has been done, kept beside the output, so that a run goes on where the last one stopped.

`Records` is what every ledger can do: `cloak.ledger.Ledger` is a SQLite file, `cloak.parts.Parts` lies in a bucket.
"""

import os
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any, Protocol, overload

from cloak.errors import UsageError
from cloak.files import may_be
from cloak.place import Place, Url

VERSION = 1
"""Of what is stored; a ledger of another version is not read."""

LINKS = 40
"""So many lead from one to the next at the most, as Linux has it."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One photo's record."""

    content: str
    pipeline: str
    published: str | None
    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a photo came from and how it was treated, so that it can be treated again after a review.

    Attributes:
        source: absolute path of the original.
        target: its name below the output folder.
        pipeline: hash of the settings.
        pipeline_name: what the user calls them.
        settings: they themselves, as TOML.
    """

    source: Path
    target: PurePath
    pipeline: str
    pipeline_name: str
    settings: str


class Records(Protocol):
    """A ledger: a record for each name below the output.

    A record in a `Ledger` is written before the photo is published; of any other, whoever collects the outcomes writes
    them, after.
    """

    def key(self, data: bytes) -> str:
        """The keyed digest under which a photo's content is known here, and only here."""

    def find(self, name: str) -> Entry | None:
        """The latest record of a name."""

    def record(self, name: str, entry: Entry) -> None:
        """Write a record, at the latest with the next `flush`."""

    def flush(self) -> None:
        """All records are stored when this returns."""

    def close(self) -> None:
        """Flush, and let go."""


@overload
def beside(out: Path) -> Path: ...
@overload
def beside(out: Url) -> Url: ...
def beside(out: Place) -> Place:
    """Where the ledger of an output lies: next to it, never in what is published.

    Raises `UsageError` where it can lie nowhere, or may be another one.
    """
    if isinstance(out, Url):
        if not out.key:
            raise UsageError(
                "the ledger must not lie in the bucket that is published as a whole",
                next_step="Name another place with --ledger, or publish below a prefix.",
            )
        return Url(out.root, out.key + ".cloak")
    whole = Path(os.path.realpath(out))  # a folder has one ledger, whatever links lead to it
    if not whole.name:
        raise UsageError("the output is the whole disk", next_step="Name a folder on it with --out.")
    place, link = next_to(whole), out
    for _ in range(LINKS):
        if not link.is_symlink():
            break
        other = next_to(link)
        # An earlier version's, or of a folder that lay where the link is now.
        if may_be(other) and os.path.realpath(other) != os.path.realpath(place):
            raise UsageError(
                "the output is a link, and a ledger lies beside the link, or may: "
                "what is held there might be published",
                next_step="Name the ledger that counts with --ledger, or move the one beside the link away.",
            )
        link = link.parent / os.readlink(link)  # or to another link
    return place


def next_to(folder: Path) -> Path:
    """The ledger of a folder that no link leads to; see `beside`."""
    return folder.with_name(folder.name + ".cloak") / "ledger.sqlite"
