"""How targets move with their images: boxes by their corners, masks and images pixel by pixel."""

from collections.abc import Callable

from torch import Tensor

from lightning_base.augment.boxes import move
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Boxes, Target


def moved(
    y: Target | None, x: Tensor, matrix: Tensor, chosen: Tensor, change: Callable[[Tensor], Tensor]
) -> Target | None:
    """The targets of images whose chosen samples' pixels were moved; what has no place in them stays.

    Args:
        y: Boxes; masks or images (B, H, W) or (B, C, H, W) as large as x; or classes, values and labels (B,) or (B, K).
        x: (B, C, H, W) the images.
        matrix: (B, 2, 3) from old to new pixel coordinates.
        chosen: (B,) bool.
        change: what was done to the images, for arrays (B, C, H, W) of whole numbers without mixing them.

    Raises:
        ConfigError: for arrays of another size than the images: where they belong is not known.
    """
    height, width = x.shape[-2:]
    if isinstance(y, Boxes):
        return move(y, matrix, chosen, height, width)
    if not isinstance(y, Tensor) or y.ndim < 3:
        return y
    if y.shape[-2:] != x.shape[-2:] or y.ndim > 4:
        raise ConfigError(
            f"data.augment: targets of shape {tuple(y.shape[1:])} do not move with images of {height} by {width}; give "
            "arrays of that size, or leave out what moves pixels"
        )
    return change(y) if y.ndim == 4 else change(y[:, None])[:, 0]
