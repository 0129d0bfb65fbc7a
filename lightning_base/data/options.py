"""The options that every data module has, refused where they make no sense."""

from typing import Any

from lightning_base.errors import ConfigError
from lightning_base.splitters.split import demand_splitter
from lightning_base.tools.choices import demand_choices


def demand_options(data: Any) -> None:
    """Refuses options of a data module that make no sense.

    Args:
        data: a `BaseDataModule`, as its arguments have made it.

    Raises:
        ConfigError: naming the option.
    """
    demand_choices(data, "data", but=("split",))
    demand_splitter(data.split)
    for key, size in (("batch_size", data.batch_size), ("eval_batch_size", data.eval_batch_size)):
        if size is not None and size < 1:
            raise ConfigError(f"data.{key}: {size} is below 1; give a positive number or null")
    for key, part in (("test_size", data.test_size), ("inner_val", data.inner_val)):
        if part is not None and not 0 < part < 1:
            raise ConfigError(f"data.{key}: {part} is not between 0 and 1; give a share such as 0.2 or null")
    if data.per_class is not None and data.per_class < 1:
        raise ConfigError(
            f"data.per_class: {data.per_class} is below 1; give a number of samples of each class or null"
        )
    if not 0 <= data.test_seed < 2**32:
        raise ConfigError(f"data.test_seed: {data.test_seed} is no whole number from 0 to 2**32 - 1")
    if data.workers < 0:
        raise ConfigError(f"data.workers: {data.workers} is negative; give 0 or more threads")
