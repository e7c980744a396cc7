"""One tree of errors; each knows its exit code, its HTTP status and what to do next.

    CloakError
    ├── UsageError               the caller asked for something that cannot be done      exit 2, HTTP 400
    │   ├── UnknownName          a key, effect, model or pipeline that does not exist
    │   └── RiskRefused          settings weaker than the floor, without --accept-risk
    ├── NothingMatched           no photo among the inputs                               exit 3, HTTP 404
    ├── SetupError               the installation is broken: weights, libraries          exit 2, HTTP 503
    │   └── MissingExtra         an optional part is not installed
    ├── NotFound                 what was asked for is not there                        exit 2, HTTP 404
    ├── Conflict                 somebody else was faster: another editor, another run      exit 2, HTTP 409
    ├── OutputError              the output folder, its ledger or its disk fails         exit 2, HTTP 507
    │   └── LedgerDamaged        the ledger says what cloak never wrote
    ├── Unavailable              the service does not answer, is full or is stopping     exit 2, HTTP 503
    └── Withheld                 this photo is not published, the run goes on            exit 1, HTTP 422
        ├── Held                 no face was found, and the pipeline wants a person to look
        ├── Unreadable           the bytes could not be read from where they live
        ├── NotAnImage           the bytes are no image                                  HTTP 415
        ├── Unsupported          an image that cloak cannot make safe                    HTTP 415
        ├── TooLarge             over a limit of bytes, pixels, frames or memory         HTTP 413
        ├── Corrupt              the image does not decode in full
        ├── DetectionFailed      the faces could not be searched
        ├── ConcealmentFailed    a region could not be concealed, or not be encoded
        ├── VerificationFailed   the written bytes did not pass the second look
        ├── DecisionsUnfit       a person's decisions were made for another picture
        ├── NotWritten           the clean bytes could not be stored
        └── TimedOut             the photo took longer than its deadline                 HTTP 504

Messages hold no pixels, no metadata values and no absolute paths: they end up in logs.
"""

from typing import ClassVar


class CloakError(Exception):
    """Anything that cloak reports to its caller.

    Attributes:
        exit_code: what a command exits with when this ends it.
        http_status: what the service answers with.
        slug: the stable name of the reason, for reports and metrics.
        next_step: one sentence that tells the user what to do.
    """

    exit_code: ClassVar[int] = 2
    http_status: ClassVar[int] = 500
    slug: ClassVar[str] = "error"
    next_step: str = "Report this as a bug."

    def __init__(self, message: str, *, next_step: str | None = None) -> None:
        super().__init__(message)
        if next_step is not None:
            self.next_step = next_step

    def __reduce__(self) -> tuple[object, ...]:
        # Workers send errors to their parent: the keyword must survive pickling.
        return _rebuild, (type(self), str(self), self.next_step)


def _rebuild(kind: type[CloakError], message: str, next_step: str) -> CloakError:
    error = kind.__new__(kind)
    CloakError.__init__(error, message, next_step=next_step)
    return error


def starved(error: BaseException) -> bool:
    """Whether an error says that there was no memory. Libraries in C say so in words of their own."""
    words = str(error).lower()
    return isinstance(error, MemoryError) or any(
        told in words for told in ("insufficient memory", "out of memory", "failed to allocate memory", "bad_alloc")
    )


def without_memory() -> "TooLarge":
    """What is told of a photo for which there was no memory, whoever asked."""
    return TooLarge("it needs more memory than there is", next_step="Run with fewer --jobs, or make the photo smaller.")


def traced(error: BaseException) -> str:
    """Where an error came from, for --debug: a traceback without any error's own words, which may hold values."""
    from traceback import format_tb

    lines, found = ["Traceback of an internal error, without its words, which may hold values of a photo:\n"], error
    while True:
        lines += [*format_tb(found.__traceback__), f"{type(found).__name__}\n"]
        before = found.__cause__ or found.__context__
        if before is None:
            return "".join(lines)
        lines.append("which came of:\n")
        found = before


def of_failure(error: Exception) -> CloakError:
    """What is told of any error that ends a command. The words of a stranger's may hold values: its kind is told."""
    if isinstance(error, CloakError):
        return error
    if isinstance(error, OSError) and error.strerror:
        return OutputError(f"the system refuses: {error.strerror}")
    next_step = "Report it as a bug; cloak run tells more with --debug."
    return CloakError(f"internal error: {type(error).__name__}", next_step=next_step)


class UsageError(CloakError):
    """The caller asked for something that cannot be done."""

    http_status = 400
    slug = "usage"
    next_step = "Correct the command or the settings."


