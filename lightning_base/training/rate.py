"""LearningRateFinder: it searches on a copy of the run, which then trains as if its YAML had the rate it found."""

import io
from collections.abc import Sequence
from contextlib import redirect_stderr
from typing import Any

from lightning.pytorch.callbacks import LearningRateFinder
from lightning.pytorch.tuner.tuning import Tuner

from lightning_base.errors import ConfigError
from lightning_base.tools.console import console
from lightning_base.tools.files import read_json, write_json
from lightning_base.training.initial import begin
from lightning_base.training.preflight import preflight
from lightning_base.training.rank_state import rng_state, set_rng_state
from lightning_base.training.run import Run, build

FOUND = "learning_rate.json"
FALL = 5  # losses, each below the one before, that are taken for a fall
ENDLESS = {"trainer.max_epochs": -1, "trainer.max_steps": -1, "trainer.max_time": None}


def find_rate(run: Run, resumed: bool) -> None:
    """Finds the learning rate of a run whose configuration asks for it, writes it and gives it to the task.

    Lightning's search trains the network with a rising rate (Smith 2017) and puts its weights back; here another run
    is built for it from the same seed, so that nothing of the search is left in the one that trains.

    Args:
        run: as built; nothing happens where it has no finder.
        resumed: whether it goes on from a checkpoint, with the rate that was found then.

    Raises:
        UserError: where no rate can be told from the losses.
    """
    finder = run.finder
    if finder is None:
        return
    path = run.directory / FOUND
    if not (resumed and path.is_file()):
        write_json(path, search(run, finder))
    found = read_json(path, needs={"lr": float})
    if finder._update_attr:
        run.model.rate = float(found["lr"])
    console().print(f"learning rate {found['lr']:.3g}, by LearningRateFinder: {path}", soft_wrap=True, markup=False)


def search(run: Run, finder: LearningRateFinder) -> dict[str, Any]:
    """The rate, and the rates and losses that it was chosen by; random states are as before."""
    before = rng_state()
    other = build(run.experiment.with_(ENDLESS), run.fold, run.directory, quiet=True, training=False)
    other.trainer.callbacks = []  # type: ignore[attr-defined]
    other.model.may_diverge = True
    other.model.make_scheduler = None  # the search leads the rate; one over all steps would ask for a last one
    other.datamodule.augment = [op for op in other.datamodule.augment if not op.paced]  # … as these would
    try:
        preflight(other)  # lazy layers take their width from it
        begin(other, told=False)
        with redirect_stderr(io.StringIO()):  # tqdm's own bar
            found: Any = Tuner(other.trainer).lr_find(
                other.model,
                datamodule=other.datamodule,
                min_lr=finder._min_lr,
                max_lr=finder._max_lr,
                num_training=finder._num_training_steps,
                mode=finder._mode,
                early_stop_threshold=finder._early_stop_threshold,
                update_attr=False,
            )
    finally:
        set_rng_state(before)
    rates, losses = found.results["lr"], found.results["loss"]
    rate = valley(rates, losses)
    if rate is None:
        raise ConfigError(
            f"trainer.callbacks: LearningRateFinder cannot tell a rate from {len(losses)} steps, in which the loss "
            "falls nowhere; give it more num_training_steps, or set model.optimizer.lr"
        )
    return {"lr": rate, "rates": rates, "losses": losses}


def valley(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The rate in the middle of the longest fall of the losses (fastai's "valley"); None where they fall nowhere.

    Lightning's own suggestion is where they fall most per unit of the rate: of rates that rise exponentially that is
    among the lowest, whatever the losses do (PL#21141).

    Args:
        rates: (N,) rising.
        losses: (N,) smoothed.
    """
    length = [1] * len(losses)
    for i, loss in enumerate(losses):  # the longest falling subsequence that ends at each
        for j in range(i):
            if loss < losses[j] and length[i] < length[j] + 1:
                length[i] = length[j] + 1
    end = max(range(len(losses)), key=lambda i: length[i], default=0)
    if not losses or length[end] < FALL:
        return None
    return rates[end - (length[end] - 1) // 2]
