"""Training input, augmented and normalised: this loader against torchvision's ImageFolder with a DataLoader.

python benchmarks/input_path.py ROOT    (class folders of CIFAR-10 JPEGs, e.g. data/cifar10/train)

Both give float32 batches of 128, then of 256, shuffled, padded by 4, cropped and flipped at random, and normalised.
torchvision has two worker processes, as a user of two cores would take. Runs alternate; medians are compared.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder as Folder

from datamodules.image_folder import ImageFolder
from lightning_base.augment import Crop, Flip
from lightning_base.splitters import Ratio

BATCHES, ROUNDS = (128, 256), 5


def ours(root: str, batch_size: int) -> Callable[[], float]:
    """Images a second over one epoch of this project's loader."""
    data = ImageFolder(root=root, batch_size=batch_size, augment=[Crop(padding=4), Flip(p=0.5)], split=Ratio(val=0.02))
    data.setup("fit")
    loader = data.loader("train")

    def once() -> float:
        begin, n = time.perf_counter(), 0
        for batch in loader:
            n += len(data.transform(batch, epoch=0).x)
        return n / (time.perf_counter() - begin)

    return once


def theirs(root: str, batch_size: int, workers: int) -> Callable[[], float]:
    """Images a second of the usual way, over an epoch but its first batch, which waits for the workers."""
    steps = [
        transforms.RandomCrop(32, padding=4),
        transforms.RandomHorizontalFlip(),
        transforms.ToTensor(),
        transforms.Normalize([0.49, 0.48, 0.45], [0.25, 0.24, 0.26]),
    ]
    folder = Folder(root, transforms.Compose(steps))
    loader = DataLoader(folder, batch_size, shuffle=True, num_workers=workers, persistent_workers=workers > 0)

    def once() -> float:
        batches, n = iter(loader), 0
        next(batches)
        begin = time.perf_counter()
        for x, _ in batches:
            n += len(x)
        return n / (time.perf_counter() - begin)

    return once


def main(root: str, batch_size: int) -> None:
    """Measures both, alternating, and prints the ratio."""
    assert Path(root).is_dir(), f"no folder {root}"
    fast, slow = ours(root, batch_size), theirs(root, batch_size, workers=2)
    rates: dict[str, list[float]] = {"lightning-base": [], "ImageFolder + transforms + DataLoader(2)": []}
    for _ in range(ROUNDS):
        for rate, measure in zip(rates.values(), (fast, slow), strict=True):
            rate.append(measure())
    for name, rate in rates.items():
        print(
            f"{name}: {statistics.median(rate):,.0f} images/s (median of {ROUNDS}; {min(rate):,.0f} … {max(rate):,.0f})"
        )
    a, b = (statistics.median(rate) for rate in rates.values())
    print(f"batches of {batch_size}: ratio {a / b:.1f}, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    for size in BATCHES:
        main(sys.argv[1], size)