class UnknownName(UsageError):
    """A key, effect, model or pipeline that does not exist; the message lists those that do."""

    slug = "unknown-name"
    next_step = "Use one of the names listed."

    def __init__(self, kind: str, name: str, known: "list[str] | tuple[str, ...]") -> None:
        super().__init__(f"unknown {kind} {name!r}; known: {', '.join(sorted(known))}")


class RiskRefused(UsageError):
    """Settings weaker than the floor of the privacy contract."""

    slug = "risk-refused"
    next_step = "Strengthen the settings, or state --accept-risk; the report will say so."


class NothingMatched(CloakError):
    """No photo among the inputs."""

    exit_code = 3
    http_status = 404
    slug = "nothing-matched"
    next_step = "Name a photo, or a folder that holds photos."


class SetupError(CloakError):
    """The installation is broken: a system library, a weight file, a model."""

    http_status = 503
    slug = "setup"
    next_step = "Reinstall cloak-images."


class MissingExtra(SetupError):
    """An optional part is not installed."""

    slug = "missing-extra"

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs the extra {extra!r}",
            next_step=f"Install it: pip install 'cloak-images[{extra}]'",
        )


class NotFound(CloakError):
    """What was asked for is not there."""

    http_status = 404
    slug = "not-found"
    next_step = "Load the page again."


class Conflict(CloakError):
    """Somebody else was faster; nothing of theirs is overwritten."""

    http_status = 409
    slug = "conflict"
    next_step = "Look at what they did, then decide again."


class OutputError(CloakError):
    """The output folder, its ledger or its disk fails: the run cannot go on."""

    http_status = 507
    slug = "output"
    next_step = "Check that the output folder exists, is writable and has space."


class LedgerDamaged(OutputError):
    """The ledger says what cloak never wrote."""

    slug = "ledger-damaged"
    next_step = "Move the ledger's folder away (work is then done again), or name another with --ledger."

    def __init__(self, message: str = "the ledger is damaged", *, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)


class Unavailable(CloakError):
    """The service does not answer, is full or is stopping: the photo is neither clean nor refused, so it waits.

    Attributes:
        retry_after: seconds after which it is worth another try, as the service estimates it.
    """

    http_status = 503
    slug = "unavailable"
    next_step = "Try again later; nothing was stored."

    def __init__(self, message: str, *, retry_after: int = 5, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.retry_after = retry_after


class Withheld(CloakError):
    """This photo is not published; the run goes on."""

    exit_code = 1
    http_status = 422
    slug = "withheld"
    next_step = "Look at the photo, then correct or leave it."


class Held(Withheld):
    """No face was found, and the pipeline wants a person to look before the photo is published."""

    slug = "held"
    next_step = 'Have a person look; publish it with the setting no_face = "publish" if nobody is in it.'

    def __init__(self, message: str = "no face was found", *, next_step: str | None = None) -> None:
        super().__init__(message, next_step=next_step)


class Unreadable(Withheld):
    """The bytes could not be read from where they live."""

    slug = "unreadable"
    next_step = "Check the file's permissions and that it still exists."


class NotAnImage(Withheld):
    """The bytes are no image."""

    http_status = 415
    slug = "not-an-image"
    next_step = "Leave it out; cloak publishes only images."


class Unsupported(Withheld):
    """An image that cloak cannot make safe."""

    http_status = 415
    slug = "unsupported"
    next_step = "Convert it to JPEG, PNG, WebP, TIFF, GIF, BMP, HEIC or AVIF first."


class TooLarge(Withheld):
    """Over a limit of bytes, pixels, frames or memory."""

    http_status = 413
    slug = "too-large"
    next_step = "If you trust the file, raise the limit (--max-pixels)."


class Corrupt(Withheld):
    """The image does not decode in full."""

    slug = "corrupt"
    next_step = "Export the photo again from its source."


class DetectionFailed(Withheld):
    """The faces could not be searched."""

    slug = "detection-failed"
    next_step = "Run again; if it stays, report the photo's format and size as a bug."


class ConcealmentFailed(Withheld):
    """A region could not be concealed, or the result not be encoded."""

    slug = "concealment-failed"
    next_step = "Run again; if it stays, convert the photo to another format first."


class VerificationFailed(Withheld):
    """The written bytes did not pass the second look."""

    slug = "verification-failed"
    next_step = "Review the photo by hand, or conceal it with a larger cover or another effect."


class DecisionsUnfit(Withheld):
    """A person's decisions were made for another picture."""

    slug = "decisions-unfit"
    next_step = "Review the photo anew: cloak review."


class NotWritten(Withheld):
    """The clean bytes could not be stored."""

    slug = "not-written"
    next_step = "Check space and permissions of the output folder, then run again."


class TimedOut(Withheld):
    """The photo took longer than its deadline."""

    http_status = 504
    slug = "timed-out"
    next_step = "Raise the deadline, or make the photo smaller."
