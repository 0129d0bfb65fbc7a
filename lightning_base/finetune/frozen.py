"""Frozen layers: no gradient, no decay, no penalty, no new statistics, until the epoch that lets them learn."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from torch import nn

from lightning_base.errors import ConfigError
from lightning_base.finetune.names import covered, listed, summed

Patterns: TypeAlias = str | Sequence[str]


def as_patterns(given: Patterns | None, key: str) -> tuple[str, ...]:
    """One pattern or several as a tuple.

    Raises:
        ConfigError: for what is no text.
    """
    several = () if given is None else (given,) if isinstance(given, str) else tuple(given)
    if wrong := [one for one in several if not isinstance(one, str) or not one]:
        raise ConfigError(f"{key}: {wrong[0]!r} is no name of a layer; give such as features, or 'features.*'")
    return several


class Freezing:
    """Which layers of a network are frozen in an epoch.

    What is frozen is a function of the epoch alone, so that a resumed training has it as one that never stopped has.
    A frozen layer is one function: it is in evaluation mode, so that batch norm takes the statistics that it has and
    keeps them, and dropout drops nothing. All parameters stay in the optimizer, which passes over those without a
    gradient, their decay included.

    Args:
        freeze: patterns of layers.
        unfreeze: by epoch, from 1 on, patterns of frozen layers that learn from its beginning on.

    Attributes:
        epoch: that the network was last brought to.
        trains: whether training has begun.

    Raises:
        ConfigError: for an epoch that is none, or layers to unfreeze where none is frozen.
    """

    def __init__(self, freeze: Patterns | None, unfreeze: Mapping[int, Patterns] | None) -> None:
        self.freeze = as_patterns(freeze, "model.freeze")
        self.unfreeze: dict[int, tuple[str, ...]] = {}
        for epoch, given in (unfreeze or {}).items():
            if not isinstance(epoch, int) or isinstance(epoch, bool) or epoch < 1:
                raise ConfigError(
                    f"model.unfreeze: {epoch!r} is no epoch to unfreeze layers at; give 1 or more (epochs count from 0)"
                )
            self.unfreeze[epoch] = as_patterns(given, f"model.unfreeze.{epoch}")
        if self.unfreeze and not self.freeze:
            raise ConfigError("model.unfreeze: nothing is frozen; give model.freeze the layers that wait")
        self.epoch = 0
        self.trains = False  # whether training has begun: Lightning warns of layers in evaluation mode before
        self._frozen: tuple[int, frozenset[str]] | None = None  # of an epoch

    def __bool__(self) -> bool:
        return bool(self.freeze)

    def names(self, network: nn.Module, epoch: int) -> frozenset[str]:
        """The parameters that are frozen in an epoch, from 0.

        Raises:
            ConfigError: for a pattern that covers nothing, or nothing that is frozen.
        """
        if self._frozen is None or self._frozen[0] != epoch:
            frozen = {name for one in self.freeze for name in covered(network, one, "model.freeze")}
            for at, patterns in sorted(self.unfreeze.items()):
                for one in patterns:
                    key = f"model.unfreeze.{at}"
                    found = covered(network, one, key).keys()
                    if not found & frozen:
                        raise ConfigError(
                            f"{key}: {one!r} is not frozen then; leave it out, or name it in model.freeze"
                        )
                    if at <= epoch:
                        frozen -= found
            self._frozen = epoch, frozenset(frozen)
        return self._frozen[1]

    def demand_sense(self, network: nn.Module, epochs: int | None) -> None:
        """Refuses to freeze everything at first, or to unfreeze after the end.

        Args:
            network: whose layers these are.
            epochs: how many it is trained for at most; None where that is not known.

        Raises:
            ConfigError: naming the key.
        """
        if not self:
            return
        frozen = self.names(network, 0)
        if not any(one.requires_grad and name not in frozen for name, one in network.named_parameters()):
            raise ConfigError("model.freeze: no layer is left to learn; leave one out, as the last")
        late = [epoch for epoch in self.unfreeze if epochs is not None and 0 <= epochs <= epoch]
        if late:
            raise ConfigError(
                f"model.unfreeze: epoch {late[0]} does not come, trainer.max_epochs is {epochs} and the last is "
                f"{(epochs or 1) - 1}; give an earlier one"
            )

    def bring(self, network: nn.Module, epoch: int, apart: bool = True) -> None:
        """Brings a network to what is frozen in an epoch, from 0.

        Args:
            network: whose layers these are.
            epoch: from 0.
            apart: whether parameters that learn later need no gradient until then. Where several processes average
                gradients, which ones these are is settled when training begins: there `drop` takes theirs away.
        """
        if not self:
            return
        first, before = self.names(network, 0), self.names(network, self.epoch)
        ever, now = self.names(network, max(self.unfreeze, default=0)), self.names(network, epoch)
        for name, parameter in network.named_parameters():
            if name in first:  # whether others learn is the network's affair
                parameter.requires_grad_(name not in (now if apart else ever))
        for module in held(network, before) if before != now else ():
            module.train()
        self.epoch = epoch
        self.hold(network)

    def hold(self, network: nn.Module) -> None:
        """Puts frozen layers into evaluation mode, from the beginning of training on."""
        for module in held(network, self.names(network, self.epoch)) if self and self.trains else ():
            module.eval()

    def drop(self, network: nn.Module) -> None:
        """Takes the gradients of frozen parameters away."""
        frozen = self.names(network, self.epoch)
        for name, parameter in network.named_parameters():
            if name in frozen:
                parameter.grad = None

    def told(self, network: nn.Module) -> str:
        """What is frozen at first, in words."""
        frozen = self.names(network, 0)
        total, own = (
            sum(parameter.numel() for name, parameter in network.named_parameters() if name in some)
            for some in ({name for name, _ in network.named_parameters()}, frozen)
        )
        layers = listed(summed(frozen_in_order(network, frozen)), 3)
        return f"{own:,} of {total:,} parameters are frozen: {layers}"


def frozen_in_order(network: nn.Module, names: frozenset[str]) -> list[str]:
    """Names of parameters, in the network's order."""
    return [name for name, _ in network.named_parameters() if name in names]


def held(network: nn.Module, frozen: frozenset[str]) -> list[nn.Module]:
    """The modules whose parameters are all frozen, and what lies between them without any, as dropout in a block."""
    found: list[nn.Module] = []

    def visit(module: nn.Module, path: str) -> None:
        names = [f"{path}{name}" for name, _ in module.named_parameters()]
        if names and all(name in frozen for name in names):
            found.append(module)  # with all that it holds
            return
        for name, child in module.named_children():
            visit(child, f"{path}{name}.")

    visit(network, "")
    return found
