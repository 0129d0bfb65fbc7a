"""What a network of somebody else's predicts, told from its numbers: logits, log-probabilities or probabilities."""

from typing import Any, Literal

import torch
from torch import Tensor

from lightning_base.errors import ConfigError

Scale = Literal["logits", "log_probabilities", "probabilities"]
NEAR = 0.02  # sums of probabilities in half precision are off by so much
FEW = 4  # of fewer samples the numbers do not tell


def scale_of(values: Tensor, each: bool) -> Scale | None:
    """What values (B, C) are; None where they might be of two kinds.

    Args:
        values: of B samples.
        each: whether each column is a label of its own, so that rows add up to nothing; or whether there is one column.
    """
    values = values.detach().double()
    inside = bool(((values >= 0) & (values <= 1)).all())
    if each:
        return None if inside else "logits"
    sums = values.sum(dim=1)
    if inside:  # sigmoids of each class, or logits that happen to lie there
        return "probabilities" if bool(((sums - 1).abs() < NEAR).all()) and len(values) >= FEW else None
    if bool((values >= 0).all()) and bool(((sums - sums[0]).abs() < 1e-3 * sums[0]).all()) and len(values) >= FEW:
        return None  # shares of a hundred
    if bool((values <= 0).all()) and bool(((values.exp().sum(dim=1) - 1).abs() < NEAR).all()):
        return "log_probabilities" if len(values) >= FEW else None
    return "logits"


def is_one_hot(values: Tensor) -> bool:
    """Whether rows of (B, C) are 0 but for one 1: the classes themselves."""
    if not values.is_floating_point() or values.ndim != 2 or values.shape[1] < 2 or len(values) < FEW:
        return False
    return bool(((values == 0) | (values == 1)).all()) and bool((values.sum(dim=1) == 1).all())


def probabilities(values: Tensor, scale: Scale, each: bool) -> Tensor:
    """Probabilities (B, C) float64 from values (B, C).

    Args:
        values: of B samples.
        scale: what they are.
        each: whether each column is a label of its own.

    Raises:
        ConfigError: for probabilities that are none.
    """
    values = values.double()
    if scale == "logits":
        return values.sigmoid() if each else values.softmax(dim=1)
    found = values.exp() if scale == "log_probabilities" else values
    if bool(((found < -NEAR) | (found > 1 + NEAR)).any()) or (
        not each and bool(((found.sum(dim=1) - 1).abs() > NEAR).any())
    ):
        raise ConfigError(f"model.predicts: {scale} are none here: they lie outside 0 to 1, or do not add up to 1")
    return found if each else found / found.sum(dim=1, keepdim=True)


def as_tensor(found: Any, output: str | int | None, who: str) -> Tensor:
    """What a module gives of a batch as one tensor (B, ...).

    Args:
        found: a tensor; an object with `logits`, as transformers' are; a mapping or a tuple, of which `output` says
            which entry; a list of numbers.
        output: a key or a place; None for the only one, or `logits`, `preds`, `predictions`, `probs`.
        who: gave it, for messages.

    Raises:
        ConfigError: where it is no tensor, or it is not known which.
    """
    if output is not None:
        try:
            found = found[output] if isinstance(output, int) or hasattr(found, "keys") else getattr(found, output)
        except (KeyError, IndexError, TypeError, AttributeError) as error:
            raise ConfigError(f"model.output: {who} gives a {type(found).__name__} without {output!r}") from error
    elif not isinstance(found, Tensor):
        for name in ("logits", "preds", "predictions", "probs", "pred"):
            value = found.get(name) if hasattr(found, "keys") else getattr(found, name, None)
            if isinstance(value, Tensor):
                found = value
                break
    if isinstance(found, list) and found and isinstance(found[0], int | float):
        found = torch.tensor(found)
    if not isinstance(found, Tensor):
        raise ConfigError(
            f"model: {who} gives a {type(found).__name__}, where a score needs a tensor (B, …); set model.output to "
            "the entry to score"
        )
    return found
