"""Predictor: what a task gives of a batch, how that is scored, combined and written, and what it refuses."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy.typing as npt
import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torchmetrics import Metric, MetricCollection

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.errors import ConfigError, UserError
from lightning_base.samples.batch import Batch, Inputs, Lengths, targets
from lightning_base.samples.nested import Nested, rows_of
from lightning_base.samples.payload import Rows
from lightning_base.samples.samples import Samples
from lightning_base.tasks.columns import table_columns
from lightning_base.tasks.given import Change, demand_fits, joined
from lightning_base.tasks.kinds import demand_kind
from lightning_base.tasks.lead import Mode, larger_is_better, ordered
from lightning_base.tasks.network import mend, outputs, shape_of
from lightning_base.tools.imports import fault

Scorer: TypeAlias = Callable[[Tensor], dict[str, Tensor]]


class Output(NamedTuple):
    """What a step returns: the mean loss (), the predictions (B, ...) that metrics take, the targets (B, ...).

    Attributes:
        preds: a tensor (B, ...), Sequences, or a dictionary of these by name; None where the module trains and does not
            work them out.
        target: likewise, as metrics take it beside the predictions; None where there is none.
        weight: (), what the loss is a mean over, where that is not the samples: the sum of their weights, the number of
            objects. Where it is 0 the loss is divided by 1.
    """

    loss: Tensor
    preds: Nested
    target: Nested
    weight: Tensor | None = None


class Predictor(LightningModule, ABC):
    """What every task says of its predictions; `BaseModule` is what trains it.

    Attributes:
        takes: the kinds of targets that it trains on, as `Samples.kind` has them, "none" among them; () for any.
        network: any nn.Module.
        channels_last: whether image batches are held in channels-last memory.
        given_metrics: by name, what is scored beside the task's own.
        order: the task's metrics as they are shown, the first of which is its score; those left out follow in the order
            that `lightning_base.stats.metrics` knows.
        score: the metric that leads instead: shown first, monitored, compared.
        score_mode: which way it is better, where nothing else says so.
    """

    takes: ClassVar[tuple[str, ...]] = ()
    order: ClassVar[tuple[str, ...]] = ()
    network: nn.Module
    channels_last: bool
    given_metrics: Mapping[str, Metric] = MappingProxyType({})
    score: str | None = None
    score_mode: Mode | None = None

    @abstractmethod
    def step(self, batch: Batch) -> Output:
        """Loss, predictions and targets of a batch: a function of the network and the batch alone."""

    @abstractmethod
    def forward(self, x: Inputs) -> Nested:
        """The predictions (B, ...) of preprocessed inputs (B, ...): what metrics, ensembles and exports use."""

    def predictions(self, batch: Batch) -> Nested:
        """The predictions of a batch: of its inputs alone, by default; for what depends on lengths, of these too."""
        return self(batch.x)

    @abstractmethod
    def metrics(self) -> MetricCollection:
        """New metrics of one number each, over (preds, target)."""

    def all_metrics(self) -> MetricCollection:
        """New metrics: the task's own, and those that it was given.

        Raises:
            ConfigError: where both have one of a name.
        """
        return joined(self.metrics(), self.given_metrics, self.for_given)

    def ordered(self, names: Iterable[str]) -> list[str]:
        """Metrics as they are shown: the score first, then those given beside the task's own, then these."""
        return ordered(names, self.score, self.order, self.given_metrics)

    def leading(self) -> str:
        """The name of the score."""
        return self.ordered(dict(self.all_metrics().items()))[0]

    def larger_is_better(self, metrics: Mapping[str, Metric]) -> dict[str, bool]:
        """Of these metrics whether a greater value is the better one, where that is known."""
        found = {name: larger_is_better(name, one, name not in self.given_metrics) for name, one in metrics.items()}
        if self.score is not None and self.score_mode is not None:
            found[self.score] = self.score_mode == "max"
        return {name: larger for name, larger in found.items() if larger is not None}

    @property
    def for_given(self) -> Change | None:
        """What makes of predictions and targets that which metrics of others take; None for these as they are.

        A function of both that keeps nothing of the task: metrics are copied.
        """
        return None

    def details(self) -> MetricCollection:
        """New metrics that are vectors or matrices, for the reports; none by default."""
        return MetricCollection({})

    def scorer(self, preds: Nested, target: Nested) -> Scorer:
        """The metrics of samples drawn from these, as a function of their rows (n,), which may come more than once."""
        metrics = self.all_metrics()

        def score(rows: Tensor) -> dict[str, Tensor]:
            metrics.reset()
            found: dict[str, Tensor] = metrics(rows_of(preds, rows), rows_of(target, rows))
            return found

        return score

    def trivial(self, train: Nested, n: int) -> tuple[Nested, str] | None:
        """What is predicted of n samples from the training part's targets alone, and what that is, in words.

        What scores are set beside where predictions are not one class or value, of which the framework knows it.

        Args:
            train: targets of the training part.
            n: number of samples that are scored.

        Returns:
            Predictions as `forward` gives them; None, by default, where there is no such model.
        """
        return None

    def beside(
        self, pool: Samples, train: Rows, samples: Samples, rows: Rows, preds: Nested
    ) -> tuple[Nested, str] | None:
        """What a trivial model predicts of the samples that are scored, and what that is; `trivial`, by default.

        For tasks whose trivial model is no matter of targets alone.

        Args:
            pool: what trained.
            train: (T,) its rows of the training part.
            samples: what is scored.
            rows: (N,) which of them.
            preds: (N, ...) predictions of these.
        """
        known = targets(pool, train)
        return None if known is None or samples.kind is None else self.trivial(known, len(rows))

    def combine(self, members: Nested) -> Nested:
        """The ensemble's predictions (N, ...) from its members' (M, N, ...): their mean, by default.

        Args:
            members: as `lightning_base.samples.nested.stacked` makes them: (M, N, ...) tensors, alone or by name.

        Raises:
            ConfigError: where predictions are such that they have no mean.
        """
        if isinstance(members, dict):
            return {name: self.combine(part) for name, part in members.items()}
        if not isinstance(members, Tensor) or not members.is_floating_point():
            raise ConfigError(
                f"model: {type(self).__name__} says no way to combine its predictions over folds; give one fold's "
                "checkpoint as --ckpt_path, or implement `combine`"
            )
        return members.mean(dim=0)

    def columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """The columns of a prediction table, from predictions (N, ...), by default as they are.

        `pred` where they are one tensor or Sequences, else `pred_<name>`: (N,) are values, more are an array per
        sample. Arrays of two or more axes are kept in a file beside the table.
        """
        return table_columns("pred", preds)

    def answer_columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """The columns that `predict` gives: those of `columns`, by default, with names where there are some."""
        return self.columns(preds)

    def target_columns(self, target: Nested) -> dict[str, npt.NDArray[Any]]:
        """The columns that say what was to be predicted; `target` by default, as `columns` has predictions."""
        return table_columns("target", target)

    def outputs(self, x: Inputs, lengths: Lengths = None) -> Any:
        """What the network gives of preprocessed inputs: one tensor, or several as keywords of their names.

        A network whose `forward` has a parameter `lengths` (or `<name>_lengths` of several inputs) is given them.
        """
        return outputs(self.network, x, lengths, self.inputs)

    @property
    def target_names(self) -> tuple[str, ...]:
        """The names of several values or labels, in their order, which details follow; () of other targets."""
        return ()

    def inputs(self, x: Tensor) -> Tensor:
        """An input in the memory format, and a floating one in the precision, that the network's weights have."""
        dtype = self.dtype
        if isinstance(dtype, torch.dtype) and x.is_floating_point():
            x = x.to(dtype)
        return x.contiguous(memory_format=torch.channels_last) if self.channels_last and x.ndim == 4 else x

    @classmethod
    def num_outputs(cls, key: str, data: BaseDataModule, options: Mapping[str, Any]) -> int | None:
        """How many outputs a network of the task is to give for the data; None, by default, where it does not say.

        Args:
            key: which of its networks, by the constructor's argument.
            data: whose pool is read.
            options: the task's other arguments, as the configuration has them.
        """
        return None

    def use(self, data: BaseDataModule) -> None:
        """Takes from the data what the task needs before training (class names, class weights); none by default."""

    def demand_kind(self, samples: Samples) -> None:
        """Refuses samples whose targets are of a kind that the task does not train on.

        Raises:
            ConfigError: naming both, and the tasks that do.
        """
        demand_kind(type(self).__name__, self.takes, samples)

    def check(self, batch: Batch) -> None:
        """One forward pass without gradient, to find a misfit of network and data before anything is written.

        Raises:
            UserError: where the network does not take the batch, or gives what the targets do not fit.
        """
        was_training = self.training
        self.eval()
        try:
            with torch.no_grad():
                out = self.step(batch)
            if not isinstance(out, Output) or not isinstance(out.loss, Tensor) or out.loss.ndim:
                given = type(out).__name__ if not isinstance(out, Output) else f"a loss {tuple(out.loss.shape)}"
                raise ConfigError(
                    f"model: `step` of {type(self).__name__} gives {given}; give Output(loss, preds, target), the loss "
                    "one number (), as a mean is"
                )
            demand_fits(self.given_metrics, self.for_given, out.preds, out.target)
        except UserError:
            raise
        except Exception as error:  # whatever the user's own network or task does
            said = f"{shape_of(batch.x)}: {fault(error)}; {mend(self.network, batch.x)}"
            name = type(self.network).__name__
            raise ConfigError(f"model.network: {name} does not fit the data, whose batch has shape {said}") from error
        finally:
            self.train(was_training)
