"""L1 and L2 penalties, as part of what is minimised."""

import torch
from torch import Tensor, nn

from lightning_base.finetune.frozen import Freezing
from lightning_base.tasks.settings import demand_weight


class Penalty:
    """l1·Σ|w| + l2/2·Σw² over the weights that learn.

    Args:
        l1, l2: 0 for none.
        everything: vectors too (biases, scales of norms), which else are left out.

    Raises:
        UserError: for a weight that is negative or not finite.
    """

    def __init__(self, l1: float, l2: float, everything: bool) -> None:
        for key, weight in (("l1", l1), ("l2", l2)):
            demand_weight(f"model.{key}", weight)
        self.l1, self.l2, self.everything = l1, l2, everything
        # modules and names, not weights: a stack of folds lays others over them
        self._found: tuple[nn.Module, int, list[tuple[nn.Module, str]]] | None = None

    def __bool__(self) -> bool:
        return bool(self.l1 or self.l2)

    def of(self, network: nn.Module, freezing: Freezing) -> Tensor:
        """The penalty () of a network's weights, but for those that are frozen in the epoch."""
        if self._found is None or self._found[0] is not network or self._found[1] != freezing.epoch:
            frozen = freezing.names(network, freezing.epoch)
            names = [name.rpartition(".") for name, _ in network.named_parameters() if name not in frozen]
            places = [(network.get_submodule(module), name) for module, _, name in names]
            self._found = network, freezing.epoch, places
        every: list[Tensor] = [getattr(module, name) for module, name in self._found[2]]
        weights = [w for w in every if w.requires_grad and (self.everything or w.ndim > 1)]
        parts = []
        if self.l1 and weights:
            parts.append(self.l1 * torch.stack([w.abs().sum() for w in weights]).sum())
        if self.l2 and weights:
            parts.append(self.l2 / 2 * torch.stack([w.square().sum() for w in weights]).sum())
        return sum(parts[1:], parts[0]) if parts else torch.zeros((), device=every[0].device if every else None)
