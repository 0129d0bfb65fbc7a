"""Search: what a configuration says is to be tuned, and the candidates that it stands for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from sklearn.model_selection import ParameterGrid

from lightning_base.errors import ConfigError
from lightning_base.splitters.base import TableSplitter
from lightning_base.splitters.split import Splitter

Values: TypeAlias = Mapping[str, Any]
TUNABLE = ("model", "data", "trainer")


@dataclass(frozen=True, kw_only=True)
class Search:
    """What each fold tunes, by cross-validating its training part alone; the fold is then trained with the best.

    A score that was also used to choose is too good (Varma & Simon 2006, BMC Bioinformatics 7:91); here the samples
    that a fold holds out are read once its values are chosen. The folds may choose differently: what is estimated is
    the procedure, tuning and all.

    Args:
        grid: the values to try of each key, which is written as on the command line; every combination is a candidate.
        metric: the task's metric that decides, by its mean over the inner folds; by default its score. Of equals the
            first is taken.
        mode: whether the largest or the smallest is best; by default what is better for the metric.
        inner: what splits a fold's training part; by default what data.split is by default.
    """

    grid: dict[str, list[Any]]
    metric: str | None = None
    mode: Literal["max", "min"] | None = None
    inner: Splitter | TableSplitter | None = None

    def candidates(self) -> list[dict[str, Any]]:
        """Every combination of the grid's values; keys in alphabetical order, the last varying fastest.

        Raises:
            UserError: for a key that is none of model, data or trainer, or that has no values.
        """
        if not self.grid:
            raise ConfigError(
                "search.grid: names no key; give e.g. {model.optimizer.lr: [0.001, 0.01]}, or leave it out"
            )
        for key, values in self.grid.items():
            if key.partition(".")[0] not in TUNABLE or "." not in key:
                raise ConfigError(f"search.grid: {key!r} cannot be tuned; name a key of {', '.join(TUNABLE)}")
            if not values:
                raise ConfigError(f"search.grid: {key} has no values; give a list of one or more")
        return list(ParameterGrid(self.grid))


def shown(values: Values) -> str:
    """A candidate's values on one line."""
    return ", ".join(f"{key}={value}" for key, value in values.items())
