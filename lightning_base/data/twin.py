"""A twin of a data module: the same settings and folds over other samples, with nothing fitted or loaded."""

import copy
import inspect
from collections.abc import Mapping
from dataclasses import fields, replace
from functools import cached_property

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.pool import Pool, Source
from lightning_base.samples.samples import Samples


def twin_of(data: BaseDataModule, samples: Mapping[Source, Samples]) -> BaseDataModule:
    """The data module anew over these samples, in the same folds; what else is asked for is read as by the first."""
    if set(inspect.signature(type(data)).parameters) == {f.name for f in fields(data) if f.init}:
        twin = replace(data)
    else:  # a subclass with an __init__ of its own
        twin = copy.copy(data)
        twin.trainer = None
        twin.forget_checkpoint()
        for name in [name for name in vars(twin) if isinstance(getattr(type(data), name, None), cached_property)]:
            del twin.__dict__[name]
    for name in ("fold", "seed", "fold_seed", "predict_role"):
        setattr(twin, name, getattr(data, name))
    twin.pool = Pool.of(samples, data.folds, data.pool)
    if data.inner_val is not None:  # drawn by targets, of which the twin may have others
        twin.__dict__["inner_rows"] = data.inner_rows
    return twin
