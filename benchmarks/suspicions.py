"""What the audit suspects in real data, and what it finds of planted faults: python benchmarks/suspicions.py FOLDER.

FOLDER holds the public data that the tests read (by default ../shared/data); what is not there is left out. Data with
one planted fault each, five times over from other seeds: how often it is told, and what else is. Then each data set as
it is: a suspicion is a false alarm, unless the data really are so, and leaks are told beside. What each suspicion says
goes to the standard error.
"""

import gzip
import os
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn import datasets

from datamodules.arrays import Arrays
from datamodules.detection import Detection
from datamodules.image_folder import ImageFolder
from datamodules.ratings import Ratings
from datamodules.sound import Sound
from datamodules.table import Table
from datamodules.text import Text
from lightning_base.auditing.audit import audit
from lightning_base.auditing.overlap import Joined, near
from lightning_base.auditing.report import Leak
from lightning_base.auditing.suspicions.look import suspicions
from lightning_base.clean.cleaning import Cleaning
from lightning_base.data import BaseDataModule
from tests.support.planted import PLANTED

Made = tuple[str, Callable[[], BaseDataModule]]
SEEDS = 5
GERMAN = [*"abcdefghijklmnopqrst", "risk"]


def real(folder: Path, work: Path) -> Iterator[Made]:
    """The data sets that are there, each with a function that opens it."""
    for name in ("digits", "breast_cancer", "wine", "iris", "diabetes"):
        yield name, lambda name=name: Arrays(source=name, test_size=0.2)
    for name in ("breast_cancer", "wine", "iris", "diabetes"):  # the same as tables with names
        frame = getattr(datasets, f"load_{name}")(as_frame=True).frame
        frame.to_csv(work / f"{name}.csv", index=False)
        yield f"{name}, table", lambda name=name: Table(path=str(work / f"{name}.csv"), target="target", test_size=0.2)
    yield from _tables(folder, work)
    yield from _others(folder, work)


def _tables(folder: Path, work: Path) -> Iterator[Made]:
    if (path := folder / "german-credit" / "german.data").is_file():
        yield (
            "german-credit",
            lambda p=str(path): Table(
                path=p, target="risk", header=GERMAN, test_size=0.2, clean=Cleaning(empty="drop")
            ),
        )
    if (path := folder / "bank-marketing" / "bank-full.csv.gz").is_file():
        (work / "bank.csv").write_bytes(gzip.decompress(path.read_bytes()))
        bank = str(work / "bank.csv")
        yield "bank-marketing", lambda: Table(path=bank, target="y", test_size=0.2, na_values=["unknown"])
        yield "… without `duration`", lambda: Table(path=bank, target="y", test_size=0.2, known_after=["duration"])
    if (path := folder / "stocks" / "all_stocks_5yr.csv").is_file():
        frame = pd.read_csv(path).dropna()
        frame["next"] = frame.groupby("Name")["close"].shift(-1)
        frame.dropna().to_csv(work / "stocks.csv", index=False)
        path = work / "stocks.csv"
        yield "stocks, next close", lambda p=str(path): Table(path=p, target="next", time="date", test_size=0.2)
    if (path := folder / "mnist5k" / "mnist_5k.csv.gz").is_file():
        pixels = pd.read_csv(path, header=None).to_numpy(dtype=np.int64)
        np.savez(work / "mnist.npz", x=pixels[:, :784].astype(np.uint8).reshape(-1, 1, 28, 28), y=pixels[:, 784])
        np.savez(work / "mnist_table.npz", x=pixels[:, :784].astype(np.float32), y=pixels[:, 784])
        yield "mnist5k", lambda: Arrays(source=str(work / "mnist.npz"), test_size=0.2)
        yield "mnist5k, 784 columns", lambda: Arrays(source=str(work / "mnist_table.npz"), test_size=0.2)


