"""Watching: what models are asked and answer, held against their training, for Prometheus and a report."""

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from time import monotonic
from typing import Any

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from lightning_base.runtime.answering import Answer, Answering, Item
from lightning_base.runtime.drift import REFERENCE, Reference, Report, Watch
from lightning_base.runtime.errors import ExportError
from lightning_base.runtime.verdicts import CHANGED
from lightning_base.serving.metrics import PREFIX

WINDOW = 4096  # answers that are looked at together
COLUMNS = 200  # most columns of a model that are metrics
VERSIONS = 8  # most models that are watched at once: of more, those that were asked least lately are forgotten
SECONDS = 5.0  # a report is as old as this at most
LABELS = ("model", "version")
GAUGES = {
    "psi": "Population stability index against training",
    "psi_expected": "What the index is on average where nothing has changed, at this number of values",
    "ks": "Kolmogorov's and Smirnov's distance against training",
    "p": "Chance of such a difference without a change, corrected for all columns (Holm)",
    "missing_share": "Share of missing values",
    "unseen_share": "Share of categories that training has not seen",
    "beyond_share": "Share of numbers outside training's range",
    "changed": "1 where a change is told apart from chance",
}


class Watched:
    """A model that is watched.

    Attributes:
        watch: what counts; None where the model has nothing to be held against.
        why: why there is none, in words.
    """

    def __init__(self, model: Answering, window: int) -> None:
        self.name, self.version, self.why = model.name, model.version, ""
        self.watch: Watch | None = None
        try:
            content = (model.folder / REFERENCE).read_text(encoding="utf-8")
            self.watch = Watch(Reference.read(json.loads(content)), window)
        except FileNotFoundError:
            self.why = f"the model was exported without {REFERENCE}"
        except (OSError, ValueError, ExportError):  # told without a path: a client may read it
            self.why = f"{REFERENCE} cannot be read; export the model again"
        self._lock = threading.Lock()
        self._report: tuple[float, int, Report] | None = None

    def report(self, fresh: bool = False) -> Report | None:
        """What has changed in the last answers; one of some seconds ago, unless a fresh one is asked for."""
        if self.watch is None:
            return None
        with self._lock:
            old, total = self._report, self.watch.total
            if old is None or (old[1] != total and (fresh or monotonic() - old[0] > SECONDS)):
                old = self._report = (monotonic(), total, self.watch.report())
            return old[2]


