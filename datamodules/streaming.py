"""Streaming: litdata shards, on disk or remote, larger than the disk; folds, cleaning and audit as for any data."""

import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.data import BaseDataModule, Samples, Source
from lightning_base.errors import ConfigError, NoSourceError, one_line
from lightning_base.samples.payload import content_hash, narrowed
from lightning_base.sources.shard_index import read_shard_index
from lightning_base.tools.cache import kept_folder


class Shards:
    """Items of a litdata data set, read by number; chunks are fetched when an item of theirs is asked for.

    Args:
        location: folder or URL of the shards.
        cache: folder that remote chunks are kept in; litdata's own by default.
        max_cache_size: most that is kept there, such as "10GB".

    Raises:
        UserError: where litdata is missing, or the shards are unreadable or would need unpickling.
    """

    def __init__(self, location: str, cache: str | None, max_cache_size: str) -> None:
        os.environ.setdefault("LITDATA_DISABLE_VERSION_CHECK", "1")  # it would ask the network for a newer release
        try:
            import litdata
        except ImportError as error:
            raise ConfigError("data: Streaming needs litdata; pip install 'litdata>=0.2.60'") from error
        self.location = location
        try:
            self.data = litdata.StreamingDataset(location, cache_dir=cache, max_cache_size=max_cache_size)
        except Exception as error:  # litdata raises many kinds for a missing or broken index
            raise unreadable(location, error) from error
        # litdata has fetched the index where it is remote, and not yet acted on it
        index = read_shard_index(Path(self.data.input_dir.path) / "index.json", location)
        try:
            n = len(self.data)
        except Exception as error:
            raise unreadable(location, error) from error
        self.blocks: npt.NDArray[np.int64] = np.repeat(np.arange(len(index.sizes)), index.sizes)
        self.identity = json.dumps([location, index.content], sort_keys=True)
        if len(self.blocks) != n:
            raise ConfigError(f"data.shards: {location} has {n} items, its index {len(self.blocks)}; write it again")
        self._lock = threading.Lock()  # litdata's reader is made for one thread
        first = self.item(0)
        if not isinstance(first, dict) or "x" not in first:
            raise ConfigError(f"data.shards: items of {location} have no 'x'; write dicts with x, y and, if known, id")
        self._first = np.asarray(first["x"])

    def item(self, row: int) -> Any:
        """One stored item."""
        with self._lock:
            return self.data[int(row)]

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, ...)."""
        return (len(self), *self._first.shape)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the first item's x."""
        return self._first.dtype

    def __len__(self) -> int:
        return len(self.blocks)

    def __getitem__(self, rows: Any) -> Any:
        """Inputs (B, ...) of rows (B,)."""
        if isinstance(rows, int | np.integer):
            return np.asarray(self.item(int(rows))["x"])
        return np.stack([np.asarray(self.item(row)["x"]) for row in rows])


def unreadable(location: str, error: Exception) -> ConfigError:
    """What is said of shards that litdata does not read."""
    return ConfigError(
        f"data.shards: {location} cannot be read as litdata shards ({one_line(error)[:200]}); write them with "
        "litdata.optimize"
    )


@dataclass(kw_only=True, eq=False)
class Streaming(BaseDataModule):
    """Samples from litdata shards, written with litdata.optimize.

    Items are dicts of `x` (an array, all of one shape), `y` and, where known, `id`, `group` and `time`.

    The sample table is read in one pass the first time, and kept in the cache folder. An epoch's order shuffles whole
    chunks, and samples within every eight chunks, so that each chunk is fetched once per epoch.

    Args:
        shards: folder or URL (s3://, gs://, …) of the training and validation samples.
        test_shards: … of the sealed test samples.
        predict: … of new samples, for `predict`.
        class_names: names of the classes 0, 1, …; null for regression.
        cache: folder for remote chunks.
        max_cache_size: most that is kept there, older chunks are deleted.

    Raises:
        UserError: for shards that cannot be read, have no `x`, or would need unpickling.
    """

    shards: str
    test_shards: str | None = None
    predict: str | None = None
    class_names: tuple[str, ...] | None = None
    cache: str | None = None
    max_cache_size: str = "100GB"

    def own_test(self) -> str | None:
        """What names test samples of their own, where something does."""
        return None if self.test_shards is None else f"data.test_shards ({self.test_shards})"

    def dataset(self, source: Source) -> Samples:
        """The samples of a source, decoded as batches ask for them."""
        location = {"pool": self.shards, "test": self.test_shards, "predict": self.predict}[source]
        if location is None:
            key = "test_shards" if source == "test" else "predict"
            raise NoSourceError(f"data.{key}: not given; name the folder or URL of litdata shards")
        shards = Shards(location, self.cache, self.max_cache_size)
        table, hashes = self._table(shards)
        if source == "predict":
            table = table.drop(columns="target", errors="ignore")
        elif "target" not in table:
            raise ConfigError(f"data.shards: items of {location} have no 'y'; write it")
        return Samples(shards, table, self.class_names or (), location, hashes=hashes)

    def _table(self, shards: Shards) -> tuple[pd.DataFrame, npt.NDArray[np.uint64]]:
        """The sample table and content hashes, from one pass over the shards or from the cache folder."""

        def make(folder: Path) -> None:
            width = len(str(len(shards) - 1))
            lines = []
            for row in range(len(shards)):
                item = shards.item(row)
                line = {"id": str(item.get("id", f"{row:0{width}d}"))}
                line |= {name: item[key] for key, name in COLUMNS.items() if key in item}
                lines.append(line | {"hash": content_hash(np.ascontiguousarray(item["x"]).tobytes())})
            pd.DataFrame(lines).astype({"hash": np.uint64}).to_parquet(folder / "rows.parquet", index=False)

        table = pd.read_parquet(kept_folder("streams", shards.identity, make) / "rows.parquet")
        hashes = table.pop("hash").to_numpy(dtype=np.uint64)
        if self.class_names is None and "target" in table:
            table["target"] = narrowed(table["target"].to_numpy(dtype=np.float64))
        return table, hashes


COLUMNS = {"y": "target", "group": "group", "time": "time"}
