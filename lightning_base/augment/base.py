"""What an augmentation is, and how a list of them is applied to a batch."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import torch
from torch import Tensor

from lightning_base.augment.draw import Draw
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch

Stage = Literal["raw", "ready"]
CHUNK = 2**17  # numbers handled at a time on the CPU, so that what an op makes on its way stays in the cache


@dataclass(frozen=True)
class Context:
    """What ops need to know of the data.

    Attributes:
        num_classes: how many classes targets have; 0 for regression and for data without targets.
        numeric: of tables, how many columns of a preprocessed sample, counted from the first, are continuous; None
            where all are.
        parts: of several inputs the same by name.
        progress: the share of the training's steps that are done; None outside of a training.
    """

    num_classes: int
    numeric: int | None = None
    parts: Mapping[str, int | None] = field(default_factory=dict)
    progress: float | None = None


class Augmentation(ABC):
    """One op on a batch. Its random numbers all come from the `Draw` it is given.

    Attributes:
        stage: whether it works before ("raw") or after ("ready") the data module's preprocessing, which normalises
            images, makes token ids of text, spectrograms of audio, and columns of numbers of tables.
        mixes: whether it needs `batch.partner`.
        paced: whether it asks for the context's `progress`, and so depends on the training's length.

    Args:
        p: the share of samples it is applied to.
    """

    stage: ClassVar[Stage] = "raw"
    mixes: ClassVar[bool] = False
    paced: ClassVar[bool] = False

    def __init__(self, p: float = 1.0) -> None:
        self.p = p
        self.check("p", p, 0 <= p <= 1, "from 0 to 1")

    @abstractmethod
    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with the op applied to the samples that drew it; the others unchanged, `batch` untouched."""

    def check(self, argument: str, value: object, ok: bool, wanted: str) -> None:
        """Refuses an argument's value unless `ok`.

        Raises:
            UserError: naming the op, the argument, what it must be and what it is.
        """
        if not ok:
            raise ConfigError(f"{type(self).__name__}: `{argument}` must be {wanted}, not {value!r}")

    def check_range(
        self, argument: str, value: tuple[float, float], low: float = -float("inf"), high: float = float("inf")
    ) -> None:
        """Refuses a range unless it is two numbers in order, both from low to high."""
        wanted = "two numbers, the smaller first"
        if (low, high) != (-float("inf"), float("inf")):
            wanted += f", each from {low:g} to {high:g}" if high < float("inf") else f", each at least {low:g}"
        self.check(argument, value, len(value) == 2 and low <= value[0] <= value[1] <= high, wanted)

    def need(self, batch: Batch, axes: str, floating: bool | None = None) -> None:
        """Refuses inputs of another number of axes, or floating where whole numbers are due, or the reverse.

        Args:
            batch: the batch about to be augmented.
            axes: the axes its `x` must have, as in "B, C, H, W".
            floating: whether its numbers must be floating; None where either will do.

        Raises:
            UserError: naming the op, what it needs and what it got.
        """
        kind = {None: "", True: "floating-point ", False: "integer "}[floating]
        if batch.x.ndim != axes.count(",") + 1 or floating not in (None, batch.x.is_floating_point()):
            got = f"{str(batch.x.dtype).removeprefix('torch.')} of shape {tuple(batch.x.shape)}"
            raise ConfigError(f"{type(self).__name__} needs {kind}inputs of shape ({axes}), but these are {got}")


