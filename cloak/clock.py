"""A stopwatch for the steps of a photo."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Adds up wall-clock milliseconds under names.

    >>> watch = Stopwatch()
    >>> with watch("detect"):
    ...     pass
    >>> list(watch.milliseconds)
    ['detect']
    """

    def __init__(self) -> None:
        self.milliseconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = (time.perf_counter() - start) * 1000
            self.milliseconds[step] = round(self.milliseconds.get(step, 0.0) + spent, 1)
