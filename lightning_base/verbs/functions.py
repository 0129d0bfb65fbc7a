"""The verbs as functions: `import lightning_base as lb; result = lb.crossval("configs/digits_cnn.yaml")`.

Nothing is printed that was not asked for (`verbose=True`), mistakes are `lightning_base.errors.UserError`s, and the
random states of the process are left as they were. The command line calls the same functions.
"""

from __future__ import annotations  # torch's and our own classes are named here before they are imported

from collections.abc import Callable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import pandas as pd

from lightning_base.verbs.artefacts import NOTHING, RUN, Config, Settings, compare, export, load
from lightning_base.verbs.results import CrossValidation, Fitted, Prepared, Scored, Trained

if TYPE_CHECKING:
    from lightning.pytorch import LightningModule

    from lightning_base.auditing.report import Leak
    from lightning_base.data.datamodule import BaseDataModule
    from lightning_base.distributed.slurm import Slurm
    from lightning_base.tasks.base import BaseModule

Task: TypeAlias = "Callable[[], BaseModule]"
Data: TypeAlias = "Callable[[], BaseDataModule] | Mapping[str, Any]"
Trainer: TypeAlias = "Settings | Callable[[], Settings]"
Audit: TypeAlias = Literal["off", "warn", "fail"]
Executor: TypeAlias = Literal["inline", "process", "slurm", "vectorized"]
Directory: TypeAlias = "str | Path | Trained"

__all__ = ["audit", "compare", "crossval", "export", "fit", "load", "predict", "prepare", "test", "validate"]


def crossval(
    config: Config | None = None,
    *,
    overrides: Settings = NOTHING,
    task: Task | None = None,
    data: Data | None = None,
    x: Any = None,
    y: Any = None,
    groups: Any = None,
    module: Callable[[], LightningModule] | None = None,
    dataset: Any = None,
    splitter: Any = None,
    metrics: Any = None,
    trainer: Trainer = NOTHING,
    name: str | None = None,
    seed: int | None = None,
    audit: Audit | None = None,
    folds: Sequence[int] | None = None,
    overwrite: bool = False,
    refit: bool = False,
    longer: bool = False,
    executor: Executor = "inline",
    jobs: int | None = None,
    threads: int | None = None,
    slurm: Slurm | None = None,
    verbose: bool = False,
) -> CrossValidation:
    """Cross-validates: trains every fold of the data's split, and scores each on the samples it held out.

    What is run comes from YAML (`config`), from functions (`task`, `data`), from a function and data in memory
    (`task`, `x`, `y`), or from a LightningModule and a Dataset that know nothing of this project (`module`, `dataset`),
    which are trained as they are, and scored by their predictions of held-out items. Functions are called afresh for
    each fold, so that folds share nothing: give `lambda: Classification(Net())`, not a network. Folds that an earlier
    call has finished in the same directory are kept, and one that was broken off goes on; a directory of anything else
    is refused.

    Args:
        config: a configuration file, or several, each laid over those before.
        overrides: values by dotted key, as --key=value on the command line: {"trainer.max_epochs": 3}.
        task: makes the task with its network.
        data: makes the data module; beside `x` instead the options of `lightning_base.data.Memory`:
            dict(split=KFold(10), test_size=0.2, batch_size=32).
        x: the inputs, an array (N, ...) or a DataFrame of N rows.
        y: (N,) the targets; of a DataFrame also the name of a column.
        groups: (N,) equal values stay on one side of a split; of a DataFrame also the name of a column; of a dataset
            also its key or place in an item, or a function of an item.
        module: makes a LightningModule of your own, in place of a task; see `lightning_base.tasks.AnyModule`.
        dataset: a torch Dataset, a LightningDataModule whose training dataset is taken, or a function that makes one;
            `data` then has the options of `lightning_base.data.AnyDataset`: dict(batch_size=32, targets="label").
        splitter: what makes the folds, as data=dict(split=…).
        metrics: of torchmetrics, a list or by name, that score a module's predictions beside those that their kind has.
        trainer: the Trainer's arguments, or a function that makes them where they hold loggers.
        name: of the results' folder, runs/NAME; needed without a config.
        seed: everything random is drawn from it; by default the config's `seed_everything`, without one 0.
        audit: what is done about leaks that are found before it begins; by default the config's, without one "warn".
        folds: numbers of the folds to train, from 0; all by default.
        overwrite: delete what an earlier run left in the directory, and begin anew.
        refit: train once more on the whole pool when all folds are done.
        longer: go on with a finished run of the same experiment and fewer epochs, where that ends as if it had been
            trained so long at once; its results are replaced as a whole.
        executor: where folds are trained: here one after another, in processes of their own, on a Slurm cluster, or all
            in one batch; processes need functions that can be imported.
        jobs: how many folds "process" trains at once.
        threads: that a fold computes with.
        slurm: what "slurm" asks of the cluster.
        verbose: print what the command line prints.

    Raises:
        UserError: for a mistake in the configuration or the data (nothing is written then), or a directory that holds
            another experiment; FoldsFailed where folds failed and the others went on.
    """
    from lightning_base.folds import loop
    from lightning_base.folds.executors.options import Execution
    from lightning_base.verbs import others, running

    with running.guarded(verbose):
        running.flags(overwrite=overwrite, refit=refit, longer=longer)
        made = others.data_of(dataset, splitter, data, x, y, groups)
        task = others.task_of(task, module, metrics)
        experiment = running.opened("crossval", config, overrides, task, made, trainer, name, seed, audit)
        options: dict[str, Any] = {
            "folds": running.chosen(folds),
            "overwrite": overwrite,
            "refit": refit,
            "longer": longer,
        }
        if running.spawns(experiment):
            options |= {"executor": executor, "jobs": jobs, "threads": threads}
            running.spawn("crossval", experiment, options)
        else:
            execution = Execution(executor, jobs, threads, slurm)
            loop.crossval(experiment, options["folds"], overwrite, execution, refit, longer)
        return CrossValidation((experiment.root / "crossval").absolute(), experiment)


