"""What a data module's numbers must be."""

from collections.abc import Mapping

from lightning_base.errors import ConfigError


def demand_sizes(
    sizes: Mapping[str, int | None], shares: Mapping[str, float | None], test_seed: int, workers: int
) -> None:
    """Refuses sizes below 1, shares that are none, and what is no seed or number of threads.

    Args:
        sizes: of batches, by key.
        shares: of samples, by key.
        test_seed: a seed.
        workers: threads.

    Raises:
        ConfigError: naming the key.
    """
    for key, size in sizes.items():
        if size is not None and size < 1:
            raise ConfigError(f"data.{key}: {size} is below 1; give a positive number or null")
    for key, part in shares.items():
        if part is not None and not 0 < part < 1:
            raise ConfigError(f"data.{key}: {part} is not between 0 and 1; give a share such as 0.2 or null")
    if not 0 <= test_seed < 2**32:
        raise ConfigError(f"data.test_seed: {test_seed} is no whole number from 0 to 2**32 - 1")
    if workers < 0:
        raise ConfigError(f"data.workers: {workers} is negative; give 0 or more threads")
