"""Losses that a YAML or a caller gives a task in place of its own: what they must be like, and two ready made."""

from typing import Any

import torch
from torch import Tensor, nn

from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch
from lightning_base.tasks.given import not_square
from lightning_base.tasks.probabilities import NEAR
from lightning_base.tools.imports import fault


def values_of(loss: nn.Module, found: Tensor, target: Tensor) -> Tensor:
    """What a module of the user's gives: the loss () or (1,), or one of each sample (B,).

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
    return value


def mean_loss(loss: nn.Module, found: Tensor, target: Tensor) -> Tensor:
    """The training loss () by a module of the user's: what `values_of` gives of the same, or the mean of that (B,)."""
    return values_of(loss, found, target).mean()


def demand_taken(task: Any, loss: nn.Module, batch: Batch) -> None:
    """Refuses a loss that does not take what a task's network gives of a batch, and its targets.

    Args:
        task: one whose `compared` gives them.
        loss: called with them in training.
        batch: preprocessed.

    Raises:
        ConfigError: naming what it said.
    """
    with torch.no_grad():
        demand_mean(loss, *not_square(*tried(task, batch)))


def tried(task: Any, batch: Batch) -> tuple[Tensor, Tensor]:
    """What a loss is called with of a batch in evaluation: (B, ...) and (B, ...).

    Args:
        task: one whose `compared` gives them.
        batch: preprocessed.
    """
    was_training = task.training
    task.eval()
    try:
        with torch.no_grad():
            found: tuple[Tensor, Tensor] = task.compared(batch)
            return found
    finally:
        task.train(was_training)


def demand_mean(loss: nn.Module, found: Tensor, target: Tensor) -> None:
    """Refuses a loss that grows with the batch: the learning rate would depend on how many samples a batch has.

    A sum over samples is twice as large where each comes twice.

    Args:
        loss: called with what the network gives and the targets.
        found: (B, ...).
        target: (B, ...).

    Raises:
        ConfigError: for a sum over samples, and for what fails or is no loss.
    """
    with torch.random.fork_rng(devices=[]):
        once = values_of(loss, found, target)
        twice = values_of(loss, torch.cat([found, found]), torch.cat([target, target]))
    if isinstance(loss, nn.NLLLoss) and not bool((found.exp().sum(dim=1) - 1).abs().max() < NEAR):
        raise ConfigError(
            "model.loss: NLLLoss takes log-probabilities, and the network gives logits, of which it has no least "
            "value; give torch.nn.CrossEntropyLoss, which is both"
        )
    grows = once.numel() == 1 and float(once) != 0 and abs(float(twice) / float(once) - 2) < 1e-3
    if grows or getattr(loss, "reduction", None) == "sum":
        name = type(loss).__name__
        mend = "reduction: mean" if hasattr(loss, "reduction") else "the mean over samples, or one number of each"
        raise ConfigError(f"model.loss: {name} is a sum over samples, which grows with the batch; give {mend}")


def is_mean(loss: nn.Module, found: Tensor, target: Tensor) -> bool:
    """Whether a loss is the plain mean of what it is of each sample alone, as far as these samples show it.

    Such a loss is on several processes what it is on one.

    Args:
        loss: called with what the network gives and the targets.
        found: (B, ...), B two or more.
        target: (B, ...).
    """
    if getattr(loss, "weight", None) is not None and getattr(loss, "reduction", "mean") == "mean":
        return False
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=[]):
            whole = values_of(loss, found, target).mean()
            each = [values_of(loss, found[i : i + 1], target[i : i + 1]).mean() for i in range(len(found))]
    except ConfigError:  # one sample is not enough for it
        return False
    return bool(torch.isclose(whole.double(), torch.stack(each).double().mean(), rtol=1e-3, atol=1e-6))


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
        _demand_from_0("gamma", gamma)
        self.gamma = gamma

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """(B,) losses."""
        if target.shape == logits.shape:
            log_p = torch.where(target > 0, nn.functional.logsigmoid(logits), nn.functional.logsigmoid(-logits))
        else:
            log_p = logits.log_softmax(dim=1).gather(1, target[:, None])
        return (-((1 - log_p.exp()) ** self.gamma) * log_p).flatten(1).mean(dim=1)


class Dice(nn.Module):
    """Soft Dice loss of each sample, 1 - (2 Σ p·t + s) / (Σ p + Σ t + s) (Sudre et al. 2017; Milletari et al. 2016).

    Few pixels of a class count as much as many: what is compared is how far two areas overlap. The sums are over the
    pixels of one sample; of several classes it is the mean of each one's.

    Args:
        smooth: s, above 0, by which a class that a sample does not have costs little where little is predicted of it.
        ignore: what stands in targets for pixels that count for nothing, as `ImageMasks` has it; None for nothing.

    Takes logits (B, C, H, W) and class numbers (B, H, W), by the softmax over the C classes; or logits and masks of 0
    and 1, (B, 1, H, W) or (B, H, W), or (B, C, H, W) of which each channel is a mask. Logits and labels (B, C) are
    taken as one mask, logits (B, C) and class numbers (B,) as C masks of one pixel. Gives (B,).

    Raises:
        ValueError: for targets of another shape or with other numbers.
    """

    def __init__(self, smooth: float = 1.0, ignore: int | None = 255) -> None:
        super().__init__()
        _demand_from_0("smooth", smooth)
        if smooth == 0:
            raise ConfigError("model.loss: smooth 0 makes 0/0 of a mask without pixels; give a number above 0, as 1.0")
        self.smooth, self.ignore = smooth, ignore

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        """(B,) losses."""
        shape, apart = logits.shape, logits.shape[:1] + logits.shape[2:]
        if target.shape != shape and shape[1] == 1 and target.shape == apart:
            target = target[:, None]
        counts = torch.ones_like(target, dtype=torch.bool) if self.ignore is None else target != self.ignore
        target = torch.where(counts, target, 0)
        if target.shape == shape:
            if ((target != 0) & (target != 1)).any():
                raise ValueError("masks hold other numbers than 0 and 1")
            p, t = logits.sigmoid() * counts, target.to(logits.dtype)
        elif target.shape == apart and not target.is_floating_point():
            if not 0 <= int(target.amin()) <= int(target.amax()) < shape[1]:
                raise ValueError(f"class numbers are not below {shape[1]}, which is how many logits there are")
            p = logits.softmax(dim=1) * counts[:, None]
            t = nn.functional.one_hot(target.long(), shape[1]).movedim(-1, 1).to(logits.dtype) * counts[:, None]
        else:
            raise ValueError(f"logits {tuple(shape)} need masks of that shape, or class numbers {tuple(apart)}")
        channels = shape[1] if len(shape) > 3 or target.shape != shape else 1
        p, t = (part.reshape(len(part), channels, -1) for part in (p, t))
        both, either = (p * t).sum(dim=2), p.sum(dim=2) + t.sum(dim=2)
        return (1 - (2 * both + self.smooth) / (either + self.smooth)).mean(dim=1)


def _demand_from_0(name: str, value: float) -> None:
    if not value >= 0:
        raise ConfigError(f"model.loss: {name} {value} is below 0; give 0 or more")
