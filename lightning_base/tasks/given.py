"""Metrics and losses that a YAML or a caller gives a task, beside its own or in their place."""

import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch
from lightning_base.samples.nested import Nested
from lightning_base.tools.imports import fault

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


def joined(own: MetricCollection, given: Mapping[str, Metric]) -> MetricCollection:
    """A task's own metrics, new, and clones of those that it was given.

    Raises:
        ConfigError: where both have one of a name.
    """
    if twice := sorted(set(given) & set(own.keys(keep_base=True))):
        raise ConfigError(
            f"model.metrics: the task has a {twice[0]!r} itself; give yours another name: metrics: {{my_{twice[0]}: …}}"
        )
    if given:
        own.add_metrics({name: metric.clone() for name, metric in given.items()})
    return own


def demand_fits(given: Mapping[str, Metric], preds: Nested, target: Nested) -> None:
    """Refuses metrics that do not take a task's predictions, or give more than one number.

    Args:
        given: by name.
        preds: (B, ...) of some samples.
        target: (B, ...) likewise.

    Raises:
        ConfigError: naming the metric, and what it said.
    """
    for name, metric in given.items():
        if not isinstance(preds, Tensor) or not isinstance(target, Tensor):
            raise ConfigError(
                f"model.metrics: {name} takes tensors, and this task's predictions and targets are more than one each; "
                "subclass the task and add it to `metrics`"
            )
        trial = metric.clone()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of few samples, in which a class may be missing
                trial.update(preds, target)
                value = trial.compute()
        except Exception as error:  # whatever the user's own metric does
            shapes = f"predictions {tuple(preds.shape)} and targets {tuple(target.shape)}"
            raise ConfigError(f"model.metrics: {name} does not take {shapes}: {fault(error)}") from error
        if not isinstance(value, Tensor) or value.numel() != 1:
            shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ConfigError(f"model.metrics: {name} gives {shape} where a metric is one number; set its average")


def mean_loss(loss: nn.Module, found: Tensor, target: Tensor) -> Tensor:
    """The training loss () by a module of the user's: its value, or the mean of one per sample (B,).

    Args:
        loss: called with what the network gives and the targets.
        found: (B, ...).
        target: (B, ...).

    Raises:
        ConfigError: for a loss that fails, or gives something else.
    """
    try:
        value = loss(found, target)
    except Exception as error:  # whatever the user's own loss does
        shapes = f"{tuple(found.shape)} and targets {tuple(target.shape)} {target.dtype}"
        raise ConfigError(f"model.loss: {type(loss).__name__} does not take {shapes}: {fault(error)}") from error
    if not isinstance(value, Tensor) or value.shape not in ((), (1,), (len(target),)):
        shape = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
        raise ConfigError(
            f"model.loss: {type(loss).__name__} gives {shape} where a loss is one number, or one per sample"
        )
    return value.mean()


def demand_taken(task: Any, loss: nn.Module, batch: Batch) -> None:
    """Refuses a loss that does not take what a task's network gives of a batch, and its targets.

    Args:
        task: whose `outputs` they are.
        loss: called with them in training.
        batch: preprocessed.

    Raises:
        ConfigError: naming what it said.
    """
    was_training = task.training
    task.eval()
    try:
        with torch.no_grad():
            found, y = task.outputs(batch.x, batch.lengths), batch.y
            assert isinstance(y, Tensor)
            if len(found) == found.shape[1]:  # where a loss made for other shapes would be broadcast, and said nothing
                found, y = torch.cat([found, found[:1]]), torch.cat([y, y[:1]])
            mean_loss(loss, found, y if y.ndim == 1 else y.to(found.dtype))
    finally:
        task.train(was_training)


def demand_loss(loss: nn.Module | None, **others: object) -> None:
    """Refuses a loss that is none, or options that only the task's own loss has.

    Raises:
        ConfigError: naming the option.
    """
    if loss is None:
        return
    if not isinstance(loss, nn.Module):
        raise ConfigError(f"model.loss: {loss!r:.60} is no loss; give an instance of torch.nn.Module by class_path")
    for name, value in others.items():
        if value:
            raise ConfigError(f"model.{name}: belongs to the task's own loss, and model.loss is given; leave one out")


class Focal(nn.Module):
    """Focal loss, -(1 - p)^γ log p of the true class's probability p (Lin et al. 2017): easy samples count little.

    Args:
        gamma: γ; 0 is the cross-entropy.

    Takes logits (B, C) and class numbers (B,), or logits and labels (B, C) alike; gives (B,), of labels their mean.
    """

    def __init__(self, gamma: float = 2.0) -> None:
        super().__init__()
        if not gamma >= 0:
            raise ConfigError(f"model.loss: gamma {gamma} is below 0; give 0 or more")
        self.gamma = gamma

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """(B,) losses."""
        if target.shape == logits.shape:
            log_p = torch.where(target > 0, nn.functional.logsigmoid(logits), nn.functional.logsigmoid(-logits))
        else:
            log_p = logits.log_softmax(dim=1).gather(1, target[:, None])
        return (-((1 - log_p.exp()) ** self.gamma) * log_p).flatten(1).mean(dim=1)
