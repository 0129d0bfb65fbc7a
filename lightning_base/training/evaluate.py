"""Exact predictions of a role, their scores, and the ensemble of several runs' predictions."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch
from torch import Tensor

from lightning_base.data.pool import Role, source_of
from lightning_base.distributed.strategies import data_ranks
from lightning_base.errors import ConfigError, Diverged
from lightning_base.samples.batch import Target, targets
from lightning_base.samples.nested import Nested, count, joined, mapped, non_finite, rows_of, stacked
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples
from lightning_base.stats.estimates import Score, estimate
from lightning_base.stats.facts import Design
from lightning_base.stats.intervals import bootstrap_interval
from lightning_base.stats.linear import Lines
from lightning_base.tasks.base import BaseModule
from lightning_base.training.checkpoint import opened
from lightning_base.training.limits import takes_all
from lightning_base.training.run import Run

Beside: TypeAlias = Callable[[Lines], tuple[Lines, str] | None]


@dataclass(frozen=True)
class Predictions:
    """Predictions (N, ...), floating ones float32 or float64, of rows (N,) of a source's samples, on the CPU."""

    samples: Samples
    rows: Rows
    preds: Nested

    @property
    def target(self) -> Target | None:
        """The targets of N samples, values float64; None where the source has no target."""
        return targets(self.samples, self.rows)

    def demand_finite(self, what: str) -> None:
        """Refuses predictions that are NaN or infinite: whatever scored them would take them for some class or value.

        Args:
            what: predicted them.

        Raises:
            Diverged: naming the first sample.
        """
        bad = non_finite(self.preds)
        if number := int(bad.sum()):
            first = self.samples.table["id"].iloc[self.rows[int(bad.nonzero()[0])]]
            raise Diverged(
                f"{what} predicts NaN or infinity for {number} of {len(bad)} samples, the first of which is {first!r}; "
                "look at its inputs, or train with a smaller model.optimizer.lr"
            )


def predict(run: Run, role: Role, checkpoint: Path | None = None) -> Predictions:
    """Predictions of every sample of a role, each once, whatever the number of ranks.

    Args:
        run: its network as it stands, or as the checkpoint has it.
        role: which samples.
        checkpoint: the weights and statistics to take.

    Raises:
        UserError: where trainer.limit_predict_batches leaves samples out, or a prediction is not finite.
    """
    if not takes_all(run.trainer.limit_predict_batches):
        raise ConfigError("trainer.limit_predict_batches leaves samples out of the predictions; leave it out")
    run.datamodule.predict_role = role
    # Lightning types the result as one list; one per loader, and there is one loader
    batches: Any = run.trainer.predict(
        run.model,
        datamodule=run.datamodule,
        ckpt_path=str(checkpoint) if checkpoint else None,
        weights_only=True,
    )
    rows = np.concatenate([index.numpy() for index, _ in batches])
    preds = joined([values for _, values in batches])
    ranks = data_ranks(run.trainer)
    if ranks.size > 1:
        shares: list[Any] = [None] * ranks.size
        torch.distributed.all_gather_object(shares, (rows, preds), group=ranks.group)
        rows = np.concatenate([share[0] for share in shares])
        preds = joined([share[1] for share in shares])
    order = np.argsort(rows, kind="stable")
    rows, preds = rows[order], rows_of(preds, torch.from_numpy(order))
    if not np.array_equal(rows, run.datamodule.rows(role)):
        raise RuntimeError(f"{len(rows)} predictions for {len(run.datamodule.rows(role))} {role} samples")
    if count(preds) != len(rows):
        raise RuntimeError(f"{count(preds)} predictions for {len(rows)} {role} samples")
    data, source = run.datamodule, source_of(role)
    found = Predictions(data.samples(source) if run.model.scores_raw else data.encoded(source), rows, preds)
    found.demand_finite("the network" if checkpoint is None else str(checkpoint))
    return found


def give(run: Run, x: Any, checkpoint: Path) -> pd.Index:
    """Hands samples that are in memory to a run that predicts: encoded as the checkpoint's fold has fitted.

    Args:
        run: as built, which no other shares the pool with.
        x: the samples, as its data module takes them.
        checkpoint: whose preprocessing and classes count.

    Returns:
        The names of all samples in their order, those that cleaning leaves out too.

    Raises:
        DataError: where the data module takes no such samples.
    """
    data = run.datamodule
    content = opened(checkpoint)
    if state := content.get(type(data).__qualname__):
        data.load_state_dict(state)
    asked = data.given(x)
    data.pool.give(asked)
    names: pd.Index = pd.Index(asked.table["id"])
    return names


def ensemble(task: BaseModule, members: Sequence[Predictions]) -> Predictions:
    """The members' predictions of the same samples as one, the way the task does it: mostly their mean."""
    first = members[0]
    if len(members) == 1:
        return first
    return Predictions(first.samples, first.rows, task.combine(stacked([m.preds for m in members])))


