"""Where a network's first weights come from, as a configuration says it: `model.init_from`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lightning_base.errors import ConfigError

KEY = "model.init_from"


@dataclass(frozen=True)
class InitFrom:
    """Weights that training begins with, from a file, a run or a cross-validation.

    Args:
        path: a checkpoint of ours, of Lightning or of torch, a safetensors file, the folder of a fit or a fold, or that
            of a cross-validation.
        fold: of a cross-validation, whose weights every fold then begins with; by default each fold takes those of the
            fold that trained on the same samples.
        rename: what parts of names are called here: {"encoder": "features"} makes `encoder.0.weight`
            `features.0.weight`; "" stands for the beginning of every name. What wrappers put before names (module.,
            model., network., _orig_mod.) goes by itself.
        new: layers that keep their own first weights, whatever the source has. By default the last one does where the
            source lacks it or has it in another shape.
        strict: refuse weights that leave any other layer as it was; false lets what fits in.
        other_data: say that ids which the source trained on name other samples than the same ids here, as where both
            count rows; samples are then told by their content alone.

    Raises:
        ConfigError: for a path or names that are none.
    """

    path: str
    fold: int | None = None
    rename: dict[str, str] = field(default_factory=dict)
    new: list[str] | None = None
    strict: bool = True
    other_data: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike) or not str(self.path).strip():
            raise ConfigError(f"{KEY}.path: {self.path!r} is no path; name a file of weights or a run's folder")
        object.__setattr__(self, "path", str(self.path))
        if self.fold is not None and (not isinstance(self.fold, int) or isinstance(self.fold, bool) or self.fold < 0):
            raise ConfigError(f"{KEY}.fold: {self.fold!r} is no number of a fold, from 0")
        if not isinstance(self.rename, Mapping) or not all(
            isinstance(part, str) for pair in self.rename.items() for part in pair
        ):
            raise ConfigError(f"{KEY}.rename: {self.rename!r:.60} is no table of names; give {{old: new}}")
        if self.new is not None and (isinstance(self.new, str) or not isinstance(self.new, Sequence)):
            object.__setattr__(self, "new", [str(self.new)])


def as_init_from(given: "InitFrom | str | os.PathLike[str] | None") -> InitFrom | None:
    """What was given, or the path that was, as one thing; None for nothing.

    Raises:
        ConfigError: for what is neither.
    """
    if given is None or isinstance(given, InitFrom):
        return given
    if isinstance(given, str | os.PathLike):
        return InitFrom(str(given))
    raise ConfigError(f"{KEY}: a {type(given).__name__} is given; give a path, or lightning_base.tasks.InitFrom(…)")
