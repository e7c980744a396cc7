"""Taking back what was published: of other bytes, in another way, or of what a person holds."""

import contextlib
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath

from cloak.errors import NotWritten
from cloak.files import may_be, printable
from cloak.ledger import Ledger
from cloak.records import Entry, Origin, Records
from cloak.result import Status
from cloak.store import Store


def withdraw(
    name: PurePath, store: Store, ledger: Records, known: Entry | None, origin: Origin | None = None
) -> Entry | None:
    """What an earlier run or verdict published of other bytes, or in another way, is not what is asked for now.

    It goes before the work begins, so that nothing of it is left whatever becomes of the photo: withheld, held, or the
    worker killed. Only what its record names is ours to withdraw, or an object that says so itself.

    Args:
        name, known: of the photo, and its record.
        origin: how it is asked for now. Should it be withheld, a review goes on from there, not from how it was done.

    Returns its record now: without a pipeline, so that the next run does it again.
    """
    standing, published = store.standing(name), known.published if known else None
    if standing is not None and store.ours(standing, published):
        store.withdraw(name)
        standing = None
    if known is None:
        return None
    gone = replace(known, published=published if standing is not None else None, pipeline="")
    if isinstance(ledger, Ledger) and (gone.published != published or origin):
        ledger.record(printable(name), gone, origin)
    return gone


@dataclass(slots=True)
class Gone:
    """What goes with a photo; told whatever becomes of the photo itself.

    Attributes:
        names: what stood of the same bytes under other names, safe to print.
        replaces: the original, elsewhere, of what was published under the photo's name; "" if nothing was.
    """

    names: list[str] = field(default_factory=list)
    replaces: str = ""


def take_back(
    store: Store, ledger: Records, content: str, digest: str, own: PurePath | None, gone: Gone, *, held: bool
) -> None:
    """Nothing of a photo is to be published: nothing of its bytes stands afterwards, or it is named.

    Args:
        content: the ledger's key of the bytes.
        digest: of the treatment that is asked for: what was published so under other names stays.
        own: the photo's name; None if what stands there is as it is asked for.
        gone: gets the names of what stood there but under its own.
        held: a person holds the bytes: nothing of them stays.

    Raises `NotWritten` for what is not ours to withdraw, or cannot be withdrawn, once all the rest is.
    """
    names, refused = [] if own is None else [own], list[NotWritten]()
    with ledger.transaction() if isinstance(ledger, Ledger) else contextlib.nullcontext():  # nobody publishes meanwhile
        if isinstance(ledger, Ledger):  # of photos in a store nobody remembers which are alike
            names += [name for name in ledger.published_of(content, None if held else digest) if name != own]
        for name in names:
            target, known = printable(name), ledger.find(printable(name))
            try:
                _take(name, store, ledger, known, None if name == own else gone)
            except NotWritten as error:
                refused.append(error)
                continue
            if held and known is not None and known.published is not None:
                row = {key: value for key, value in known.row.items() if key != "target"} | {"status": str(Status.HELD)}
                ledger.record(target, replace(known, published=None, row=row))
    if refused:
        raise refused[0]


def take_back_older(
    store: Store, ledger: Ledger, content: str, digest: str, decided: str, own: PurePath, source: Path, gone: Gone
) -> None:
    """What was published of an original in another way, under a name that it does not have any more, does not outlive
    what is published of it now: a face may be bare there whose consent has ended, or that a person concealed since.

    Args:
        content: the ledger's key of the original's bytes.
        digest, decided: how they are treated now; what was treated alike stays.
        own: its name now.
        source: where it lies now. What was published of a copy that lies elsewhere, or may, is treated in its own turn.
        gone: gets the names of what stood there.

    Raises `NotWritten` as `take_back`.
    """
    refused = []
    with ledger.transaction():
        for _, entry, origin in ledger.origins(content):
            alike = (entry.pipeline, entry.row.get("decided", "")) == (digest, decided)
            elsewhere = origin.source != source and may_be(origin.source)
            if entry.published is None or origin.target == own or alike or elsewhere:
                continue
            try:
                _take(origin.target, store, ledger, entry, gone)
            except NotWritten as error:
                refused.append(error)
    if refused:
        raise refused[0]


def _take(name: PurePath, store: Store, ledger: Records, known: Entry | None, gone: Gone | None) -> None:
    """Withdraw what stands at a name, and note that it did. Raises `NotWritten`."""
    stood = store.standing(name) is not None
    withdraw(name, store, ledger, known)
    if store.standing(name) is not None:
        raise NotWritten(
            f"it is to stay unpublished, but a file that the ledger does not know stands there: {printable(name)}",
            next_step="Move that file away, then run or decide again.",
        )
    if stood and gone is not None and printable(name) not in gone.names:
        gone.names.append(printable(name))
