"""Weights alone, as safetensors: for other code, and to begin other trainings with (`model.init_from`)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from lightning_base.exporting.members import Member
from lightning_base.splitters.split import WHOLE


def write_weights(members: Sequence[Member], folds: Sequence[int], folder: Path) -> dict[str, Any]:
    """Writes a file per member, with the names that its network has; what the task keeps beside is given back.

    Args:
        members: of the model.
        folds: that they were trained as.
        folder: of the export.

    Returns:
        By file: its fold, its network's class, and numbers of the task's own, such as a threshold.
    """
    found: dict[str, Any] = {}
    for member, fold in zip(members, folds, strict=True):
        name = "refit.safetensors" if fold == WHOLE else f"fold_{fold}.safetensors"
        network = member.task.network
        save_file({key: value.contiguous() for key, value in _own(network).items()}, str(folder / name))
        beside = {k: v.tolist() for k, v in member.task.state_dict().items() if not k.startswith("network.")}
        kind = f"{type(network).__module__}.{type(network).__qualname__}"
        found[name] = {"fold": "all" if fold == WHOLE else fold, "network": kind, "task": beside}
    return found


def _own(network: Any) -> dict[str, Tensor]:
    """A network's tensors; ones that are shared are copied, which safetensors asks for."""
    seen, found = set[int](), dict[str, Tensor]()
    for name, value in network.state_dict().items():
        found[name] = value.clone() if value.data_ptr() in seen else value
        seen.add(value.data_ptr())
    return found