def augment(batch: Batch, ops: Sequence[Augmentation], stage: Stage, seed: int, epoch: int, context: Context) -> Batch:
    """The batch with the ops of a stage applied in list order; an op with p = 0 is left out.

    Ops that do not mix are applied to the partner too, by its own key, for as long as there is one. The result
    depends on each sample, its partner, the seed and the epoch; not on what else is in the batch.

    Args:
        batch: what to augment; not changed.
        ops: the whole list, of both stages: an op's position in it is part of what its random numbers are drawn from.
        stage: "raw" before the data module's preprocessing, "ready" after it. After "ready" there is no partner.
        seed: the run's seed.
        epoch: the epoch, from 0.
        context: what ops need to know of the data.

    Raises:
        UserError: where an op that mixes finds no partner, or an op does not fit the data.
    """
    for position, op in enumerate(ops):
        if op.stage != stage or op.p == 0:
            continue
        if op.mixes and batch.partner is None:
            raise ConfigError(
                f"{type(op).__name__} (number {position + 1} of the augmentations) mixes each sample with another, "
                "but there is no other left: keep one of MixUp and CutMix, and list SwapNoise before it"
            )
        if batch.partner is not None and not op.mixes:
            partner = batch.partner
            batch = batch._replace(partner=op.apply(partner, Draw(_key(partner), seed, epoch, position), context))
        batch = op.apply(batch, Draw(_key(batch), seed, epoch, position), context)
    return batch._replace(partner=None) if stage == "ready" else batch


def _key(batch: Batch) -> Tensor:
    """(B,) int64 keys of the batch, which must have them."""
    if batch.key is None:
        raise ValueError("augmentation needs batch.key")
    return batch.key


def column(values: Tensor, like: Tensor) -> Tensor:
    """(B,) values as (B, 1, …), to be broadcast over each sample of `like`."""
    return values.reshape(-1, *[1] * (like.ndim - 1))


def only(
    chosen: Tensor,
    x: Tensor,
    function: Callable[[Tensor, Tensor], Tensor],
    dtype: torch.dtype | None = None,
    chunk: int = CHUNK,
) -> Tensor:
    """x (B, ...) with the chosen samples' rows replaced by function(their x, their index in the batch).

    On the CPU the function sees the chosen samples only; elsewhere it sees all, which costs less than waiting for the
    device to say which they are.

    Args:
        chosen: (B,) bool.
        x: (B, ...).
        function: from (n, ...) and (n,) int64 to (n, ...).
        dtype: what the function returns, where that is not x's own.
        chunk: how many numbers the function sees at a time on the CPU.
    """
    dtype = dtype or x.dtype
    if x.device.type != "cpu":
        everyone = torch.arange(len(x), device=x.device)
        return torch.where(column(chosen, x), function(x, everyone), x.to(dtype))
    index = chosen.nonzero()[:, 0]
    if not len(index):
        return x.to(dtype)
    if len(index) == len(x) and x.numel() <= chunk:
        return function(x, index)
    parts = torch.split(index, max(1, chunk * len(x) // max(1, x.numel())))
    new = [function(x.index_select(0, part), part) for part in parts]
    place = torch.arange(len(x)).index_copy_(0, index, torch.arange(len(x), len(x) + len(index)))
    return torch.cat([x.to(dtype), *new]).index_select(0, place)  # copies whole rows: faster than writing into x


def floating(x: Tensor) -> torch.dtype:
    """The dtype in which x's values can be computed with: its own, or float32 for whole numbers."""
    return x.dtype if x.is_floating_point() else torch.float32


def within(result: Tensor, x: Tensor) -> Tensor:
    """The result, held inside the range of x's dtype where x has whole numbers (0…255 for uint8).

    The range of floating-point inputs is unknown, so theirs is left as it is.
    """
    if x.is_floating_point():
        return result
    info = torch.iinfo(x.dtype)
    return result.clamp(info.min, info.max)


def rounded(result: Tensor, x: Tensor) -> Tensor:
    """The result in x's dtype, rounded to the nearest where that has whole numbers."""
    if x.dtype == torch.bool:
        return result > 0.5
    return result.to(x.dtype) if x.is_floating_point() else within(result.round(), x).to(x.dtype)


def total(x: Tensor) -> Tensor:
    """(B,) sums of each sample, independent of the batch: summed so finely that the order of summing rounds away."""
    fine = torch.float32 if x.device.type == "mps" else torch.float64  # Apple's GPUs have no float64
    return x.flatten(1).sum(1, dtype=fine).to(floating(x))
