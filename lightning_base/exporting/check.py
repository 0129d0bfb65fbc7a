"""Whether an exported model answers as the run does, whatever else is in the batch and however it is padded."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from lightning_base.errors import ConfigError, one_line
from lightning_base.runtime.comparing import TOLERANCE, chosen, difference, scale_of
from lightning_base.runtime.inputs import Encoded
from lightning_base.runtime.model import Model


@dataclass(frozen=True)
class Check:
    """How far answers are from the run's own.

    Attributes:
        n: real samples that were compared.
        largest: the largest difference of a probability; of values, relative to the largest of them.
        agreeing: samples with the same prediction.
        alone: the largest difference between an answer by itself and one among others.
    """

    n: int
    largest: float
    agreeing: int
    alone: float

    def as_json(self) -> dict[str, Any]:
        """As the manifest keeps it."""
        return asdict(self)


def run_in_batches(model: Model, items: Sequence[Encoded], size: int = 16) -> list[dict[str, Any]]:
    """The answers, so many inputs at a time."""
    return [answer for i in range(0, len(items), size) for answer in model.run(items[i : i + size])]


def compare(model: Model, items: Sequence[Encoded], expected: Sequence[Mapping[str, Any]]) -> Check:
    """Holds a model's answers against the run's own.

    Args:
        model: exported and loaded.
        items: real samples.
        expected: the run's answers to them.

    Raises:
        ConfigError: where it fails on them.
    """
    try:
        together = run_in_batches(model, items)
        # by length, so that none is padded as it was, and each is alone
        some = sorted(range(len(items)), key=lambda i: _length(items[i]))
        some = some[:: max(len(some) // 25, 1)]
        alone = [model.run([items[i]])[0] for i in some]
        beside = [model.run([items[i], items[some[-1]]])[0] for i in some]
    except Exception as error:  # onnxruntime's kinds have no common base
        told = one_line(error)[:300]
        raise ConfigError(
            f"export: the graph cannot be run on the data's own samples ({told}); export with --format safetensors"
        ) from error
    scale = scale_of(expected)
    differences = [difference(one, other, scale) for one, other in zip(together, expected, strict=True)]
    agreeing = sum(chosen(one) == chosen(other) for one, other in zip(together, expected, strict=True))
    apart = [difference(together[i], one, scale) for i, one in zip(some, alone, strict=True)]
    apart += [difference(together[i], one, scale) for i, one in zip(some, beside, strict=True)]
    return Check(len(items), max(differences), agreeing, max(apart))


def _length(item: Encoded) -> int:
    return max((array.shape[0] for array in item.arrays.values() if array.ndim), default=0)


def demand_equal(check: Check, precise: bool) -> None:
    """Refuses an export whose answers are not the run's, or depend on what else is in the batch.

    Raises:
        ConfigError: with how far they are apart.
    """
    if precise and check.largest > TOLERANCE:
        raise ConfigError(
            f"export: the graph's answers differ from the run's by up to {check.largest:.2g} on {check.n} real "
            f"samples, where {TOLERANCE:g} is allowed; export with --format safetensors, or change the network"
        )
    if check.alone > (TOLERANCE if precise else 100 * TOLERANCE):
        raise ConfigError(
            "export: what the model answers depends on what else is in the batch or how far it is padded, by up to "
            f"{check.alone:.2g}; mask padding in the network (its forward is given `lengths` where it has a parameter "
            "of that name), and leave batch statistics out of evaluation"
        )