class Watching(Collector):
    """Counts what models are asked and answer; an observer of a server, and a collector of Prometheus.

    Args:
        window: how many of a model's last answers are looked at together.
    """

    def __init__(self, window: int = WINDOW) -> None:
        self.window = window
        self._lock = threading.Lock()
        self._watched: dict[tuple[str, str], Watched] = {}

    def begin(self, registry: CollectorRegistry) -> "Watching":
        """Itself, whose metrics a registry has then."""
        registry.register(self)
        return self

    def seen(
        self, model: Answering, items: Sequence[Item], answers: Sequence[Answer], request: str = "", start: int = 0
    ) -> None:
        """Counts a batch."""
        watched = self.of(model)
        if watched.watch is not None:
            watched.watch.take(items, answers)

    def close(self) -> None:
        """Nothing: counts are not kept."""

    def of(self, model: Answering) -> Watched:
        """The counts of a model, which begin where there are none."""
        key = (model.name, model.version)
        with self._lock:
            found = self._watched.pop(key, None) or Watched(model, self.window)
            self._watched[key] = found  # the last that was asked
            while len(self._watched) > VERSIONS:
                self._watched.pop(next(iter(self._watched)))
            return found

    def described(self, model: Answering) -> dict[str, Any]:
        """What `GET /models/NAME/drift` answers: the report, or why there is none."""
        watched = self.of(model)
        report = watched.report(fresh=True)
        head: dict[str, Any] = {"model": model.name, "version": model.version, "window": self.window}
        if report is None:
            return {**head, "watched": False, "why": watched.why}
        return {**head, "watched": True, **report.written()}

    def describe(self) -> Iterator[Metric]:
        """Nothing: columns are known once models are asked."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The gauges of each model that has been asked."""
        with self._lock:
            watched = list(self._watched.values())
        reports = [(one, report) for one in watched if (report := one.report()) is not None]
        labels = (*LABELS, "side", "column")
        families = {name: GaugeMetricFamily(f"{PREFIX}drift_{name}", GAUGES[name], labels=labels) for name in GAUGES}
        answers = GaugeMetricFamily(f"{PREFIX}drift_answers", "Answers that are looked at together", labels=LABELS)
        total = CounterMetricFamily(f"{PREFIX}drift_taken", "Answers that were counted or tried to be", labels=LABELS)
        lost = CounterMetricFamily(f"{PREFIX}drift_unmeasured", "Inputs that could not be measured", labels=LABELS)
        shares = GaugeMetricFamily(f"{PREFIX}class_share", "Share of a predicted class", labels=(*LABELS, "class"))
        held = GaugeMetricFamily(
            f"{PREFIX}class_share_training", "Share of a class among held-out predictions", labels=(*LABELS, "class")
        )
        for one, report in reports:
            who = (one.name, one.version)
            answers.add_metric(who, report.n)
            total.add_metric(who, report.total)
            lost.add_metric(who, report.unmeasured)
            for name, (then, now) in list(report.shares.items())[:COLUMNS]:
                held.add_metric((*who, name), then)
                if report.n:
                    shares.add_metric((*who, name), now)
            for row in sorted(report.rows, key=lambda row: (row.side, row.column))[:COLUMNS]:
                for name, value in gauges_of(row.written()).items():
                    families[name].add_metric((*who, row.side, row.column), value)
        yield from (answers, total, lost, shares, held, *families.values())


def gauges_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The gauges of a report's row that have a value: before the first answer none."""
    if not row["n"]:
        return {}
    found = {
        "psi": row["psi"],
        "psi_expected": row["psi_expected"],
        "ks": row["ks"],
        "p": row["p"],
        "missing_share": row["missing"][1],
        "unseen_share": None if row["unseen"] is None else row["unseen"][1],
        "beyond_share": row["beyond"],
        "changed": float(row["verdict"] in CHANGED),
    }
    return {name: float(value) for name, value in found.items() if value is not None}


def as_text(found: Mapping[str, Any]) -> str:
    """The report as a plain table, what has changed most first."""
    title = f"{found['model']}/{found['version']}"
    if not found["watched"]:
        return f"{title}: not watched: {found['why']}\n"
    lines = [f"{title}: the last {found['n']:,} answers of {found['total']:,} beside training"]
    lines += [f"  {side}s are held against {of}" for side, of in found["compared_with"].items()]
    if found["unmeasured"]:
        lines.append(f"  {found['unmeasured']:,} could not be measured, and are in none of the numbers")
    head = ("side", "column", "n", "PSI", "chance", "KS", "p", "missing", "unseen", "verdict")
    rows = [head, *(_cells(row) for row in found["columns"])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    left = (0, 1, 9)
    for row in rows:
        cells = (
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        lines.append("  ".join(cells).rstrip())
    if found["class_shares"]:
        lines.append("share of predicted classes, among held-out predictions → now:")
        lines += [f"  {name}: {one['training']:.1%} → {one['now']:.1%}" for name, one in found["class_shares"].items()]
    lines.append(f"called changed: at most one report in {round(1 / found['level'])} has a column that is not")
    return "\n".join(lines) + "\n"


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    why = f": {row['why']}" if row["why"] else ""
    return (
        row["side"],
        row["column"],
        f"{row['n']:,}",
        f"{row['psi']:.3f}",
        f"{row['psi_expected']:.3f}",
        "" if row["ks"] is None else f"{row['ks']:.3f}",
        f"{row['p']:.2g}",
        f"{row['missing'][1]:.1%}" if row["missing"][1] else "",
        f"{row['unseen'][1]:.1%}" if row["unseen"] and row["unseen"][1] else "",
        f"{row['verdict']}{why}",
    )