def scores(task: BaseModule, predictions: Predictions) -> dict[str, float]:
    """The task's metrics over all predictions at once, in the order they are shown in: the score is the first."""
    found = _scored(task, predictions.preds, predictions.target)
    return {name: found[name] for name in task.ordered(found)}


def _scored(task: BaseModule, preds: Nested, target: Nested) -> dict[str, float]:
    return _numbers(task.all_metrics()(*_contiguous(preds, target)))


def _contiguous(*values: Nested) -> list[Nested]:
    return [value if value is None else mapped(value, Tensor.contiguous) for value in values]


def _numbers(values: dict[str, Tensor]) -> dict[str, float]:
    # metrics are float32: more than seven digits would be noise (an F1 of 1.0000001)
    return {name: float(f"{float(value):.7g}") for name, value in values.items()}


def trivial_scores(
    task: BaseModule, predictions: Predictions, pool: Samples, train: Rows
) -> tuple[dict[str, float], str] | None:
    """What the task's own trivial model scores, and what it predicts, in words; None where it has none.

    Args:
        task: whose metrics they are.
        predictions: what is scored.
        pool: what trained.
        train: (N,) its rows of the training part.
    """
    if type(task).trivial is BaseModule.trivial and type(task).beside is BaseModule.beside:
        return None
    found = task.beside(pool, train, predictions.samples, predictions.rows, predictions.preds)
    return None if found is None else (_where_possible(task, found[0], predictions.target), found[1])


def _where_possible(task: BaseModule, preds: Nested, target: Nested) -> dict[str, float]:
    """The metrics of a trivial model, but for those that were given and that its predictions break."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the trivial model nobody has asked
        try:
            return _scored(task, preds, target)
        except Exception:
            whole, found = _contiguous(preds, target), {}
            for name, metric in task.all_metrics().items():
                with suppress(Exception) if name in task.given_metrics else nullcontext():
                    found[name] = metric(*whole)
            return _numbers(found)


def details(task: BaseModule, predictions: Predictions) -> dict[str, Any]:
    """The task's vectors and matrices (a class's F1, the confusion matrix), as lists."""
    metrics = task.details()
    if not len(metrics):
        return {}
    found = {name: value.tolist() for name, value in metrics(predictions.preds, predictions.target).items()}
    return found | ({"names": list(task.target_names)} if task.target_names else {})


def estimates(
    task: BaseModule, predictions: Predictions, found: dict[str, float], beside: Beside | None = None, n_train: int = 0
) -> tuple[dict[str, Score], str | None]:
    """The scores with their 95 % intervals over these samples, the model held fixed, beside a trivial model's.

    Args:
        task: whose metrics they are.
        predictions: what is scored.
        found: the scores.
        beside: gives the trivial model's predictions of the same lines, and what it predicts.
        n_train: number of samples that trained.

    Returns:
        By metric, and what the trivial model predicts, in words, where there is one.
    """
    table = predictions.samples.table.iloc[predictions.rows]
    group = pd.factorize(table["group"])[0] if "group" in table else None
    design = Design([n_train], [len(table)], [0], group, temporal="time" in table)
    lines = Lines.of(frame(task, predictions))
    other = None if lines is None or beside is None else beside(lines)
    trivial, name = (None, None) if other is None else other
    return estimate({key: [value] for key, value in found.items()}, design, lines, trivial), name


def drawn_intervals(task: BaseModule, predictions: Predictions) -> dict[str, tuple[float, float]]:
    """Percentile bootstrap intervals of the task's metrics over these samples, or whole groups of them.

    Where every resample scores the same (no error among few samples), a bootstrap knows no interval: NaN.
    """
    target, preds, table = predictions.target, predictions.preds, predictions.samples.table.iloc[predictions.rows]
    score = task.scorer(preds, target)
    group = pd.factorize(table["group"])[0] if "group" in table else None
    intervals = bootstrap_interval(lambda rows: _numbers(score(torch.from_numpy(rows))), count(preds), groups=group)
    return {name: (low, high) if low < high else (nan, nan) for name, (low, high) in intervals.items()}


def answers(task: BaseModule, predictions: Predictions) -> pd.DataFrame:
    """One line per sample for a reader: id, and the task's predictions with names (pred, prob_yes, …)."""
    table = pd.DataFrame({"id": predictions.samples.table["id"].to_numpy()[predictions.rows]})
    return with_columns(table, task.answer_columns(predictions.preds))


def frame(task: BaseModule, predictions: Predictions) -> pd.DataFrame:
    """One line per sample: id, target where there is one, and the task's columns (pred, prob_0, …)."""
    table = pd.DataFrame({"id": predictions.samples.table["id"].to_numpy()[predictions.rows]})
    target = predictions.target
    found = ({} if target is None else task.target_columns(target)) | task.columns(predictions.preds)
    return with_columns(table, found)


def with_columns(table: pd.DataFrame, columns: Mapping[str, npt.NDArray[Any]]) -> pd.DataFrame:
    """The table with columns put beside it at once: of a hundred labels each by itself would be slow, and warned of."""
    return pd.concat([table, pd.DataFrame(dict(columns), index=table.index)], axis=1)
