"""The verbs as a LightningCLI: one configuration, parsed once and instantiated afresh for every fold."""

import time
from argparse import ArgumentError
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from lightning_base.auditing.gate import inspect, write_split
from lightning_base.auditing.wrong_labels import audit_labels
from lightning_base.cli import ddp_spawn
from lightning_base.cli.arguments import configs, with_saved_config
from lightning_base.cli.inspect import audit_verb, prepare
from lightning_base.cli.paths import describe, fit_directory, members_of, read_stamp
from lightning_base.cli.verbs import Trainer
from lightning_base.data.datamodule import BaseDataModule, Role
from lightning_base.distributed.process import leave_allocation
from lightning_base.distributed.slurm import Slurm
from lightning_base.errors import UserError, one_line
from lightning_base.folds.executors.options import Execution, Executor
from lightning_base.folds.loop import crossval
from lightning_base.folds.search import tuned
from lightning_base.results import states
from lightning_base.splitters.split import WHOLE
from lightning_base.stats.tables import score_table
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.console import console, quiet
from lightning_base.tools.files import read_json, write_json, write_parquet
from lightning_base.training import evaluate
from lightning_base.training.checkpoint import resume_point
from lightning_base.training.config_errors import explain
from lightning_base.training.experiment import Experiment
from lightning_base.training.preempt import listening
from lightning_base.training.run import build, close, preflight
from lightning_base.training.search_space import Search
from lightning_base.training.train import train

DATA_VERBS = ("prepare", "audit")  # these need no model


def run_verb(arguments: Sequence[str]) -> None:
    """Runs one verb with its options.

    Raises:
        UserError: for any mistake in the configuration, before anything is written.
    """
    arguments = with_saved_config(list(arguments))
    with quiet():
        try:
            Command(arguments)
        except MisconfigurationException as error:
            raise UserError(f"trainer: {one_line(error)}") from error


def open_experiment(arguments: Sequence[str]) -> Experiment:
    """The experiment of a verb's words, which is parsed and not run.

    Raises:
        UserError: for words or a configuration that do not parse.
    """
    with quiet():
        return Opened(arguments).experiment


