"""What a process that holds photos or secrets must not leave behind."""

import os

SECRETS = ("CLOAK_NOISE_KEY", "CLOAK_TOKEN")
"""Variables of the environment that hold secrets."""


def no_core_dumps() -> None:
    """The system must not write the memory of this process, and of those that it starts, to the disk when they crash.

    The limit is one byte, not none: below a page nothing is written, and Linux does not start the program that its
    core_pattern names either, which a limit of 0 does not prevent (fs/coredump.c, since 2.6.32).
    """
    try:
        import resource
    except ImportError:  # Windows writes none unless told to
        return
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    least = 1 if most != 0 else 0  # who was given none cannot have more
    resource.setrlimit(resource.RLIMIT_CORE, (least, least))


def take_secret(name: str) -> str:
    """A secret out of the environment, "" if there is none: processes that are started from here on do not get it."""
    assert name in SECRETS
    return os.environ.pop(name, "")
