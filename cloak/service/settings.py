"""What the operator of a service decides; requests choose only among these."""

import ipaddress
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from cloak.errors import UnknownName, UsageError
from cloak.pipeline import SHIPPED
from cloak.process import is_span, is_token, take_secret

PORT = 8571
SHORTEST_TOKEN = 16


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of a service.

    Attributes:
        pipelines: name in requests -> a shipped name or the path of a TOML file. Requests cannot name files.
        pipeline: the name that is taken when a request names none.
        key: secret that seeds the noise: the same bytes, pipeline and key give the same output, so that a retry is
            harmless. Drawn anew for each start unless given.
        tokens: bearer tokens, any of which lets a request in; none: only names of this very machine are answered.
        workers: processes that work on photos.
        queue: requests that may wait for a worker, still be sending, or not have taken their answer; those beyond get
            503.
        deadline: seconds from a request's first byte to its answer, and again until the client has taken that.
        max_bytes, max_pixels: what one photo may cost.
        max_memory: bytes that a worker may hold, past which it is killed; 0: its share of the machine's.
    """

    pipelines: dict[str, str] = field(default_factory=lambda: {name: name for name in SHIPPED})
    pipeline: str = "cms"
    key: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    tokens: tuple[str, ...] = field(default=(), repr=False)
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    queue: int = 16
    deadline: float = 60.0
    max_bytes: int = 100_000_000
    max_pixels: int = 100_000_000
    max_memory: int = 0

    def __post_init__(self) -> None:
        if self.pipeline not in self.pipelines:
            raise UnknownName("pipeline", self.pipeline, tuple(self.pipelines))
        if (
            min(self.workers, self.max_bytes, self.max_pixels) < 1
            or min(self.queue, self.max_memory) < 0
            or not is_span(self.deadline)
        ):
            raise UsageError(
                "workers, deadline and limits must be above 0, and queue not below; the deadline is a day at most"
            )
        if not all(map(is_token, self.tokens)):
            raise UsageError(
                "a token holds a character that no header carries", next_step="Make one: openssl rand -hex 32"
            )
        if any(len(token) < SHORTEST_TOKEN for token in self.tokens):
            raise UsageError(
                f"a token has fewer than {SHORTEST_TOKEN} characters", next_step="Make one: openssl rand -hex 32"
            )


def read_tokens(file: Path | None) -> tuple[str, ...]:
    """Bearer tokens: one a line of a file, so that two are valid while one is replaced; else CLOAK_TOKEN.

    Raises `UsageError` when the file cannot be read, holds none, or others may read it.
    """
    token = take_secret("CLOAK_TOKEN").strip()
    if file is None:
        return (token,) if token else ()
    try:
        text = file.read_text("ascii")
        shared = os.name == "posix" and file.stat().st_mode & 0o007
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or "it is not plain text"
        raise UsageError(f"cannot read the file of tokens {file.name!r}: {words}") from None
    if shared:
        raise UsageError(
            f"every user of this machine may read the tokens in {file.name!r}", next_step="Run chmod 600 on it."
        )
    tokens = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not tokens:
        raise UsageError(f"there is no token in {file.name!r}", next_step="Make one: openssl rand -hex 32")
    return tokens


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def demand_token(host: str, tokens: tuple[str, ...]) -> None:
    """Raise `UsageError` when others could reach the service without a token."""
    if not tokens and not is_loopback(host):
        raise UsageError(
            f"a token is demanded where other machines can reach the service ({host})",
            next_step="Write one into a file (openssl rand -hex 32) and name it with --token-file, or set CLOAK_TOKEN.",
        )
