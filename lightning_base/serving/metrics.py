"""Metrics: what Prometheus is told, in a registry of this server's own."""

from functools import cache

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.gc_collector import GCCollector
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

PREFIX = "lightning_base_"
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters and histograms; labels are routes, models and statuses, of which there are few."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        self.requests = Counter(
            f"{PREFIX}requests", "Requests that were answered", ("route", "model", "status"), registry=registry
        )
        self.seconds = Histogram(
            f"{PREFIX}request_seconds",
            "From a request's head to the end of its answer",
            ("route", "model"),
            buckets=SECONDS,
            registry=registry,
        )
        self.rejected = Counter(
            f"{PREFIX}rejected", "Requests that were refused for load", ("reason",), registry=registry
        )
        self.in_flight = Gauge(f"{PREFIX}in_flight", "Requests that are being answered", registry=registry)
        self.batch = Histogram(
            f"{PREFIX}batch_inputs", "Inputs computed together", ("model",), buckets=SIZES, registry=registry
        )
        self.compute = Histogram(
            f"{PREFIX}compute_seconds", "What a batch took", ("model",), buckets=SECONDS, registry=registry
        )
        self.waiting = Gauge(f"{PREFIX}queue_inputs", "Inputs that wait to be computed", ("model",), registry=registry)
        self.held = Gauge(
            f"{PREFIX}held_requests", "Requests accepted and not yet ended", ("model",), registry=registry
        )
        self.models = Gauge(f"{PREFIX}model", "Models that answer", ("name", "version", "default"), registry=registry)
        self.reloads = Counter(
            f"{PREFIX}reloads", "New versions that were found", ("model", "outcome"), registry=registry
        )
        self.unobserved = Counter(
            f"{PREFIX}unobserved_batches", "Batches that observers had no time for", registry=registry
        )

    @cache  # noqa: B019 - one to a server; what a label's counter is takes as long to find as to count
    def of_route(self, route: str, model: str, status: int) -> tuple[Counter, Histogram]:
        """The counter and the histogram of requests of one kind."""
        return self.requests.labels(route, model, str(status)), self.seconds.labels(route, model)

    def text(self) -> bytes:
        """All of them in Prometheus' text format."""
        return generate_latest(self.registry)
