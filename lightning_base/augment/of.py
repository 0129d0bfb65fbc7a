"""Of: an op on one of several inputs."""

from dataclasses import replace

from lightning_base.augment.base import Augmentation, Context
from lightning_base.augment.draw import Draw
from lightning_base.augment.mix import Mix
from lightning_base.errors import ConfigError
from lightning_base.samples.batch import Batch


class Of(Augmentation):
    """Another op, applied to one of several inputs and to the target: `Of(image, Flip())`.

    Args:
        name: of the input.
        op: what is done to it; none that mixes targets, of which the other inputs would know nothing.

    Raises:
        ConfigError: for an op that mixes targets.
    """

    def __init__(self, name: str, op: Augmentation) -> None:
        super().__init__(op.p)
        if isinstance(op, Mix):
            raise ConfigError(
                f"data.augment: {type(op).__name__} mixes targets, and would leave the inputs beside {name!r} as they "
                "are; leave it out"
            )
        self.name, self.op = name, op
        self.stage, self.mixes, self.paced = op.stage, op.mixes, op.paced  # type: ignore[misc]

    def apply(self, batch: Batch, draw: Draw, context: Context) -> Batch:
        """The batch with the op applied to the input of that name."""
        if not isinstance(batch.x, dict) or self.name not in batch.x:
            there = ", ".join(batch.x) if isinstance(batch.x, dict) else "one input, which has no name"
            raise ConfigError(f"data.augment: no input {self.name!r}; samples have {there}")
        context = replace(context, numeric=context.parts.get(self.name))
        return batch.having(self.name, self.op.apply(batch.part(self.name), draw, context))
