"""MetricsCSV: the metrics of a run as one CSV that a resumed run continues."""

import csv
from argparse import Namespace
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from lightning_base.tools.files import replace


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
        row.update({key: format(value, ".9g") for key, value in metrics.items()})

    @rank_zero_only
    def save(self) -> None:
        """Writes the file."""
        if not self._rows:
            return
        rows = [self._rows[step] for step in sorted(self._rows)]
        fields = ["epoch", "step", *sorted({key for row in rows for key in row} - {"epoch", "step"})]
        with replace(self.path) as temporary, temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, fields)
            writer.writeheader()
            writer.writerows(rows)

    @rank_zero_only
    def finalize(self, status: str) -> None:
        """Writes the file a last time."""
        self.save()
