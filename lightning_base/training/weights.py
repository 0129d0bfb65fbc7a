"""Weights in files: read without running code, and put into a network as far as they fit."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lightning_base.errors import CheckpointError, near_file, one_line

ENDINGS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
INSIDE = ("state_dict", "model", "model_state_dict")  # where files of weights and more have the weights
SHOWN = 4


def read_weights(path: str | Path, key: str = "weights") -> dict[str, Tensor]:
    """The tensors of a file by name: of safetensors, or of torch with weights_only, so that no code in it is run.

    Args:
        path: of the file.
        key: that names it, for messages.

    Raises:
        CheckpointError: for a file that is not there, holds more than weights, or none.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"{key}: no file {path}{near_file(str(path)) or '; give the path of a file'}")
    try:
        content = _safetensors(path) if path.suffix == ".safetensors" else _torch(path)
    except Exception as error:  # torch raises many kinds for a broken file, or for one with code in it
        raise CheckpointError(
            f"{key}: {path} cannot be read as weights alone ({one_line(error)[:200]}); save its state_dict there, or "
            "safetensors"
        ) from error
    inside = next((content[key] for key in INSIDE if isinstance(content, dict) and _holds(content.get(key))), content)
    if not _holds(inside):
        raise CheckpointError(f"{key}: {path} holds no tensors by name; save the network's state_dict there")
    return {name: value for name, value in inside.items() if isinstance(value, Tensor)}


def _safetensors(path: Path) -> Any:
    from safetensors.torch import load_file  # imported where it is used

    return load_file(path)


def _torch(path: Path) -> Any:
    return torch.load(path, map_location="cpu", weights_only=True)


def _holds(content: Any) -> bool:
    return isinstance(content, dict) and any(isinstance(value, Tensor) for value in content.values())


def load_weights(network: nn.Module, path: str | Path, key: str = "weights") -> str:
    """Takes the tensors of a file that are the network's by name and shape; how many, and which were left, in words.

    Args:
        network: what takes them.
        path: of the file.
        key: that names it, for messages.

    Raises:
        CheckpointError: where the file cannot be read, or none of its tensors fits.
    """
    given, own = read_weights(path, key), network.state_dict()
    fitting = {name: value for name, value in given.items() if name in own and own[name].shape == value.shape}
    if not fitting:
        raise CheckpointError(
            f"{key}: none of the {len(given)} tensors in {path} fits {type(network).__name__}: it has "
            f"{_named(list(own))}, the file {_named(list(given))}; give its own weights"
        )
    network.load_state_dict(fitting, strict=False)
    new = [name for name in own if name not in fitting and not name.endswith("num_batches_tracked")]
    left = [name for name in given if name not in fitting]
    said = f"{len(fitting)} of {len(own)} tensors from {path}"
    said += f", not in it or of another shape: {_named(new)}" if new else ""
    return said + (f", not taken: {_named(left)}" if left else "")


def _named(names: list[str]) -> str:
    names = [name for name in names if not name.endswith("num_batches_tracked")]
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")
