"""What operators watch: counts and seconds, under names of fixed sets. Nothing of a photo is in them."""

from collections.abc import Callable, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """The metrics of one service; each has a registry of its own, so that two do not meet in one process."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(
        self,
        queued: Callable[[], float],
        busy: Callable[[], float],
        untaken: Callable[[], float],
        ready: Callable[[], float],
    ) -> None:
        self._registry = registry = CollectorRegistry()
        self.photos = Counter("cloak_photos", "Photos answered clean.", ["status"], registry=registry)
        self.faces = Counter("cloak_faces", "Faces concealed.", registry=registry)
        self.refusals = Counter("cloak_refusals", "Requests answered with a problem.", ["reason"], registry=registry)
        self.seconds = Histogram(
            "cloak_step_seconds", "Seconds a step of a photo.", ["step"], registry=registry, buckets=_SECONDS
        )
        self.replaced = Counter("cloak_workers_replaced", "Workers replaced.", ["why"], registry=registry)
        for name, words, value in (
            ("cloak_queue_depth", "Requests that are received or wait for a worker.", queued),
            ("cloak_workers_busy", "Workers with a photo.", busy),
            ("cloak_answers_untaken", "Answers that their clients have not taken yet.", untaken),
            ("cloak_ready", "1 when all workers have loaded their models.", ready),
        ):
            Gauge(name, words, registry=registry).set_function(value)

    def refused(self, reason: str) -> None:
        self.refusals.labels(reason).inc()

    def worked(self, milliseconds: Mapping[str, float]) -> None:
        for step, spent in milliseconds.items():
            self.seconds.labels(step).observe(spent / 1000)

    def text(self) -> bytes:
        """In Prometheus' format."""
        return generate_latest(self._registry)
