"""Files of weights: safetensors, and what torch saves, without running anything that stands in them."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lightning_base.errors import CheckpointError, near_file, one_line

if TYPE_CHECKING:
    from torch import Tensor

INSIDE = ("state_dict", "model_state_dict", "model", "network", "params", "weights")  # where a checkpoint has them


def read_weights(path: Path) -> "dict[str, Tensor]":
    """The tensors of a file by name, on the CPU.

    Args:
        path: a safetensors file, weights that torch saved, or a checkpoint that has them inside.

    Raises:
        CheckpointError: for a file that is not there, is no such file, needs unsafe loading, or holds no weights.
    """
    import torch  # this room is imported where torch is not needed
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; put the weights there, or name their file{near_file(str(path))}")
    if path.suffix == ".safetensors":
        try:
            return dict(load_file(path))
        except (SafetensorError, OSError, ValueError) as error:
            raise CheckpointError(f"{path}: is no safetensors file: {one_line(error)[:200]}; fetch it again") from error
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a broken file
        raise CheckpointError(
            f"{path}: cannot be loaded as weights alone: {one_line(error)[:200]}; save a state_dict, or safetensors"
        ) from error
    return tensors_in(content, path)


def tensors_in(content: Any, path: Path) -> "dict[str, Tensor]":
    """The weights in what a file holds: itself, or one of its parts.

    Raises:
        CheckpointError: where there are none.
    """
    from torch import Tensor

    for part in (content, *((content.get(key) for key in INSIDE) if isinstance(content, Mapping) else ())):
        if isinstance(part, Mapping):
            found = {str(key): value for key, value in part.items() if isinstance(value, Tensor)}
            if found and (part is not content or len(found) == len(part)):
                return found
    kind = type(content).__name__
    raise CheckpointError(f"{path}: holds no weights by name ({kind}); give a state_dict, or a checkpoint with one")