class Command(LightningCLI):
    """LightningCLI with `crossval`, and with runs that are built by `lightning_base.training.run.build` alone."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self.arguments = list(arguments)
        self.files = configs(arguments)
        own = {"exit_on_error": False, "allow_abbrev": False}
        super().__init__(
            BaseModule,
            BaseDataModule,
            save_config_callback=None,  # saved by the verbs, whole and by rename
            trainer_class=Trainer,
            seed_everything_default=0,
            parser_kwargs=own | {verb: dict(own) for verb in self.subcommands()},
            subclass_mode_model=True,
            subclass_mode_data=True,
            args=list(arguments),
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,  # hyperparameters in checkpoints break weights-only loading
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        """The verbs, each with the arguments of the Trainer's method that are not options."""
        hidden = {
            "model",
            "dataloaders",
            "train_dataloaders",
            "val_dataloaders",
            "datamodule",
            "weights_only",
        }
        return {
            "fit": hidden,
            "validate": hidden | {"verbose"},
            "test": hidden | {"verbose"},
            "predict": hidden | {"return_predictions"},
            "crossval": hidden,
            "prepare": hidden,
            "audit": hidden,
        }

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds trainer, model and data; LightningCLI would demand a model of every verb."""
        parser.add_lightning_class_args(self.trainer_class, "trainer")
        parser.add_lightning_class_args(BaseModule, "model", subclass_mode=True, required=False)
        parser.add_lightning_class_args(BaseDataModule, "data", subclass_mode=True)

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds `name`, `audit` and `search`."""
        parser.add_argument(
            "--name",
            type=str | None,
            default=None,
            help="Results go to runs/NAME; by default the first config's name.",
        )
        parser.add_argument(
            "--audit",
            type=Literal["off", "warn", "fail"] | bool,
            default="warn",
            help="What fit and crossval do about leaks that the audit finds before they begin.",
        )
        parser.add_argument(
            "--search",
            type=Search | None,
            default=None,
            help="What crossval tunes inside each fold, by cross-validating the fold's training part alone.",
        )

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses into `self.config`; a complaint becomes one line."""
        try:
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            known = self._subcommand_parsers[args[0]].get_defaults(skip_validation=True).keys()
            raise UserError(explain(str(error), self.files, list(known))) from error
        except (yaml.YAMLError, OSError) as error:
            raise UserError(f"{', '.join(self.files)}: {one_line(error)}") from error
        config = self.config[self.config.subcommand]
        for key in ("data",) if self.config.subcommand in DATA_VERBS else ("model", "data"):
            if config.get(key) is None:
                raise UserError(f"{key}: missing; give --config FILE.yaml with {key}.class_path")
        config.name = config.name or (Path(self.files[0]).stem if self.files else "experiment")
        if Path(config.name).name != config.name:
            raise UserError(f"name: {config.name!r} is not the plain name of a folder")

    def _parse_ckpt_path(self) -> None:
        """Nothing: the configuration is the YAML's, not the checkpoint's."""

    def instantiate_classes(self) -> None:
        """Opens the experiment, and makes ready the run of one fold, without writing anything."""
        self.config_init = self.config
        self.experiment = Experiment(self._parser(self.subcommand), self.config[self.subcommand])
        self.trainer = Trainer  # type: ignore[assignment]  # LightningCLI asks it which verbs there are, and nothing else
        self.model, self.datamodule = self._make_ready()

    def _make_ready(self) -> tuple[LightningModule | None, LightningDataModule]:
        """Builds the run of one fold; `crossval` builds the others from the same configuration."""
        config = self.config[self.subcommand]
        if ddp_spawn.wanted(str(self.subcommand), config.trainer):
            raise SystemExit(ddp_spawn.run(self.arguments, config.trainer))
        self.path = Path(config.ckpt_path) if config.get("ckpt_path") else None
        if self.path is not None and not self.path.exists():
            raise UserError(f"--ckpt_path: no file or directory {self.path}")
        if self.path is not None:
            self.experiment = tuned(self.experiment, self.path.parent.parent if self.path.is_file() else self.path)
        away = self.subcommand == "crossval" and config.executor == "slurm"
        if away:
            leave_allocation()
        fold, directory = 0, self.experiment.root / str(self.subcommand)
        if self.subcommand == "fit":
            directory = fit_directory(directory, None if self.path else self.experiment)
        elif self.path is not None and self.path.is_file():
            fold = read_stamp(self.path).get("fold", 0)
        self.run = build(
            self.experiment.on_cpu() if away else self.experiment,
            fold,
            directory,
            quiet=self.subcommand != "fit",
            training=self.subcommand in ("fit", "crossval"),
        )
        return self.run.model, self.run.datamodule

    def fit(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str | None = None) -> None:
        """Trains fold 0 of data.split in runs/<name>/fit/version_<n>, and scores the samples it holds out.

        A run of the same configuration that was broken off goes on.
        """
        if self.experiment.search is not None:
            raise UserError(
                "search: fit does not search; take crossval (one fold is enough: lightning_base.splitters.Ratio), "
                "or give --search null"
            )
        preflight(self.run)
        inspect(self.experiment.audit, self.experiment.root, self.run.datamodule)
        if self.run.trainer.fast_dev_run:  # type: ignore[attr-defined]
            self.run.trainer.fit(self.run.model, datamodule=self.run.datamodule)
            return
        begun = resume_point(self.run.directory)
        if begun is not None:
            console().print(f"{self.run.directory}: goes on from {begun.name}; delete the folder to begin anew")
        self.experiment.save(self.run.directory / "config.yaml")
        write_split(self.run.directory, self.run.datamodule)
        write_json(self.run.directory / states.STATE, states.running())
        try:
            with listening():
                result, held_out = train(self.run, begun or self.path)
        finally:
            (self.run.directory / states.STATE).unlink(missing_ok=True)
        close(self.run)
        self._report("held-out samples of fold 0", held_out, result.metrics)
        console().print(f"scored: {result.selection}\nresults: {self.run.directory}")

    def validate(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str | None = None) -> None:
        """Scores a checkpoint on the samples that its fold held out."""
        if self.path is None or self.path.is_dir():
            raise UserError(
                "validate needs --ckpt_path of one run's checkpoint; the held-out scores of a crossval directory "
                "stand in its summary.json"
            )
        if self.run.fold == WHOLE:
            raise UserError(f"--ckpt_path: {self.path} is a refit, which has trained on the whole pool; test takes it")
        predictions = evaluate.predict(self.run, "val", self.path)
        self._report(f"held-out samples of fold {self.run.fold}", predictions)

    def test(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str | None = None) -> None:
        """Scores a checkpoint, or the ensemble of a crossval directory, on the sealed test samples."""
        members, home = members_of(self.path, str(self.subcommand))
        record = home / "test.json"
        reads = read_json(record)["reads"] if record.is_file() else []
        predictions = self._ensemble("test", members)
        if predictions.target is None:
            raise UserError(f"{predictions.samples.origin}: the test samples have no target; use predict")
        scores = evaluate.scores(self.run.model, predictions)
        intervals = self._report(f"test samples, {describe(members)}", predictions, scores)
        reads = [*reads, time.strftime("%Y-%m-%dT%H:%M:%S%z")]
        if len(reads) > 1:
            console().print(
                f"the test samples were read {len(reads)} times for this run, first {reads[0]}: what was chosen in "
                "between is fitted to them"
            )
        write_parquet(home / "test.parquet", evaluate.frame(self.run.model, predictions))
        write_json(
            record,
            {
                "metrics": {k: {"value": v, "ci95": list(intervals[k])} for k, v in scores.items()},
                "details": evaluate.details(self.run.model, predictions),
                "n": len(predictions.rows),
                "members": len(members),
                "interval": "accuracy: exact binomial; others: percentile bootstrap over test samples",
                "data_fingerprint": predictions.samples.fingerprint,
                "reads": reads,
            },
        )
        console().print(f"results: {record}")

    def predict(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str | None = None) -> None:
        """Writes predictions.parquet for the predict source, by a checkpoint or a crossval directory's ensemble."""
        members, home = members_of(self.path, str(self.subcommand))
        predictions = self._ensemble("predict", members)
        path = home / ("ensemble.parquet" if len(members) > 1 else "predict.parquet")
        write_parquet(path, evaluate.frame(self.run.model, predictions))
        console().print(f"{len(predictions.rows)} samples predicted by {describe(members)}\nresults: {path}")

    def prepare(self, model: LightningModule | None, datamodule: LightningDataModule) -> None:
        """Fetches, cleans, packs and splits, and shows what was found."""
        prepare(self.experiment, self.run.datamodule)

    def audit(
        self,
        model: LightningModule | None,
        datamodule: LightningDataModule,
        show: str | None = None,
        labels: str | None = None,
    ) -> None:
        """Looks for leaks, draws augmented samples, or ranks labels."""
        if labels is not None:
            audit_labels(self.run.datamodule, Path(labels))
        if labels is None or show is not None:
            audit_verb(self.experiment, self.run.datamodule, None if show is None else Path(show))

    def crossval(
        self,
        model: LightningModule | None = None,
        datamodule: LightningDataModule | None = None,
        folds: list[int] | None = None,
        overwrite: bool = False,
        refit: bool = False,
        executor: Executor = "inline",
        jobs: int | None = None,
        threads: int | None = None,
        slurm: Slurm | None = None,
    ) -> None:
        """Trains every fold of data.split, and reports scores with honest intervals."""
        if (asked := self.config["crossval"].slurm) is not None:  # LightningCLI hands nested options to no method
            slurm = Slurm(**asked.as_dict())
        crossval(self.experiment, folds, overwrite, Execution(executor, jobs, threads, slurm), refit)

    def _ensemble(self, role: Role, members: Sequence[Path]) -> evaluate.Predictions:
        found = []
        for checkpoint in members:
            fold = read_stamp(checkpoint).get("fold", 0)
            home = checkpoint.parent.parent
            run = build(tuned(self.experiment, home), fold, home, quiet=True, training=False)
            found.append(evaluate.predict(run, role, checkpoint))
            self.run = run
        return evaluate.ensemble(self.run.model, found)

    def _report(
        self, title: str, predictions: evaluate.Predictions, scores: dict[str, float] | None = None
    ) -> dict[str, tuple[float, float]]:
        """Prints the scores with their intervals; returns the intervals."""
        scores = scores or evaluate.scores(self.run.model, predictions)
        intervals = evaluate.score_intervals(self.run.model, predictions)
        console().print(score_table(f"{self.experiment.name}: {title}", scores, intervals, len(predictions.rows)))
        return intervals


class Opened(Command):
    """A verb's configuration, which is parsed and not run."""

    def _make_ready(self) -> tuple[LightningModule | None, LightningDataModule]:
        return None, None  # type: ignore[return-value]

    def _nothing(self, **_: Any) -> None:
        """Stands for every verb."""

    fit = validate = test = predict = crossval = prepare = audit = _nothing  # type: ignore[assignment]
