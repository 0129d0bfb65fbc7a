"""BaseModule: what every task shares: optimizer, penalties, metrics over true counts, exact predictions."""

from functools import partial
from typing import Any, ClassVar, Literal

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torchmetrics import Metric

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.steps import total_steps
from lightning_base.distributed.strategies import clip_norm, data_ranks, forget, shard, total
from lightning_base.distributed.tpu import OnHost, on_tpu
from lightning_base.errors import ConfigError
from lightning_base.finetune.frozen import Freezing
from lightning_base.finetune.given import InitFrom, as_init_from
from lightning_base.finetune.rates import demand_scale, groups, scaled
from lightning_base.finetune.schemes import Scheme, demand_scheme
from lightning_base.samples.batch import Batch
from lightning_base.samples.nested import Nested, mapped
from lightning_base.tasks.epoch_log import log_epoch, log_step
from lightning_base.tasks.fitted import fit_layers
from lightning_base.tasks.given import by_name
from lightning_base.tasks.layered import Layered
from lightning_base.tasks.lead import Mode
from lightning_base.tasks.losses import EpochLoss, at_least_float32, diverged
from lightning_base.tasks.network import in_channels_last
from lightning_base.tasks.penalty import Penalty
from lightning_base.tasks.predictor import Output
from lightning_base.tasks.settings import demand_numbers, scheduled
from lightning_base.tasks.several_steps import all_but_last

SCORED = {"fit": ("val",), "validate": ("val",), "test": ("test",), "predict": ()}  # by stage


