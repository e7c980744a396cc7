"""Checks of settings that several effects share."""

from cloak.errors import UsageError


def check_cells(cells: int) -> None:
    """Raises `UsageError` unless `cells` is a whole number of 1 to 64."""
    if not isinstance(cells, int) or isinstance(cells, bool) or not 1 <= cells <= 64:
        raise UsageError("cells must be a whole number from 1 to 64")


def check_jitter(jitter: float) -> None:
    """Raises `UsageError` unless `jitter` is a share of the full range, 0 to 0.5."""
    if not isinstance(jitter, int | float) or isinstance(jitter, bool) or not 0 <= jitter <= 0.5:
        raise UsageError("jitter must be a number from 0 to 0.5")
