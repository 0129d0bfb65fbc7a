"""Metrics that a YAML or a caller gives a task beside its own."""

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.wrappers.abstract import WrapperMetric

from lightning_base.errors import ConfigError
from lightning_base.samples.nested import Nested
from lightning_base.tools.imports import fault

Change: TypeAlias = Callable[[Nested, Nested], tuple[Any, Any]]
KINDS = re.compile("^(?:Binary|Multiclass|Multilabel)(?=[A-Z])")


def by_name(metrics: Sequence[Metric] | Mapping[str, Metric]) -> dict[str, Metric]:
    """Metrics by their names: as given, or by class, `MulticlassCohenKappa` as cohen_kappa.

    Raises:
        ConfigError: for what is no metric, or a name that comes twice or is none.
    """
    if isinstance(metrics, Mapping):
        pairs = [(str(name), metric) for name, metric in metrics.items()]
    else:
        pairs = [(snake(type(metric).__name__), metric) for metric in metrics]
    found: dict[str, Metric] = {}
    for name, metric in pairs:
        if not isinstance(metric, Metric):
            raise ConfigError(f"model.metrics: {metric!r:.60} is no metric; give instances of torchmetrics.Metric")
        if not re.fullmatch(r"[A-Za-z]\w*", name):
            raise ConfigError(f"model.metrics: {name!r} is no name; take letters, digits and underscores")
        if name in found:
            raise ConfigError(f"model.metrics: two are called {name!r}; name them: metrics: {{one: …, other: …}}")
        found[name] = metric
    return found


def snake(name: str) -> str:
    """A class's name as metrics are called: MulticlassCohenKappa is cohen_kappa, R2Score r2_score."""
    name = KINDS.sub("", name)
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class Given(WrapperMetric):
    """A metric of others: it takes what a task makes of predictions and targets, and is one number of what it gives.

    Args:
        name: what it is called; of a dictionary of numbers the one of this name.
        metric: the metric.
        change: makes what it takes of predictions and targets; None for these as they are.
    """

    def __init__(self, name: str, metric: Metric, change: Change | None) -> None:
        super().__init__()
        self.name, self.metric, self.change = name, metric, change

    @property
    def higher_is_better(self) -> bool | None:  # type: ignore[override]
        """As the metric says."""
        return self.metric.higher_is_better

    def taken(self, preds: Nested, target: Nested) -> tuple[Any, Any]:
        """What the metric takes."""
        return (preds, target) if self.change is None else self.change(preds, target)

    def number(self, value: Any) -> Any:
        """The number of this metric's name where it gives several."""
        return value[self.name] if isinstance(value, Mapping) and self.name in value else value

    @property
    def update_called(self) -> bool:
        """Whether it has seen samples."""
        return self.metric.update_called

    def update(self, preds: Nested, target: Nested) -> None:
        """Adds a batch."""
        self.metric.update(*self.taken(preds, target))

    def compute(self) -> Any:
        """The value of all that was added."""
        return self.number(self.metric.compute())

    def forward(self, preds: Nested, target: Nested) -> Any:
        """Adds a batch; its value."""
        return self.number(self.metric(*self.taken(preds, target)))

    def reset(self) -> None:
        """Forgets all."""
        super().reset()
        self.metric.reset()


def joined(own: MetricCollection, given: Mapping[str, Metric], change: Change | None) -> MetricCollection:
    """A task's own metrics, new, and clones of those that it was given, which take what `change` makes.

    Raises:
        ConfigError: where both have one of a name.
    """
    if twice := sorted(set(given) & set(own.keys(keep_base=True))):
        raise ConfigError(
            f"model.metrics: the task has a {twice[0]!r} itself; give yours another name: metrics: {{my_{twice[0]}: …}}"
        )
    if given:
        own.add_metrics({name: Given(name, metric.clone(), change) for name, metric in given.items()})
    return own


def demand_fits(given: Mapping[str, Metric], change: Change | None, preds: Nested, target: Nested) -> None:
    """Refuses metrics that do not take a task's predictions, or give more than one number.

    Args:
        given: by name.
        change: makes what they take; None for predictions and targets as they are.
        preds: (B, ...) of some samples.
        target: (B, ...) likewise.

    Raises:
        ConfigError: naming the metric, and what it said.
    """
    if isinstance(preds, Tensor) and isinstance(target, Tensor) and preds.ndim > 1:
        preds, target = not_square(preds, target)
    for name, metric in given.items():
        if change is None and not (isinstance(preds, Tensor) and isinstance(target, Tensor)):
            raise ConfigError(
                f"model.metrics: {name} takes tensors, and this task's predictions and targets are more than one each; "
                "subclass the task and add it to `metrics`"
            )
        trial = Given(name, metric.clone(), change)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of few samples, in which a class may be missing
                trial.update(preds, target)
                value = trial.compute()
        except Exception as error:  # whatever the user's own metric does
            what = "predictions {} and targets {}".format(*map(described, trial.taken(preds, target)))
            raise ConfigError(f"model.metrics: {name} does not take {what}: {fault(error)}") from error
        if isinstance(value, Mapping):
            keys = [str(key) for key in value]
            raise ConfigError(
                f"model.metrics: {name} gives several numbers, {', '.join(keys)[:200]}; name it after the one that is "
                f"meant: metrics: {{{next(iter(keys), 'name')}: …}}"
            )
        if not isinstance(value, Tensor) or value.numel() != 1:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ConfigError(f"model.metrics: {name} gives {shape} where a metric is one number; set its average")


def not_square(found: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """(B, C, ...) and (B, ...), with the first sample once more where B is C.

    There what is made for other shapes would broadcast one over the other, and say nothing.
    """
    if len(found) != found.shape[1]:
        return found, target
    return torch.cat([found, found[:1]]), torch.cat([target, target[:1]])


def described(values: Any) -> str:
    """What a metric was given, in few words: a tensor's shape, or the first of a list."""
    return str(tuple(values.shape)) if isinstance(values, Tensor) else f"{values!r:.60}"
