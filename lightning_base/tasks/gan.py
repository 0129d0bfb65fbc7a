"""GAN: a generator and a discriminator, trained against each other by an optimizer each."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable, ReduceLROnPlateau
from lightning.pytorch.strategies import DDPStrategy, ParallelStrategy
from torch import Tensor, nn
from torchmetrics import MetricCollection

from lightning_base.augment.draw import Draw
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.first import first_batch
from lightning_base.errors import ConfigError
from lightning_base.preprocess import Preprocess, Standardize
from lightning_base.samples.batch import Batch
from lightning_base.samples.nested import Nested
from lightning_base.samples.payload import Rows, blocks
from lightning_base.samples.samples import Samples
from lightning_base.tasks.base import BaseModule
from lightning_base.tasks.columns import table_columns
from lightning_base.tasks.epoch_log import log_epoch, log_step
from lightning_base.tasks.frechet import MOST, Count, FrechetDistance
from lightning_base.tasks.losses import EpochLoss
from lightning_base.tasks.predictor import Output, Scorer
from lightning_base.tasks.schedules import StepSchedule
from lightning_base.tasks.settings import demand_numbers, demand_weight
from lightning_base.tools.imports import fault

NAMES = ("g_loss", "d_loss")
FIXED, DRAWN = 0, 1  # what noise is drawn for: predictions, always the same of a sample's id, and training


class Adversaries(nn.Module):
    """The two networks of a GAN."""

    def __init__(self, generator: nn.Module, discriminator: nn.Module) -> None:
        super().__init__()
        self.generator, self.discriminator = generator, discriminator

    def forward(self, z: Tensor) -> Tensor:
        """What the generator makes of noise (B, Z)."""
        made: Tensor = self.generator(z)
        return made


class GAN(BaseModule):
    """Unconditional generation of samples like the inputs, whatever their targets (Goodfellow et al. 2014).

    The discriminator learns to tell inputs from what the generator makes of noise, by cross-entropy, then the generator
    learns to be taken for them (the non-saturating loss), each in a step of its own optimizer: a training batch is two
    optimizer steps, as `trainer.max_steps` and `TimedCheckpoint` count them. Noise is drawn from (seed, epoch, sample
    id), so that processes, and a run that was killed, draw as one process does. The predictions of a sample are made of
    noise that its id alone gives.

    Logged by epoch: g_loss, d_loss, train_loss (their sum), lr-generator and lr-discriminator. The metric is a Fréchet
    distance to the inputs of the same samples, `frechet_pixels` by default: no FID, whose features are InceptionV3's.

    Args:
        generator: gives samples (B, ...) of the inputs' shape for noise (B, latent).
        discriminator: gives logits (B,) or (B, 1) for samples (B, ...), large where they are taken for inputs.
        latent: numbers of a sample's noise, standard normal.
        generator_optimizer: called with the generator's parameters.
        discriminator_optimizer: called with the discriminator's parameters.
        generator_scheduler: called with its optimizer; stepped once an epoch.
        discriminator_scheduler: likewise.
        r1: weight of |∇D(x)|² / 2 at the inputs in the discriminator's steps, with which training converges where it
            else goes round in circles (Mescheder, Geiger & Nowozin 2018); their weights are 1 to 10.
        features: gives feature vectors (B, F) for preprocessed samples (B, ...), between which the distance is then
            computed, and called `frechet_<class>`; it is not trained. None takes the values, as the source has them.

    Raises:
        UserError: where the networks do not fit each other, or a setting presumes one optimizer.
    """

    takes = ("none", "class", "value", "values", "labels", "array", "sequence", "spans", "boxes")
    steps_per_batch = 2

    def __init__(
        self,
        generator: nn.Module,
        discriminator: nn.Module,
        latent: int = 64,
        generator_optimizer: OptimizerCallable = torch.optim.Adam,
        discriminator_optimizer: OptimizerCallable = torch.optim.Adam,
        generator_scheduler: LRSchedulerCallable | None = None,
        discriminator_scheduler: LRSchedulerCallable | None = None,
        r1: float = 0.0,
        features: nn.Module | None = None,
    ) -> None:
        for key, part in (("generator", generator), ("discriminator", discriminator)):
            if not isinstance(part, nn.Module):
                raise ConfigError(f"model.{key}: give a network, an instance of torch.nn.Module")
        if latent < 1:
            raise ConfigError(f"model.latent: {latent} is below 1; give a number of noise values, as 64")
        super().__init__(Adversaries(generator, discriminator))
        demand_weight("model.r1", r1)
        self.automatic_optimization = False
        self.r1 = r1
        self.latent = latent
        self.make_optimizers: tuple[OptimizerCallable, ...] = (generator_optimizer, discriminator_optimizer)
        self.make_schedulers = (generator_scheduler, discriminator_scheduler)
        self.features = None if features is None else features.eval().requires_grad_(False)
        self.seed, self.width = 0, 0
        self._preprocess: Preprocess | None = None
        self._parts = (EpochLoss(keep=False), EpochLoss(keep=False))

    @property
    def parts(self) -> dict[str, nn.Module]:
        """The two networks by name, in the order of their optimizers."""
        return {"generator": self.network.generator, "discriminator": self.network.discriminator}  # type: ignore[dict-item]

    @classmethod
    def num_outputs(cls, key: str, data: BaseDataModule, options: Mapping[str, Any]) -> int | None:
        """Channels of the generator's images; one of a discriminator."""
        return int(first_batch(data).x.shape[1]) if key == "generator" else 1

    def use(self, data: BaseDataModule) -> None:
        """Takes the seed of the fold, and the width of its features."""
        self.seed, self._preprocess = data.fold_seed, data.preprocess
        if data.preprocess.fitted:  # where a checkpoint brings what is fitted, the first predictions tell the width
            x = data.transform(data.loader("train").gather(data.rows("train")[:1])).x
            if not isinstance(x, Tensor) or not x.is_floating_point():
                raise ConfigError(
                    "model: GAN makes samples of one input of real numbers, and this data has others; preprocess it so"
                )
            self.width = self.featured(x.to(self.device)).shape[1]
            if self.width > MOST:
                raise ConfigError(
                    f"model.features: samples of {self.width} values are too many for a Fréchet distance ({MOST} at "
                    "most); name a network that gives fewer"
                )

    def check(self, batch: Batch) -> None:
        """One pass without gradient, to find a misfit before anything is written.

        Raises:
            UserError: where the networks do not take noise, or samples.
        """
        assert batch.key is not None
        try:
            with torch.no_grad():
                self(self.noise(batch.key))
        except Exception as error:  # whatever the user's own network does
            name = type(self.parts["generator"]).__name__
            raise ConfigError(
                f"model.generator: {name} takes no noise of {self.latent} numbers: {fault(error)}; set model.latent "
                "to the width that it takes"
            ) from error
        super().check(batch)

    def train(self, mode: bool = True) -> "GAN":
        """As for any module, but that the network of features always stays as it is for evaluation."""
        super().train(mode)
        if self.features is not None:
            self.features.eval()
        return self

    def noise(self, key: Tensor, epoch: int | None = None) -> Tensor:
        """Noise (B, latent) of samples by keys (B,): that of predictions, or (from 0) of a training epoch."""
        seed, at, use = (0, 0, FIXED) if epoch is None else (self.seed, epoch, DRAWN)
        return Draw(key, seed, at, use).normal((self.latent,))

    def forward(self, x: Tensor) -> Tensor:
        """Samples (B, ...) made of noise (B, latent)."""
        made: Tensor = self.network(self.inputs(x))
        return made

    def logits(self, x: Tensor) -> Tensor:
        """How much the discriminator takes samples (B, ...) for inputs, (B,).

        Raises:
            ConfigError: where it gives more than one number for each.
        """
        found: Tensor = self.parts["discriminator"](self.inputs(x))
        if found.shape not in ((len(x),), (len(x), 1)):
            raise ConfigError(f"model.discriminator: it gives {tuple(found.shape)} for {len(x)} samples; give (B,)")
        return found.reshape(len(x)).float()

    def featured(self, x: Tensor) -> Tensor:
        """(B, F) features of samples; without a network of features the values as the source has them."""
        with torch.no_grad():
            return (self.as_read(x) if self.features is None else self.features(x)).flatten(1).float()

    def as_read(self, x: Tensor) -> Tensor:
        """Samples with the standardisation of the data taken back, where it has one."""
        return self._preprocess.undone(x) if isinstance(self._preprocess, Standardize) else x

    def discriminator_loss(self, real: Tensor, made: Tensor) -> Tensor:
        """(B,) cross-entropy of telling inputs from what was made."""
        return F.softplus(-self.logits(real)) + F.softplus(self.logits(made))

    def slope(self, real: Tensor) -> Tensor:
        """(B,) r1 · |∇D(x)|² / 2 at inputs; in training alone, since it needs gradients."""
        if not self.r1:
            return torch.zeros(len(real), device=real.device)
        x = real.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(self.logits(x).sum(), x, create_graph=True)
        return self.r1 / 2 * gradient.flatten(1).square().sum(dim=1)

    def generator_loss(self, made: Tensor) -> Tensor:
        """(B,) cross-entropy of being taken for inputs."""
        return F.softplus(-self.logits(made))

    def step(self, batch: Batch) -> Output:
        """Both losses together () with the noise of predictions; what `predictions` gives; no target.

        Raises:
            ConfigError: where the generator makes samples of another shape than the inputs.
        """
        found = self.predictions(batch)
        real, made = batch.x, found["image"]
        loss = self.discriminator_loss(real, made) + self.generator_loss(made)
        return Output(loss.mean(), {name: value.detach() for name, value in found.items()}, None)

    def predictions(self, batch: Batch) -> dict[str, Tensor]:
        """What is made of the samples' noise, "image" (B, ...); "made" and "real", features of it and of the inputs."""
        assert batch.key is not None
        made = self(self.noise(batch.key))
        if made.shape != batch.x.shape:
            raise ConfigError(
                f"model.generator: it makes samples of shape {tuple(made.shape[1:])}, and the data's have "
                f"{tuple(batch.x.shape[1:])}; set it to make such"
            )
        found = {"image": made, "made": self.featured(made), "real": self.featured(batch.x)}
        self.width = found["made"].shape[1]
        return found

    def training_step(self, batch: Batch, batch_idx: int) -> None:
        """Lightning's hook: a step of the discriminator, then one of the generator against it."""
        assert batch.key is not None
        optimizers: Any = self.optimizers()
        generator, discriminator = optimizers
        made = self(self.noise(batch.key, self.current_epoch))
        d_loss = self._update(
            discriminator, lambda: self.discriminator_loss(batch.x, made.detach()) + self.slope(batch.x), batch
        )
        g_loss = self._update(generator, lambda: self.generator_loss(made), batch)
        n = batch.total or len(batch.rows)
        self._losses.add(g_loss + d_loss, n, batch_idx)
        for part, loss in zip(self._parts, (g_loss, d_loss), strict=True):
            part.add(loss, n, batch_idx)
        if (batch_idx + 1) % self.trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            log_step(self, g_loss + d_loss, len(batch.rows))

    def _update(self, optimizer: Any, losses: Callable[[], Tensor], batch: Batch) -> Tensor:
        """A step of one optimizer; the loss (), so scaled that its mean over ranks is the global batch's.

        DDP would wait for gradients of the other network: they are averaged here.
        """
        self.toggle_optimizer(optimizer)
        loss = losses().mean() * batch.share
        optimizer.zero_grad()
        strategy, world = self.trainer.strategy, self.trainer.world_size
        with strategy.block_backward_sync() if isinstance(strategy, ParallelStrategy) else nullcontext():
            self.manual_backward(loss)
        for group in optimizer.param_groups if world > 1 else ():
            for weight in group["params"]:
                if weight.grad is not None:
                    torch.distributed.all_reduce(weight.grad)
                    weight.grad /= world
        optimizer.step()
        self.untoggle_optimizer(optimizer)
        return loss.detach()

    def on_train_epoch_end(self) -> None:
        """Lightning's hook: the epoch's mean losses and the learning rates, and the schedulers' steps."""
        found: dict[str, Tensor | float] = {}
        if self._losses.count:
            self.demand_finite_loss()
            found["train_loss"] = self._losses.total / self._losses.count
            found |= {name: part.total / part.count for name, part in zip(NAMES, self._parts, strict=True)}
        self._losses, self._parts = EpochLoss(), (EpochLoss(keep=False), EpochLoss(keep=False))
        optimizers: Any = self.optimizers()
        found |= {f"lr-{name}": float(o.param_groups[0]["lr"]) for name, o in zip(self.parts, optimizers, strict=True)}
        log_epoch(self, found, ended=True)
        for config in self.trainer.lr_scheduler_configs:
            scheduler: Any = config.scheduler
            scheduler.step()

    def sums(self) -> tuple[Tensor, int]:
        """The running epoch's sums of losses (3,), all, the generator's and the discriminator's, and its samples."""
        totals = [torch.as_tensor(one.total).detach().cpu() for one in (self._losses, *self._parts)]
        return torch.stack(totals), self._losses.count

    def set_sums(self, sums: tuple[Tensor, int]) -> None:
        """Goes on from what `sums` gave."""
        if sums[1]:
            self._losses, self._parts = EpochLoss(), (EpochLoss(keep=False), EpochLoss(keep=False))
            for one, total in zip((self._losses, *self._parts), sums[0], strict=True):
                one.total, one.count = total.to(self.device), sums[1]

    def configure_model(self) -> None:
        """Lightning's hook: refuses strategies under which two optimizers cannot step by themselves."""
        strategy = self.trainer.strategy
        if self.trainer.world_size > 1 and type(strategy) is not DDPStrategy:
            raise ConfigError(f"trainer.strategy: GAN steps two optimizers, under ddp; not {type(strategy).__name__}")

    def configure_optimizers(self) -> Any:
        """Lightning's hook: the generator's optimizer and the discriminator's, and their schedulers.

        Raises:
            ConfigError: for a setting with which nothing is learned, or a scheduler that follows a metric.
        """
        optimizers = [make(p.parameters()) for make, p in zip(self.make_optimizers, self.parts.values(), strict=True)]
        schedulers = []
        for name, optimizer, make in zip(self.parts, optimizers, self.make_schedulers, strict=True):
            demand_numbers(optimizer, f"model.{name}_optimizer")
            scheduler = None if make is None else make(optimizer)
            if isinstance(scheduler, ReduceLROnPlateau | torch.optim.lr_scheduler.ReduceLROnPlateau | StepSchedule):
                raise ConfigError(
                    f"model.{name}_scheduler: {type(scheduler).__name__}: a GAN's go by epochs; take CosineAnnealingLR"
                )
            schedulers += [] if scheduler is None else [scheduler]
        return optimizers, schedulers

    @property
    def distance(self) -> str:
        """What the metric is called, by what gives its features."""
        return f"frechet_{'pixels' if self.features is None else type(self.features).__name__.lower()}"

    def metrics(self) -> MetricCollection:
        """The Fréchet distance between what is made and the inputs."""
        return MetricCollection({self.distance: FrechetDistance(self.width)})

    def details(self) -> MetricCollection:
        """The number of samples that the distance is of."""
        return MetricCollection({f"{self.distance}_n": Count()})

    def scorer(self, preds: Nested, target: Nested) -> Scorer:
        """No score of drawn samples: one that comes twice makes a Fréchet distance larger, and its interval wrong."""
        unknown = {self.distance: torch.tensor(torch.nan)}
        return lambda rows: unknown

    def beside(
        self, pool: Samples, train: Rows, samples: Samples, rows: Rows, preds: Nested
    ) -> tuple[Nested, str] | None:
        """The training part's mean in every place, where the distance is one of values."""
        if self.features is not None or not isinstance(preds, dict):
            return None
        total = sum(block.values.sum(axis=0, dtype=np.float64) for block in blocks(pool.inputs, train))
        mean = torch.as_tensor(total / len(train)).flatten().expand(len(rows), -1)
        return {**preds, "made": mean}, "the training part's mean in every place"

    def combine(self, members: Nested) -> Nested:
        """Refused: the mean of several generators' samples is no sample.

        Raises:
            ConfigError: always.
        """
        raise ConfigError("model: samples of several GANs have no mean; give one fold's checkpoint as --ckpt_path")

    def columns(self, preds: Nested) -> dict[str, npt.NDArray[Any]]:
        """`pred`, what is made, as the source has samples."""
        return table_columns("pred", self.as_read(preds["image"]))
