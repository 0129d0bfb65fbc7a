"""Which batch size this machine is fastest with, or has room for: short trainings of growing size, measured."""

import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from lightning_base.doctor.finding import Finding, duration, size
from lightning_base.doctor.launcher import alone
from lightning_base.doctor.trial import attempt
from lightning_base.errors import UserError, one_line
from lightning_base.tools.console import quiet
from lightning_base.training.experiment import Experiment

AREA = "batch size"
FIRST, LAST = 16, 2**16
WORTH = 1.05  # times the samples a second of a size before, which a larger one is to reach
SLOWER = 2  # so many sizes in a row that do not end the search on a CPU


@dataclass(frozen=True)
class Measured:
    """What a training with batches of one size came to.

    Attributes:
        samples: of a batch.
        rate: samples a second.
        peak: bytes of memory at the highest: of the GPU, or of the process.
    """

    samples: int
    rate: float
    peak: int


def batch_sizes(experiment: Experiment) -> Iterator[Finding]:
    """A line for each size that was tried, and one for what to put into the YAML.

    Powers of two are tried, up to the training part's size. On a GPU the largest that fits is told; on a CPU, where
    almost any does, the smallest that is nearly as fast as the fastest. Nothing is changed: another batch size is
    another experiment.
    """
    found: list[Measured] = []
    with alone(), warnings.catch_warnings(), tempfile.TemporaryDirectory(prefix="lightning-base-doctor-") as folder:
        warnings.simplefilter("ignore")
        samples, device, most = FIRST, torch.device("cpu"), LAST
        while samples <= most:
            try:
                with quiet():
                    one = attempt(of_size(experiment, samples), 1, Path(folder) / str(samples))
            except UserError as error:
                yield Finding("trouble", AREA, f"{samples} samples", one_line(error))
                return
            except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
                if not isinstance(error, torch.OutOfMemoryError | MemoryError) and "memory" not in str(error):
                    raise
                yield Finding("ok", AREA, f"{samples} samples", "out of memory")
                break
            device, most = one.device, min(LAST, len(one.run.datamodule.rows("train")))
            measured = Measured(samples, samples / one.watch.batch, one.watch.peak)
            found.append(measured)
            told = f"{measured.rate:,.0f} samples a second, {duration(one.watch.batch)} a batch, {size(measured.peak)}"
            yield Finding("ok", AREA, f"{samples} samples", told, number=measured.rate)
            if device.type == "cpu" and is_past(found):
                break
            samples *= 2
    if not found:
        yield Finding("trouble", AREA, "result", "no batch fits; give a smaller network, or a lower precision")
        return
    chosen, why = best(found, device)
    words = f"data.batch_size: {chosen.samples} ({why}); it is not set: with another size other steps are taken"
    yield Finding("ok", AREA, "result", f"{words}, so look for model.optimizer.lr anew", number=chosen.samples)


def of_size(experiment: Experiment, samples: int) -> Experiment:
    """The experiment with batches of so many samples, for as long as a trial takes."""
    return experiment.with_({"data.init_args.batch_size": samples, "trainer.max_epochs": 1000, "trainer.max_steps": -1})


def is_past(found: list[Measured]) -> bool:
    """Whether the last sizes are no faster than one before them."""
    earlier, later = found[:-SLOWER], found[-SLOWER:]
    return bool(earlier) and max(m.rate for m in later) < WORTH * max(m.rate for m in earlier)


def best(found: list[Measured], device: torch.device) -> tuple[Measured, str]:
    """The size to take, and why, in words."""
    if device.type != "cpu":
        return found[-1], f"the largest power of two that {device} has room for"
    fastest = max(one.rate for one in found)
    return next(m for m in found if m.rate * WORTH >= fastest), "the smallest that is as fast as any, within 5 %"