class BaseModule(Layered):
    """A task: wraps any fitting network and trains it.

    A subclass implements `step` and `forward`, and names its metrics. The L1 and L2 penalties are *coupled*: the
    terms l1·Σ|w| and l2/2·Σw² are added to the training loss, so an adaptive optimizer rescales their gradient
    (Loshchilov & Hutter 2019, section 2); for decoupled decay take AdamW and its weight_decay. They cover
    parameters of two or more dimensions: biases and the scales and shifts of norm layers have one and are left
    out unless `penalize_all` is set.

    Args:
        network: any nn.Module, by class_path.
        optimizer: called with the parameters, e.g. torch.optim.SGD with its lr; by default Adam with lr 1e-3.
        scheduler: called with the optimizer; stepped once an epoch, those of lightning_base.tasks.schedules each step.
        l1: weight of Σ|w|.
        l2: weight of Σw²/2.
        penalize_all: let the penalties cover biases and norm layers too.
        channels_last: hold convolution weights and image batches in channels-last memory, faster on most devices.
        compile: let torch.compile make the network's code, for the shapes that its batches have.
        metrics: of torchmetrics, scored beside the task's own where predictions are a tensor; by name, or a list, whose
            names are the classes': MulticlassCohenKappa is cohen_kappa.
        init: what draws the first weights of linear and convolutional layers, from the fold's seed, and makes their
            biases zero; by default they are as torch makes them.
        init_from: weights to begin with: the path of a file, a run or a cross-validation, or an `InitFrom`. Refused
            where they have learned from held-out samples.
        freeze: layers that do not learn, by name or pattern: they have no gradient, decay or penalty, and are in
            evaluation mode, so that batch norm keeps its statistics.
        unfreeze: by epoch, from 1 on, frozen layers that learn from its beginning on.
        lr_scale: by layer, name or pattern, the factor on the learning rate; or one factor for each layer before the
            last, multiplied up.
        score: the metric that is shown first, monitored and compared, of the task's own or those given; by default the
            first of the task's `order`.
        score_mode: whether its largest or its smallest value is best, of a metric that does not say so.
        head: "auto" gives networks of torchvision, timm and transformers a new last layer, of as many outputs as the
            data asks for, and a first convolution that takes its channels, and says so; "keep" leaves them.
        steps_per_execution: how many optimizer steps are taken in one call of `training_step`, where that changes no
            result; by default 16. What acts at each step (some callbacks, several processes, mixed precision) has them
            taken one at a time.

    Attributes:
        sizes: by key, the sizes of its networks that the data has said.
        adapted: what was done to a network to make it fit the data, in words.
        rate: the learning rate that a search has found, in place of the optimizer's own; None without one.
        may_diverge: True where a loss that is no number ends nothing: in a search for the learning rate.

    Raises:
        UserError: for a penalty that is negative or not finite.
    """

    steps_per_batch: float = 1  # optimizer steps of a training batch, where a task takes them itself
    tried: ClassVar[int] = 2  # samples that it is tried on before training
    scores_raw: ClassVar[bool] = False  # scores and tables are of targets as read, before `make_target_preprocess`

    def __init__(
        self,
        network: nn.Module,
        optimizer: OptimizerCallable = torch.optim.Adam,
        scheduler: LRSchedulerCallable | None = None,
        l1: float = 0.0,
        l2: float = 0.0,
        penalize_all: bool = False,
        channels_last: bool = False,
        compile: bool = False,
        metrics: dict[str, Metric] | list[Metric] | None = None,
        init: Scheme | None = None,
        init_from: str | InitFrom | None = None,
        freeze: str | list[str] | None = None,
        unfreeze: dict[int, str | list[str]] | None = None,
        lr_scale: float | dict[str, float] | None = None,
        score: str | None = None,
        score_mode: Mode | None = None,
        steps_per_execution: int | None = None,
        head: Literal["auto", "keep"] = "auto",
    ) -> None:
        super().__init__()
        if not isinstance(network, nn.Module):
            what = f"the class {network.__name__}" if isinstance(network, type) else f"a {type(network).__name__}"
            raise ConfigError(f"model.network: {what} is given; give a network, an instance of torch.nn.Module")
        self.network = in_channels_last(network) if channels_last else network
        self.make_optimizer, self.make_scheduler = optimizer, scheduler
        self.penalized, self.channels_last = Penalty(l1, l2, penalize_all), channels_last
        self.compiles = compile
        if steps_per_execution is not None and steps_per_execution < 1:
            raise ConfigError(
                f"model.steps_per_execution: {steps_per_execution} is below 1; give a number of steps, or null"
            )
        self.steps_per_execution = steps_per_execution
        self.head, self.adapted = head, list[str]()
        self.sizes: dict[str, int] = {}
        self.given_metrics = by_name(metrics or {})
        demand_scheme(init)
        demand_scale(lr_scale)
        self.init, self.init_from = init, as_init_from(init_from)
        self.freezing, self.lr_scale = Freezing(freeze, unfreeze), lr_scale
        self.score, self.score_mode = score, score_mode
        self.scores = nn.ModuleDict()
        self.rate: float | None = None
        self.may_diverge = False
        self._losses = EpochLoss()
        self.step_loss = torch.tensor(0.0)

    @property
    def trained(self) -> LightningModule:
        """What the Trainer trains: the task itself, but for that which holds somebody else's LightningModule."""
        return self

    def penalty(self) -> Tensor:
        """l1·Σ|w| + l2/2·Σw² over the penalised weights, a scalar ()."""
        return self.penalized.of(self.network, self.freezing)

    def setup(self, stage: str) -> None:
        """Lightning's hook: meets the data, and makes the metrics that are scored now."""
        data = self.trainer.datamodule if self._trainer is not None else None  # type: ignore[attr-defined]
        if isinstance(data, BaseDataModule):
            self.use(data)
            if stage == "fit":
                self.fit_layers(data)
        if stage == "fit":
            self._freeze(0)
        if self.channels_last:
            in_channels_last(self.network)  # lazy layers have their weights by now
        group = data_ranks(self._trainer).group
        if on_tpu(self._trainer):
            self.scores = OnHost()
        for name in SCORED[stage]:
            self.scores[name] = metrics = self.all_metrics()
            metrics.prefix = f"{name}_"
            for metric in self.scores[name].modules():
                if isinstance(metric, Metric):
                    metric.process_group = group

    def fit_layers(self, data: BaseDataModule) -> None:
        """Fits the layers of the network that are fitted on training inputs (lightning_base.tasks.fitted)."""
        fit_layers(self.network, data, lambda batch: self.outputs(batch.x, batch.lengths))

    def configure_model(self) -> None:
        """Lightning's hook: shards the network where the strategy does, and compiles it where it is asked for."""
        strategy = self.trainer.strategy
        if isinstance(strategy, ModelParallelStrategy):
            inside = set(self.network.parameters())
            outside = [name for name, p in self.named_parameters() if p.requires_grad and p not in inside]
            if outside:
                raise ConfigError(
                    f"trainer.strategy: only model.network is sharded, and {type(self).__name__} has {outside[0]} "
                    "outside it; take ddp"
                )
            shard(self.network, strategy)
        if self.compiles:
            self.network.compile(dynamic=False)
            self.compiles = False

    def training_step(self, batch: Any, batch_idx: int) -> Tensor | None:
        """Lightning's hook. The loss is summed on the device; it is logged every n steps and once an epoch.

        Of several batches at once the steps of all but the last are taken here.
        """
        if isinstance(batch, list):
            first = batch_idx * self.trainer.datamodule.together  # type: ignore[attr-defined]
            all_but_last(self, batch, first)
            batch, batch_idx = batch[-1], first + len(batch) - 1
        loss = self.loss_of(batch, batch_idx)
        logs = (self.trainer.global_step + 1) % self.trainer.log_every_n_steps == 0  # type: ignore[attr-defined]
        if logs and not on_tpu(self.trainer):
            log_step(self, self.step_loss, len(batch.rows))
        return loss

    def loss_of(self, batch: Batch, batch_idx: int) -> Tensor:
        """What a training batch is trained by, (): its loss, which is summed up, and the penalties."""
        out = self.step(batch)
        out = out._replace(loss=self._share(out, batch))
        if on_tpu(self.trainer) and not isinstance(self._losses.total, Tensor):
            self._losses.keep = False  # what is kept leaves the step's program
            self._losses.total = torch.zeros(1).to(self.device)  # of a zero () XLA makes a constant, another program
        self._losses.add(out.loss.detach(), batch.total or len(batch.rows), batch_idx)
        self.step_loss = out.loss.detach()
        return out.loss + self.penalty() if self.penalized else out.loss

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Lightning's hook: as Lightning does it, but for the norm of weights that are sharded in different ways."""
        sharded = isinstance(self.trainer.strategy, ModelParallelStrategy)
        if sharded and gradient_clip_val and gradient_clip_algorithm in (None, "norm"):
            clip_norm([p for group in optimizer.param_groups for p in group["params"]], gradient_clip_val)
        else:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Lightning's hook: where a step is logged, and the device waited for, the loss is looked at.

        A TPU logs only now that the step's program has run, which else would be another one.
        """
        if self.trainer.global_step % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            if on_tpu(self.trainer):
                self.log("train_loss_step", self.step_loss.cpu(), batch_size=len(batch.rows))
            self.demand_finite_loss()

    def demand_finite_loss(self) -> None:
        """Ends a training whose loss is no number, in all ranks; waits for the device.

        A gradient that is not finite, which mixed precision's scaler skips a step for, is no such loss.

        Raises:
            Diverged: naming the epoch and the batch.
        """
        own = not (self.may_diverge or self._losses.is_finite())
        if not self.trainer.strategy.reduce_boolean_decision(own, all=False):
            return
        at = self._losses.first_bad() if own and self._losses.keep else None
        raise diverged(self.trainer.current_epoch, at)

    def _share(self, out: Output, batch: Batch) -> Tensor:
        """The loss (), so scaled that its mean over ranks, and that of its gradient, are the global batch's."""
        if out.weight is None or self.trainer.world_size == 1:
            return out.loss if batch.share == 1 else out.loss * batch.share
        weight = out.weight if batch.share else torch.zeros_like(out.weight)
        own, every = (torch.where(w > 0, w, 1) for w in (weight, total(weight, self.trainer)))
        return out.loss * (own / every * (self.trainer.world_size if batch.share else 0))

    def on_train_epoch_end(self) -> None:
        """Lightning's hook: the epoch's mean training loss, without penalties, and the learning rate."""
        found: dict[str, Tensor | float] = {}
        if self._losses.count:
            self.demand_finite_loss()  # before anything of the epoch is kept
            found["train_loss"] = self._losses.total / self._losses.count
        self._losses = EpochLoss()
        optimizer = self.optimizers()
        if isinstance(optimizer, torch.optim.Optimizer):
            found["lr"] = float(optimizer.param_groups[0]["lr"])
        log_epoch(self, found, ended=True)

    def sums(self) -> tuple[Tensor, int]:
        """The running epoch's sum of losses () and its samples in this rank: a checkpoint keeps them."""
        return torch.as_tensor(self._losses.total).detach().cpu(), self._losses.count

    def set_sums(self, sums: tuple[Tensor, int]) -> None:
        """Goes on from what `sums` gave."""
        if sums[1]:
            self._losses = EpochLoss()
            self._losses.total, self._losses.count = sums[0].to(self.device), sums[1]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Lightning's hook: adds the batch to validation's metrics."""
        self._evaluate("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Lightning's hook: adds the batch to the test's metrics."""
        self._evaluate("test", batch)

    def _evaluate(self, name: str, batch: Batch) -> None:
        out = self.step(batch)
        if batch.real is not None:
            first = slice(batch.real)
            out = Output(out.loss, *(_on_host(value, first) for value in (out.preds, out.target)))
        if self.given_metrics:  # torchmetrics' flatten what they take
            out = out._replace(preds=mapped(out.preds, Tensor.contiguous), target=mapped(out.target, Tensor.contiguous))
        scores: Any = self.scores[name]
        if batch.share:
            scores.update(out.preds, out.target)
        elif not any(metric.update_called for metric in scores.values(copy_state=False)):
            scores.update(out.preds, out.target)  # what ranks gather must have the same shapes in each
            for metric in scores.values(copy_state=False):
                forget(metric)

    def on_validation_epoch_end(self) -> None:
        """Lightning's hook: logs validation's metrics, over true counts."""
        self._log_scores("val")

    def on_test_epoch_end(self) -> None:
        """Lightning's hook: logs the test's metrics, over true counts."""
        self._log_scores("test")

    def _log_scores(self, name: str) -> None:
        scores: Any = self.scores[name]
        # torchmetrics has reduced the counts over ranks: the mean over ranks is a mean of equal numbers
        log_epoch(self, scores.compute(), ended=False)
        scores.reset()

    def predict_step(self, batch: Batch, batch_idx: int) -> tuple[Tensor, Nested]:
        """Lightning's hook: rows (B,) and predictions (B, ...), floating ones float32 or float64, on the CPU."""
        n = (len(batch.rows) if batch.real is None else batch.real) if batch.share else 0
        return batch.rows.cpu()[:n], mapped(self.predictions(batch), lambda tensor: kept(tensor)[:n])

    def configure_optimizers(self) -> Any:
        """Lightning's hook: the optimizer and, where the YAML names one, the scheduler.

        Raises:
            UserError: for a rate or another number that is none, or a scheduler that does not say what it follows.
        """
        scale = self.lr_scale
        optimizer = self.make_optimizer(self.parameters() if scale is None else groups(self, self.network, scale))
        for group in optimizer.param_groups if self.rate is not None else ():
            group["lr"] = self.rate
        demand_numbers(optimizer)
        if scale is not None:
            optimizer = scaled(optimizer)
        if self.make_scheduler is None:
            return optimizer
        every: int | None = None if self._trainer is None else self.trainer.check_val_every_n_epoch
        known = None if self._trainer is None else partial(total_steps, self.trainer, self.steps_per_batch)
        return scheduled(optimizer, self.make_scheduler, every or 1, known, self.leading)


def kept(values: Tensor) -> Tensor:
    """The values on the CPU; floating ones as float32, or float64 where they are that."""
    return (at_least_float32(values) if values.is_floating_point() else values).cpu()


def _on_host(values: Nested, rows: slice) -> Any:
    # there what differs in shape needs no program compiled anew
    return None if values is None else mapped(values, lambda tensor: tensor.cpu()[rows])
