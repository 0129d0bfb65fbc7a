"""Memory of ten epochs over a million memory-mapped samples of 3 kB: what the process holds beyond the page cache.

python benchmarks/memory.py FOLDER [N] [EPOCHS]    (3 GB are written there the first time)
"""

import sys
import time
from pathlib import Path

import numpy as np

from datamodules.arrays import Arrays
from lightning_base.splitters import Ratio


def anonymous() -> float:
    """MB of this process that no file backs (RssAnon)."""
    line = next(x for x in Path("/proc/self/status").read_text().splitlines() if x.startswith("RssAnon"))
    return int(line.split()[1]) / 1024


def write(folder: Path, n: int) -> None:
    """N samples of 3×32×32 random bytes, in ten classes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    x = np.lib.format.open_memmap(folder / "x.npy", mode="w+", dtype=np.uint8, shape=(n, 3, 32, 32))
    for start in range(0, n, 10_000):
        part = x[start : start + 10_000]
        part[:] = rng.integers(0, 256, part.shape, dtype=np.uint8)
    np.save(folder / "y.npy", rng.integers(0, 10, n))


def main(folder: str, n: int, epochs: int) -> None:
    """Prints RssAnon after each epoch."""
    if not (Path(folder) / "y.npy").is_file():
        write(Path(folder), n)
    begin = time.perf_counter()
    data = Arrays(source=folder, batch_size=512, split=Ratio(val=0.01), normalize="unit")
    data.setup("fit")
    loader = data.loader("train")
    print(f"ready after {time.perf_counter() - begin:.1f} s, {anonymous():.0f} MB", flush=True)
    for epoch in range(epochs):
        loader.sampler.set_epoch(epoch)
        begin, seen = time.perf_counter(), 0
        for batch in loader:
            seen += len(data.transform(batch).x)
        rate = seen / (time.perf_counter() - begin)
        print(f"epoch {epoch}: {seen} samples, {rate:,.0f} samples/s, {anonymous():.0f} MB", flush=True)


if __name__ == "__main__":
    main(
        sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000, int(sys.argv[3]) if len(sys.argv) > 3 else 10
    )