def fit(
    config: Config | None = None,
    *,
    overrides: Settings = NOTHING,
    task: Task | None = None,
    data: Data | None = None,
    x: Any = None,
    y: Any = None,
    groups: Any = None,
    module: Callable[[], LightningModule] | None = None,
    dataset: Any = None,
    splitter: Any = None,
    metrics: Any = None,
    trainer: Trainer = NOTHING,
    name: str | None = None,
    seed: int | None = None,
    audit: Audit | None = None,
    ckpt_path: str | Path | None = None,
    verbose: bool = False,
) -> Fitted | None:
    """Trains fold 0 of the data's split in `runs/<name>/fit/version_<n>`, and scores the samples it holds out.

    Args:
        ckpt_path: a checkpoint to begin from.

    The others are those of `crossval`.

    Returns:
        The run; None where trainer.fast_dev_run only lets a few batches through.

    Raises:
        UserError: for a mistake in the configuration or the data; nothing is written then.
    """
    from lightning_base.verbs import others, running, scoring

    with running.guarded(verbose):
        made = others.data_of(dataset, splitter, data, x, y, groups)
        task = others.task_of(task, module, metrics)
        experiment = running.opened("fit", config, overrides, task, made, trainer, name, seed, audit)
        if running.spawns(experiment):
            return running.spawned_fit(experiment, ckpt_path)
        return scoring.fit(experiment, running.as_path(ckpt_path, "ckpt_path"))


def validate(
    run: Directory | None, *, config: Config | None = None, overrides: Settings = NOTHING, verbose: bool = False
) -> Scored:
    """Scores a checkpoint on the samples that its fold held out.

    Args:
        run: a checkpoint, or the directory or result of a fit.
        config: by default the configuration saved with the run.
        overrides: values by dotted key.
        verbose: print what the command line prints.

    Raises:
        UserError: where the run is none of a fold.
    """
    from lightning_base.verbs import running, scoring

    with running.guarded(verbose, RUN):
        experiment, path = running.reopened("validate", run, config, overrides)
        return scoring.validate(experiment, path)


