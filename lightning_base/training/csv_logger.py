"""MetricsCSV: the metrics of a run as one CSV that a resumed run continues."""

import csv
import io
import math
import time
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from lightning_base.tools.files import replace

SECONDS = 1.0  # between two writings of the file


class MetricsCSV(Logger):
    """One row per step, one column per metric, in `metrics.csv`, written whole under a temporary name and renamed.

    Lightning's CSVLogger deletes the earlier file when a run resumes; this one reads it and goes on, a step that
    comes again taking the place of the first.

    Args:
        path: the CSV.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self._rows: dict[int, dict[str, str]] = {}
        self._fields: list[str] = []
        self._written = -math.inf
        self._lines: dict[int, str] = {}  # rows as they were last written, by step
        if path.is_file():
            with path.open(newline="") as file:
                self._rows = {int(r["step"]): {k: v for k, v in r.items() if v} for r in csv.DictReader(file)}

    @property
    def name(self) -> str:
        """Unused: the path says it all."""
        return "csv"

    @property
    def version(self) -> str:
        """Unused, as `name`."""
        return ""

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Nothing: config.yaml stands beside the run."""

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Puts the metrics into the row of that step (optimizer steps so far)."""
        row = self._rows.setdefault(step or 0, {"step": str(step or 0)})
        self._lines.pop(step or 0, None)
        row.update({key: format(value, ".9g") for key, value in metrics.items()})

    @rank_zero_only
    def save(self) -> None:
        """Writes the file, a second after it was last written at the earliest; what is earlier waits in memory."""
        if time.monotonic() - self._written >= SECONDS:
            self.flush()

    @rank_zero_only
    def flush(self) -> None:
        """Writes the file."""
        if not self._rows:
            return
        self._written = time.monotonic()
        new = {key for step in self._rows.keys() - self._lines.keys() for key in self._rows[step]}
        if not new <= set(self._fields):
            self._fields = ["epoch", "step", *sorted(new.union(self._fields) - {"epoch", "step"})]
            self._lines.clear()
        for step in self._rows.keys() - self._lines.keys():
            self._lines[step] = _line([self._rows[step].get(field, "") for field in self._fields])
        with replace(self.path) as temporary, temporary.open("w", newline="") as file:
            file.write(_line(self._fields))
            file.writelines(self._lines[step] for step in sorted(self._lines))

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Writes the file a last time."""
        self.flush()


def _line(cells: Sequence[str]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue()
