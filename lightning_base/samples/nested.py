"""Predictions and targets that are one tensor or several: rows of them, joined from batches, brought to the CPU."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import torch
from torch import Tensor
from torch.nn import functional

from lightning_base.samples.batch import Boxes, Sequences, Spans

Nested: TypeAlias = Any  # Tensor (N, ...), Sequences, Boxes, Spans, or a dictionary of these by name


def mapped(values: Nested, change: Callable[[Tensor], Tensor]) -> Nested:
    """The same with each tensor changed."""
    if isinstance(values, Tensor):
        return change(values)
    if isinstance(values, dict):
        return {name: mapped(value, change) for name, value in values.items()}
    return type(values)(*(mapped(value, change) for value in values))


def rows_of(values: Nested, rows: Tensor | slice) -> Nested:
    """The samples of these rows."""
    return mapped(values, lambda tensor: tensor[rows])


def count(values: Nested) -> int:
    """The number of samples."""
    if isinstance(values, Tensor):
        return len(values)
    return count(next(iter(values.values() if isinstance(values, dict) else values)))


def joined(parts: Sequence[Nested]) -> Nested:
    """All parts' samples one after another; what is padded is padded to the longest."""
    first = parts[0]
    if isinstance(first, Tensor):
        return torch.cat(list(parts))
    if isinstance(first, dict):
        return {name: joined([part[name] for part in parts]) for name in first}
    if isinstance(first, Spans):
        return Spans(*(joined([part[i] for part in parts]) for i in range(2)))
    fills = (0.0, -1) if isinstance(first, Boxes) else (0, 0)
    return type(first)(
        *(_padded([part[i] for part in parts], fill) for i, fill in enumerate(fills)),
    )


def _padded(parts: Sequence[Tensor], fill: float) -> Tensor:
    """The tensors (B, T, ...) one after another, padded at the end of axis 1; those (B,) as they are."""
    if parts[0].ndim < 2:
        return torch.cat(list(parts))
    longest = max(part.shape[1] for part in parts)
    return torch.cat([_lengthened(part, longest, fill) for part in parts])


def _lengthened(part: Tensor, longest: int, fill: float) -> Tensor:
    margins = [0, 0] * (part.ndim - 2) + [0, longest - part.shape[1]]
    return functional.pad(part, margins, value=fill)


def stacked(members: Sequence[Nested]) -> Nested:
    """Several predictions (N, ...) of the same samples as one (M, N, ...), where they are tensors; else as a list.

    Sequences are padded to the longest of all members.
    """
    first = members[0]
    if isinstance(first, Tensor):
        return torch.stack(list(members))
    if isinstance(first, dict):
        return {name: stacked([member[name] for member in members]) for name in first}
    if isinstance(first, Sequences):
        longest = max(member.values.shape[1] for member in members)
        values = torch.stack([_lengthened(member.values, longest, 0) for member in members])
        return type(first)(values, torch.stack([member.lengths for member in members]))
    return list(members)


def non_finite(values: Nested) -> Tensor:
    """(N,) bool, which samples have a NaN or an infinity in some part."""
    if isinstance(values, Tensor):
        return (~torch.isfinite(values)).reshape(len(values), -1).any(dim=1)
    parts = values.values() if isinstance(values, dict) else values
    return torch.stack([non_finite(part) for part in parts]).any(dim=0)
