"""configs/cifar10_fast.yaml over several seeds: `fit`, then `test` once each, beside a plain PyTorch loop.

python benchmarks/cifar10_fast.py ROOT [SEEDS] [LOOPS]   (ROOT has train/<class>/*.jpg and test/, e.g. data/cifar10)

SEEDS seeds (5) through the command line, a process each, and LOOPS of them (1) by the plain loop, which reads an array
that is there already, evaluates the test images once, and does nothing else. Seconds are those of training alone: for
`fit` what result.json says, in which validation and checkpoints are; and of the whole command. Images are packed
before the first.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.model_selection import StratifiedKFold
from torch import Tensor

from datamodules.image_folder import ImageFolder
from lightning_base.tools.files import read_json
from models.fast_resnet import FastResNet

CONFIG = Path(__file__).parent.parent / "configs" / "cifar10_fast.yaml"
EPOCHS, BATCH, RATE, MOMENTUM, DECAY, SMOOTHING = 4, 128, 0.2, 0.9, 1e-3, 0.2
PADDING, SMALL, UNTIL, RISE, START = 2, 22, 0.55, 0.25, 0.04


def loop(pool: ImageFolder, seed: int) -> tuple[float, float]:
    """The test accuracy and the seconds of training of a plain loop on 19 twentieths of the pool."""
    torch.manual_seed(seed)
    x, y = (torch.from_numpy(np.array(part)) for part in (pool.samples("pool").inputs[:], pool.samples("pool").target))
    train = torch.from_numpy(next(StratifiedKFold(20, shuffle=True, random_state=seed).split(x, y))[0])
    mean, std = (f(x[train].float(), dim=(0, 2, 3), keepdim=True) for f in (torch.mean, torch.std))

    def ready(images: Tensor) -> Tensor:
        return ((images.float() - mean) / std).contiguous(memory_format=torch.channels_last)

    network = FastResNet().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    network.whitening.fit(ready(x[train[::45]]))
    optimizer = torch.optim.SGD(network.parameters(), RATE, MOMENTUM, weight_decay=DECAY, nesterov=True)
    per_epoch = -(-len(train) // BATCH)
    total = EPOCHS * per_epoch
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, RATE, total, RISE, cycle_momentum=False, div_factor=1 / START, final_div_factor=1e4
    )
    first, began = torch.rand(len(x)) < 0.5, time.perf_counter()
    for epoch in range(EPOCHS):
        for step, rows in enumerate(train[torch.randperm(len(train))].split(BATCH), start=epoch * per_epoch):
            padded = F.pad(x[rows].float(), (PADDING,) * 4, mode="reflect").to(torch.uint8)
            down, right = torch.randint(2 * PADDING + 1, (2, len(rows)))
            at = torch.arange(32)
            batch = padded[
                torch.arange(len(rows))[:, None, None, None],
                torch.arange(3)[:, None, None],
                (down[:, None] + at)[:, None, :, None],
                (right[:, None] + at)[:, None, None, :],
            ]
            mirrored = first[rows] ^ bool(epoch % 2)
            images = ready(torch.where(mirrored[:, None, None, None], batch.flip(-1), batch))
            if step < UNTIL * total:
                images = F.interpolate(images, (SMALL, SMALL), mode="bilinear", antialias=True)
            loss = F.cross_entropy(network(images), y[rows], label_smoothing=SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    seconds = time.perf_counter() - began
    test, right_ones = pool.samples("test"), 0
    network.eval()
    with torch.no_grad():
        for some in torch.arange(len(test)).split(512):
            images = ready(torch.from_numpy(np.array(test.inputs[some.numpy()])))
            guess = (network(images) + network(images.flip(-1))).argmax(1)
            right_ones += int((guess == torch.from_numpy(test.target[some.numpy()])).sum())  # type: ignore[index]
    return right_ones / len(test), seconds


def run(*words: object) -> float:
    """The seconds of one command."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "lightning_base", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return time.perf_counter() - began


def through_the_front_door(root: Path, seed: int) -> tuple[float, float, float, float]:
    """The test accuracy of a seed, the held-out one, the seconds of training and of the whole command."""
    with tempfile.TemporaryDirectory() as folder:
        whole = run(
            *("fit", "--config", CONFIG, "--data.root", root, "--seed_everything", seed),
            *("--trainer.default_root_dir", folder, "--name", f"seed_{seed}"),
        )
        (result,) = Path(folder).rglob("result.json")
        run("test", "--ckpt_path", result.parent / "checkpoints" / "last.ckpt")
        accuracy = float(read_json(result.parent / "test.json")["metrics"]["accuracy"]["value"])
        record = read_json(result)
        return accuracy, float(record["metrics"]["accuracy"]), float(record["seconds"]), whole


def main(root: Path, seeds: int = 5, loops: int = 1) -> None:
    """Prints each seed's accuracy and seconds, their means and spreads, and the plain loop's."""
    pool = ImageFolder(root=str(root))
    print(f"{len(pool.samples('pool'))} + {len(pool.samples('test'))} images packed; {os.cpu_count()} processors")
    found = []
    for seed in range(seeds):
        accuracy, held_out, seconds, whole = through_the_front_door(root, seed)
        found.append((accuracy, seconds))
        print(
            f"seed {seed}: {accuracy:.2%} of the test images, {held_out:.2%} of those held out, {seconds:.1f} s of "
            f"training, fit {whole:.1f} s",
            flush=True,
        )
    plain = []
    for seed in range(loops):
        plain.append(loop(pool, seed))
        print(f"plain loop, seed {seed}: {plain[-1][0]:.2%}, {plain[-1][1]:.1f} s of training", flush=True)
    for name, numbers in (("lightning-base fit", found), ("plain loop", plain)):
        if numbers:
            accuracies, seconds_each = zip(*numbers, strict=True)
            spread = statistics.stdev(accuracies) if len(numbers) > 1 else float("nan")
            print(
                f"{name}: mean {statistics.mean(accuracies):.2%} (standard deviation over {len(numbers)} seeds "
                f"{spread:.2%}), {statistics.mean(seconds_each):.1f} s"
            )


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), *map(int, sys.argv[2:]))