def test(
    run: Directory | None, *, config: Config | None = None, overrides: Settings = NOTHING, verbose: bool = False
) -> Scored:
    """Scores a checkpoint, or the ensemble of a cross-validation, on the sealed test samples, and records that it did.

    Args:
        run: a checkpoint, or the directory or result of a fit or of a finished cross-validation.
        config: by default the configuration saved with the run.
        overrides: values by dotted key.
        verbose: print what the command line prints.

    Raises:
        UserError: where there are no test samples, or the run is not finished.
    """
    from lightning_base.verbs import running, scoring

    with running.guarded(verbose, RUN):
        experiment, path = running.reopened("test", run, config, overrides)
        return scoring.test(experiment, path)


def predict(
    run: Directory | None,
    x: Any = None,
    *,
    out: str | PathLike[str] | None = None,
    overwrite: bool = False,
    config: Config | None = None,
    overrides: Settings = NOTHING,
    verbose: bool = False,
) -> pd.DataFrame:
    """The predictions of new samples, by a checkpoint or the ensemble of a cross-validation's folds.

    Args:
        run: a checkpoint, or the directory or result of a fit or of a finished cross-validation.
        x: the samples: a DataFrame with the columns of the inputs, or an array (N, ...). By default those that the
            configuration names (`overrides={"data.predict": "new.csv"}`); their predictions are written too.
        out: a file ending in .csv, .parquet or .jsonl that the predictions are written to.
        overwrite: replace `out` where it is there.
        config: by default the configuration saved with the run.
        overrides: values by dotted key.
        verbose: print what the command line prints.

    Returns:
        One row per sample, in the order of `x` and with its index where it is a DataFrame: id, and the task's columns,
        which are pred and, for classes, the probability of each by its name: prob_yes ….

    Raises:
        UserError: where the samples cannot be read, or the run is not finished.
    """
    from lightning_base.verbs import running, scoring

    with running.guarded(verbose, RUN):
        experiment, path = running.reopened("predict", run, config, overrides)
        found = scoring.predict(experiment, path, x, None if out is None else Path(out), overwrite)
        return found if x is None else running.as_given(found, x)


def prepare(
    config: Config | None = None,
    *,
    overrides: Settings = NOTHING,
    data: Data | None = None,
    name: str | None = None,
    verbose: bool = False,
) -> Prepared:
    """Fetches, cleans, packs and splits the data; writes cleaning.parquet and split.parquet in `runs/<name>/prepare`.

    Args:
        config: a configuration file, or several; it needs no model.
        overrides: values by dotted key.
        data: makes the data module, in place of a config.
        name: of the results' folder; needed without a config.
        verbose: print what the command line prints.

    Raises:
        UserError: where a source cannot be had, or a finding's policy is `fail`.
    """
    from lightning_base.verbs import inspect, running

    with running.guarded(verbose):
        return inspect.prepare(running.opened("prepare", config, overrides, None, running.data_of(data), {}, name))


def audit(
    config: Config | None = None,
    *,
    overrides: Settings = NOTHING,
    data: Data | None = None,
    name: str | None = None,
    show: str | Path | None = None,
    labels: str | Path | None = None,
    live: Any = None,
    verbose: bool = False,
) -> list[Leak]:
    """Looks for leaks between training, held-out and test samples; none are found in clean data.

    Args:
        config: a configuration file, or several; it needs no model.
        overrides: values by dotted key.
        data: makes the data module, in place of a config.
        name: of the results' folder; needed without a config.
        show: a PNG to draw training samples into, before and after augmentation.
        labels: a classifier's finished crossval directory, whose labels are ranked by how clearly its held-out
            predictions contradict them; leaks are not looked for then. Needs cleanlab.
        live: new samples that are compared with the training role, column by column: a path, as `predict` reads it, or
            samples in memory, as `predict` takes them; leaks are not looked for then. Each column that differs by more
            than chance is a `Drift` among what is returned; all numbers are in `runs/<name>/audit/live.json`.
        verbose: print what the command line prints.

    Raises:
        UserError: for data that cannot be read; AuditError for leaks, or new samples that differ, where the config has
            `audit: fail`.
    """
    from lightning_base.verbs import inspect, running

    with running.guarded(verbose):
        experiment = running.opened("audit", config, overrides, None, running.data_of(data), {}, name)
        show, labels = running.as_path(show, "show"), running.as_path(labels, "labels")
        return inspect.audit(experiment, show, labels, live)