def _others(folder: Path, work: Path) -> Iterator[Made]:
    for name, file in (("pneumoniamnist", "pneumoniamnist-rebuilt.npz"), ("breastmnist", "breastmnist.npz")):
        if (path := folder / name / file).is_file():
            given = np.load(path)
            x = np.concatenate([given[f"{part}_images"] for part in ("train", "val")])[:, None]
            y = np.concatenate([given[f"{part}_labels"] for part in ("train", "val")]).ravel().astype(np.int64)
            test = {"x_test": given["test_images"][:, None], "y_test": given["test_labels"].ravel().astype(np.int64)}
            np.savez(work / f"{name}.npz", x=x, y=y, **test)
            yield name, lambda name=name: Arrays(source=str(work / f"{name}.npz"))
    if (path := folder / "ml-100k" / "u.data").is_file():
        columns = ["user", "item", "rating", "time"]
        yield (
            "ml-100k",
            lambda p=str(path): Ratings(
                path=p, header=columns, time="time", scale=(1, 5), clean=Cleaning(target="drop")
            ),
        )
    if (path := folder / "rt-polarity").is_dir():
        files = {name: str(path / f"rt-polarity.{name}") for name in ("neg", "pos")}
        yield "rt-polarity", lambda: Text(files=files, encoding="latin-1", test_size=0.1)
    for name in ("cifar10", "bccd", "fsdd"):
        if (folder / f"{name}.tar.gz").is_file():
            with tarfile.open(folder / f"{name}.tar.gz") as archive:
                archive.extractall(work / name, filter="data")
    if (work / "cifar10").is_dir():
        yield "cifar10, 50,000 + 10,000", lambda: ImageFolder(root=str(work / "cifar10"))
    if (work / "bccd").is_dir():
        yield "bccd", lambda: Detection(root=str(work / "bccd"), image_size=(192, 256), test_size=0.2)
    if recordings := next(work.glob("fsdd/**/recordings"), None):
        yield (
            "fsdd",
            lambda: Sound(root=str(recordings), pattern="{target}_{group}_{take}.wav", sample_rate=8000, seconds=0.8),
        )


def looked(data: BaseDataModule) -> tuple[list[Leak], float]:
    """The leaks and suspicions of a data module, and the seconds of CPU that suspicions took."""
    pool, split = data.samples("pool"), data.folds
    try:
        test = data.samples("test")
    except Exception:
        test = None
    joined = Joined(pool, test, split.ordinary)
    near(joined)  # that the audit looks for anyway
    began = time.process_time()
    suspicions(joined, split.folds[0].train, data.seals)
    seconds = time.process_time() - began
    return audit(data), seconds


def planted() -> None:
    """Prints how often each planted fault is told, of SEEDS times."""
    print("| planted | told as | of | told | other suspicions |\n| --- | --- | --- | --- | --- |")
    for fault, (kind, make) in PLANTED.items():
        found: list[str] = []
        for seed in range(SEEDS):
            with tempfile.TemporaryDirectory() as name:
                leaks = audit(make(Path(name), np.random.default_rng(seed)))
                found += {leak.kind for leak in leaks if leak.level == "suspicious"}
        others = ", ".join(sorted({other for other in found if other != kind})) or "none"
        print(f"| {fault} | {kind} | {SEEDS} | {found.count(kind)} | {others} |", flush=True)


def main(folder: Path) -> None:
    """Prints both tables."""
    planted()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        os.environ["LIGHTNING_BASE_CACHE"] = str(
            work / "cache"
        )  # nothing is known yet, so that seconds are those of a start
        print("| data | samples | suspicions | leaks | s of CPU |\n| --- | --- | --- | --- | --- |")
        for title, made in real(folder, work):
            data = made()
            leaks, seconds = looked(data)
            doubts = [leak for leak in leaks if leak.level == "suspicious"]
            sure = [leak.kind for leak in leaks if leak.level == "leak"]
            kinds = ", ".join(leak.kind for leak in doubts) or "none"
            print(
                f"| {title} | {len(data.samples('pool')):,} | {kinds} | {', '.join(sure) or 'none'} | {seconds:.2f} |",
                flush=True,
            )
            for leak in leaks:
                print(f"    {leak.level} {leak.kind}: {leak.detail}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent.parent / "shared" / "data")
