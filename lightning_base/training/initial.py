"""What a run begins with: weights drawn by a scheme, then those of a source; tried first, then put in, and told."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback, StochasticWeightAveraging
from torch.nn.modules.batchnorm import _BatchNorm

from lightning_base.data.trained import TrainedOn, is_drawn
from lightning_base.errors import CheckpointError, ConfigError
from lightning_base.finetune import schemes
from lightning_base.finetune.frozen import held
from lightning_base.finetune.given import KEY, InitFrom
from lightning_base.finetune.match import Match, load, match
from lightning_base.finetune.names import summed
from lightning_base.finetune.rates import factors
from lightning_base.splitters.split import WHOLE
from lightning_base.tools.checksums import file_sum
from lightning_base.tools.console import Level, console, note
from lightning_base.tools.files import read_json, write_json
from lightning_base.training.leaks import demand_unseen
from lightning_base.training.run import Run
from lightning_base.training.seeds import derive_seed
from lightning_base.training.sources import Trained, coded, read_trained, source_of, sums_of
from lightning_base.training.weights import read_weights

REPORT = "initial_weights.json"
UNKNOWN = "it does not say what it was trained on: whether held-out samples are among that cannot be known"
DRAWN = "its samples or these are drawn at random, so that only ids tell which were held out: more cannot be known"


def check(run: Run) -> None:
    """Tries what a run is to begin with and which layers learn, before anything is written; the run is as before.

    The samples that the source was trained on are noted, so that the run's checkpoints tell of them as of its own.

    Raises:
        UserError: naming the key that does not fit, or for a source that has learned from held-out samples.
    """
    task = run.model
    epochs = run.trainer.max_epochs if run.trainer.max_steps == -1 and run.fold != WHOLE else None
    task.freezing.demand_sense(task.network, epochs)
    demand_own_statistics(run)
    if task.lr_scale is not None:
        factors(task.network, task.lr_scale)
    if task.init_from is None:
        return
    demand_unseen(task.init_from, run.datamodule, [run.fold])
    path = source_of(task.init_from, run.datamodule.folds, run.fold)
    trained = read_trained(path)
    found = match(read_weights(path, KEY), task.network, task.init_from)
    demand_same_codes(run, trained, found)
    if trained.on is not None:
        ids = trained.on.ids[:0] if task.init_from.other_data else trained.on.ids
        run.datamodule.inherited = replace(trained.on, ids=ids)


def demand_own_statistics(run: Run) -> None:
    """Refuses to freeze batch norm whose statistics a callback would take anew: they would be those of no sample.

    Raises:
        ConfigError: naming the callback.
    """
    task = run.model
    callbacks: list[Callback] = run.trainer.callbacks  # type: ignore[attr-defined]
    if not any(isinstance(callback, StochasticWeightAveraging) for callback in callbacks):
        return
    parts = held(task.network, task.freezing.names(task.network, 0))
    if any(isinstance(module, _BatchNorm) for part in parts for module in part.modules()):
        raise ConfigError(
            "model.freeze: StochasticWeightAveraging takes the statistics of batch norm anew, which frozen layers "
            "keep; leave one of them out, or take EMAWeightAveraging"
        )


def check_folds(run: Run, folds: Iterable[int]) -> None:
    """Refuses, before any fold is trained, a source that has learned from what one of them holds out.

    Raises:
        UserError: naming the fold.
    """
    if run.model.init_from is not None:
        demand_unseen(run.model.init_from, run.datamodule, folds)


def demand_same_codes(run: Run, trained: Trained, found: Match) -> None:
    """Refuses a first layer that was trained on inputs which were numbered otherwise: it would take one for another.

    Raises:
        ConfigError: with the layer's name.
    """
    ours = coded(run.datamodule.preprocess.state())
    first = next((name for name, _ in run.model.network.named_parameters()), "")
    if trained.on is None or trained.coded == ours or first not in found.weights:
        return
    layer = summed([first])[0]
    assert run.model.init_from is not None
    if run.model.init_from.strict:
        raise ConfigError(
            f"{KEY}: the source's columns, categories or words are numbered otherwise than this run's, and {layer} "
            f"would take one for another; name it in {KEY}.new, or give {KEY}.strict: false"
        )


def begin(run: Run, checkpoint: Path | None = None, told: bool = True) -> None:
    """Gives a run that preflight has passed its first weights; one that goes on from a checkpoint has that's.

    What was drawn, loaded, renamed, left and not used stands in the run's folder then.

    Args:
        run: as built.
        checkpoint: where it goes on from.
        told: whether anything is written and said.

    Raises:
        UserError: for weights that are not those that the run was begun with, or have changed since it was checked.
    """
    task, path = run.model, run.directory / REPORT
    if task.init is None and task.init_from is None:
        return
    if checkpoint is not None:
        if checkpoint.is_relative_to(run.directory):
            demand_begun_with(run, path)
        return
    report: dict[str, Any] = {"init": task.init}
    if task.init is not None:
        report["drawn"], report["kept"] = schemes.draw(task.network, task.init, derive_seed(run.seed, 1))
    if task.init_from is not None:
        report |= _load(run, task.init_from, told)
    if told:
        write_json(path, report)


def _load(run: Run, given: InitFrom, told: bool) -> dict[str, Any]:
    """Puts the source's weights into the network; what came of each."""
    source = source_of(given, run.datamodule.folds, run.fold)
    before = file_sum(source)
    trained = read_trained(source)
    found = match(read_weights(source, KEY), run.model.network, given)
    if file_sum(source) != before or (run.experiment.initial_weights not in (None, sums_of(given))):
        raise CheckpointError(f"{KEY}: {source} was changed while the run began; run the same command again")
    load(run.model.network, found)
    others = trained.classes and trained.classes != run.datamodule.classes and {*found.last} & found.weights.keys()
    notes = [] if trained.on is not None else [UNKNOWN]
    pool = run.datamodule.samples("pool")
    other = trained.on if trained.on is not None and trained.on.fingerprint != pool.fingerprint else None
    drawn = other is not None and (other.drawn or is_drawn(pool))
    notes += [DRAWN] if drawn else []
    if others:
        notes.append(f"its classes are others, and {summed(found.last)[0]} was loaded: name that in {KEY}.new")
    if told and run.datamodule.only is None:
        which = "the refit" if run.fold == WHOLE else f"fold {run.fold}"
        said = "; ".join([f"{which} begins with {source}: {found.told()}", *notes])
        if notes:
            note(said, Level.QUIET)
        else:
            console().print(said, soft_wrap=True, markup=False, highlight=False)
    return {
        "source": str(source),
        "source_sha256": before,
        "trained_on": told_of(trained.on, drawn),
        "notes": notes,
        "loaded": found.came,
        "renamed": found.renamed,
        "left": found.left,
        "unused": found.unused,
    }


def told_of(known: TrainedOn | None, drawn: bool) -> str:
    """What is known of the samples that the source was trained on, beside those that are held out."""
    if known is None:
        return "unknown"
    n = len(known.ids)
    return f"{n} samples; whether any is held out here is not known" if drawn else f"{n} samples, none held out here"


def demand_begun_with(run: Run, path: Path) -> None:
    """Refuses to go on where the source's weights are others than the run was begun with; they are not loaded again.

    Raises:
        CheckpointError: naming the file.
    """
    if run.model.init_from is None or not path.is_file():
        return
    source = source_of(run.model.init_from, run.datamodule.folds, run.fold)
    if read_json(path).get("source_sha256") != file_sum(source):
        raise CheckpointError(
            f"{KEY}: {source} is not the file that {run.directory} was begun with; put it back, or give another --name"
        )
