"""Sound files packed one after another into one memory-mapped array."""

import hashlib
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
import pandas as pd

from lightning_base.errors import ConfigError, DataError
from lightning_base.runtime.waves import RATES, Header, read_header, read_waves
from lightning_base.tools.cache import kept_folder

SUFFIXES = (
    *(".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    *(".aif", ".aiff", ".aifc", ".au", ".snd", ".caf", ".w64", ".rf64"),
)
VERSION = 2  # of what is packed


def demand_rate(rate: int) -> None:
    """Raises a ConfigError for a `sample_rate` that no sound is brought to."""
    if not RATES[0] <= rate <= RATES[1]:
        raise ConfigError(f"data.sample_rate: {rate} is not from {RATES[0]} to {RATES[1]} Hz")


def pack_sounds(root: Path, files: pd.DataFrame, rate: int) -> tuple[npt.NDArray[Any], pd.DataFrame]:
    """All sounds one after another, memory-mapped, and a row per file.

    Args:
        root: the folder.
        files: name, size and mtime_ns of each, as `list_files` gives them.
        rate: values per second, to which other sounds are resampled.

    Returns:
        values: (T,) int16 where every file has 16 bits or fewer and this rate, else float32 of the same scale: full
            scale is 32,768, and what is beyond it stays.
        rows: name; error, "" where it was read; rate, of the file; length; content (uint64, of the values as float32);
            peak, of a file of floating-point numbers, whose full scale is 1.
    """
    settings = f"{VERSION} {root.resolve()} {rate}\n{files.to_csv(index=False)}"
    folder = kept_folder("sound", settings, lambda folder: _pack(root, list(files["name"]), rate, folder))
    rows = pd.read_parquet(folder / "rows.parquet")
    dtype = "<f4" if (folder / "values.f4").exists() else "<i2"
    values = folder / ("values.f4" if dtype == "<f4" else "values.i16")
    return np.memmap(values, dtype=dtype, mode="r") if rows["length"].any() else np.zeros(0, dtype), rows


def _pack(root: Path, names: list[str], rate: int, folder: Path) -> None:
    """Writes all sounds one after another into values.i16 or values.f4, and what is known of each into rows.parquet."""
    headers = {name: _tried(root / name) for name in names}
    wide = any(isinstance(header, Header) and (header.wide or header.rate != rate) for header in headers.values())
    rows = []
    with open(folder / ("values.f4" if wide else "values.i16"), "wb") as file:
        for name, header in headers.items():
            start, row = file.tell(), {"name": name, "error": "", "rate": 0, "length": 0, "content": 0, "peak": 0.0}
            try:
                if isinstance(header, str):
                    raise ValueError(header)
                row |= _write(root / name, header, rate, file, "<f4" if wide else "<i2")
            except ValueError as error:
                row["error"] = str(error)
                file.seek(start)
                file.truncate()
            rows.append(row)
    table = pd.DataFrame(rows)
    table.assign(content=table["content"].astype(np.uint64)).to_parquet(folder / "rows.parquet", index=False)


def _tried(path: Path) -> Header | str:
    """The header, or what is wrong with it."""
    try:
        return read_header(path)
    except ValueError as error:
        return str(error)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); mend its rights") from error


def _write(path: Path, header: Header, rate: int, file: BinaryIO, dtype: str) -> dict[str, Any]:
    """Appends a sound to the file; what is known of it then."""
    digest, length, peak = hashlib.blake2b(digest_size=8), 0, 0.0
    for x, top in read_waves(path, header, rate):
        file.write(x.astype(dtype).tobytes())
        digest.update(x.astype("<f4").tobytes())
        length, peak = length + len(x), max(peak, top)
    if length == 0:
        raise ValueError("it has no sound")
    content = int.from_bytes(digest.digest(), "little")
    return {"rate": header.rate, "length": length, "content": content, "peak": peak}
