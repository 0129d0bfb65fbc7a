"""Refit: one more training, on the whole pool, for as many epochs as the folds chose; nothing scores it."""

import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from lightning_base.errors import ArtefactError, ConfigError
from lightning_base.folds.directory import demand_unchanged
from lightning_base.folds.fold import LOCK, held_by_me, run_fold
from lightning_base.folds.plan import Plan
from lightning_base.folds.search import Part, choose
from lightning_base.results.fold_result import FoldResult, RefitResult, is_done, read_refit, read_result
from lightning_base.splitters.split import WHOLE
from lightning_base.tools.locks import claiming
from lightning_base.tools.process import is_main
from lightning_base.tools.yaml_file import read_yaml
from lightning_base.training.board import Board
from lightning_base.training.checkpoint import drop_earlier, resume_point, told_sum
from lightning_base.training.counted import trained_samples
from lightning_base.training.experiment import Experiment
from lightning_base.training.preflight import preflight
from lightning_base.training.run import build, close
from lightning_base.training.train import learn
from lightning_base.training.watch import Watch

SCORE = "nothing: no sample was held out; the honest estimate is the cross-validation's, in summary.json beside it"


def check(experiment: Experiment, inline: bool) -> None:
    """Tries whether the experiment, or each of its candidates, can be refitted, before anything is trained.

    Args:
        experiment: the configuration.
        inline: whether folds are trained by this process and its ranks, as the refit is.

    Raises:
        UserError: where held-out samples lead the learning rate, which a refit does not have, where training is
            counted in steps, or where this process has no other ranks for it.
    """
    for candidate in experiment.candidates():
        run = build(candidate, WHOLE, experiment.root / "refit", quiet=True)
        preflight(run)
        optimizers = run.model.configure_optimizers()
        scheduler = optimizers.get("lr_scheduler", {}) if isinstance(optimizers, dict) else {}
        if (monitor := scheduler.get("monitor")) is not None and not str(monitor).startswith("train"):
            raise ConfigError(
                f"--refit: model.scheduler follows {monitor}, and a refit holds nothing out to have it from; take a "
                "scheduler that goes by epochs, let it monitor train_loss, or leave --refit out"
            )
        if run.trainer.max_steps != -1:
            raise ConfigError(
                "--refit: trainer.max_steps counts steps, a refit epochs; give trainer.max_epochs instead"
            )
        if run.trainer.world_size > 1 and not inline:
            raise ConfigError("--refit: on several devices it needs --executor inline; give it once the folds are done")


def refit(plan: Plan, board: Board, alone: bool = True) -> RefitResult:
    """Trains on every sample that the folds use, as `_refit` says, where no other process does.

    Args:
        plan: a cross-validation whose folds are all done.
        board: what shows it.
        alone: whether this is the only process of the refit.

    Raises:
        ArtefactError: where another process trains it, or has made the directory another experiment's.
    """
    directory = plan.directory / "refit"
    with held_by_me(directory, alone) as held:
        with claiming(plan.directory):  # while the refit is held, --overwrite deletes nothing
            demand_unchanged(plan)
        if not held:
            raise ArtefactError(f"{directory}: another process trains it; run the same command again when it has ended")
        return _refit(plan, board)


def _refit(plan: Plan, board: Board) -> RefitResult:
    """Trains on every sample that the folds use, in DIR/refit; returns the result, which stands in its result.json.

    The number of epochs is the median over folds of those that the scored weights had been trained for. Where the
    experiment searches, the search is run once more, on all of these samples: its values and epochs are taken.

    A finished refit is kept, a broken one gone on with from its last checkpoint, one of other folds made anew.

    Args:
        plan: a cross-validation whose folds are all done.
        board: what shows it.
    """

    def train(one: Experiment, number: int, home: Path, part: Part) -> FoldResult:
        return run_fold(one, number, home, [Watch(board, WHOLE, "refit", part)])

    directory, split = plan.directory / "refit", plan.data.folds
    if plan.experiment.search is None:
        experiment, source = plan.experiment, "the folds"
        chosen, part = None, (1, 1)
        results = [read_result(plan.fold_directory(k)) for k in range(len(split.ordinary))]
    else:
        choice = choose(plan.experiment, WHOLE, directory, split.ids[split.whole.train], train)
        experiment, chosen, source = choice.experiment, choice.chosen, "the inner folds of the chosen values"
        results, part = choice.results, (choice.trainings + 1,) * 2
    counts = [result.scored_epochs for result in results]
    epochs = median_epochs(counts)
    experiment = for_epochs(experiment, epochs)
    _clear_other(directory, experiment, plan)
    if is_done(directory):
        return read_refit(directory)
    experiment.save(directory / "config.yaml")
    run = build(experiment, WHOLE, directory, quiet=True, watchers=[Watch(board, WHOLE, "refit", part)])
    try:
        preflight(run)
        began, checkpoint = time.perf_counter(), resume_point(directory)
        trained = learn(run, checkpoint)
        result = RefitResult(
            seed=run.seed,
            n_train=trained_samples(run, run.trainer.global_step),
            n_val=0,
            epochs=trained,
            epochs_chosen_by=f"the median over {source} of the epochs of the scored weights",
            epochs_of_folds=counts,
            scored_by=SCORE,
            seconds=time.perf_counter() - began,
            resumed=checkpoint is not None,
            threads=torch.get_num_threads(),
            checkpoint=run.last_checkpoint.name,
            split_hash=split.hash,
            chosen=None if chosen is None else chosen.values,
            search_seconds=0.0 if chosen is None else chosen.seconds,
            experiment=plan.experiment.identity,
            data_fingerprint=run.datamodule.samples("pool").fingerprint,
            checkpoint_sum=told_sum(run.last_checkpoint),
        )
        result.write(directory)
        drop_earlier(directory)
        run.trainer.strategy.barrier()
    finally:
        close(run)
    return result


def median_epochs(counts: Sequence[float]) -> int:
    """The median rounded, halves up, and at least 1."""
    return max(int(np.floor(np.median(counts) + 0.5)), 1)


def for_epochs(experiment: Experiment, epochs: int) -> Experiment:
    """The experiment with so many epochs, whatever else would end its training."""
    return experiment.with_({"trainer.max_epochs": epochs, "trainer.min_epochs": None, "trainer.max_time": None})


def _clear_other(directory: Path, experiment: Experiment, plan: Plan) -> None:
    """Deletes what a refit with another configuration (other epochs, more folds) or data left; not the search's."""
    path = directory / "config.yaml"
    if not is_main():
        return
    if path.is_file() and read_yaml(path) == experiment.dump() and not (is_done(directory) and _is_other(plan)):
        return
    for left in directory.iterdir() if directory.is_dir() else ():
        if left.name not in ("inner", "search.json", LOCK):
            shutil.rmtree(left) if left.is_dir() else left.unlink()


def _is_other(plan: Plan) -> bool:
    """Whether a finished refit is of another cross-validation; what an earlier version left tells the split alone."""
    result = read_refit(plan.directory / "refit")
    told, own = (
        (result.experiment, result.data_fingerprint),
        (plan.experiment.identity, plan.data.samples("pool").fingerprint),
    )
    return result.split_hash != plan.data.folds.hash or any(a not in ("", b) for a, b in zip(told, own, strict=True))
