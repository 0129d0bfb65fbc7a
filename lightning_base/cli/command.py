"""The verbs as a LightningCLI: one configuration, parsed once and instantiated afresh for every fold."""

from argparse import ArgumentError
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import LightningDataModule, LightningModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from lightning_base.auditing.wrong_labels import audit_labels
from lightning_base.cli import ddp_spawn, scoring
from lightning_base.cli.arguments import configs, with_saved_config
from lightning_base.cli.inspect import audit_verb, prepare
from lightning_base.cli.paths import fit_directory, read_stamp
from lightning_base.cli.verbs import Trainer
from lightning_base.data.datamodule import BaseDataModule
from lightning_base.distributed.process import leave_allocation
from lightning_base.distributed.slurm import Slurm
from lightning_base.errors import UserError, one_line
from lightning_base.folds.executors.options import Execution, Executor
from lightning_base.folds.loop import crossval
from lightning_base.folds.search import tuned
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.console import quiet
from lightning_base.training.config_errors import explain
from lightning_base.training.experiment import Experiment
from lightning_base.training.run import build
from lightning_base.training.search_space import Search

DATA_VERBS = ("prepare", "audit")  # these need no model
MORE_HIDDEN = {"validate": {"verbose"}, "test": {"verbose"}, "predict": {"return_predictions"}}


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

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # LightningCLI asks an instance for it
        """The verb that is run, with the arguments of the Trainer's method that are no options.

        Parsers of the others would be made for nothing, and take most of the time until the first line is read.
        """
        hidden = {"model", "dataloaders", "train_dataloaders", "val_dataloaders", "datamodule", "weights_only"}
        return {self.arguments[0]: hidden | MORE_HIDDEN.get(self.arguments[0], set())}

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
        if self.subcommand == "crossval":  # it builds its folds itself
            if config.executor == "slurm":
                leave_allocation()
            return None, None  # type: ignore[return-value]
        fold, directory = 0, self.experiment.root / str(self.subcommand)
        if self.subcommand == "fit":
            directory = fit_directory(directory, None if self.path else self.experiment)
        elif self.path is not None and self.path.is_file():
            fold = read_stamp(self.path).get("fold", 0)
        training = self.subcommand == "fit"
        self.run = build(self.experiment, fold, directory, quiet=not training, training=training)
        return self.run.model, self.run.datamodule

    def fit(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str | None = None) -> None:
        """Trains fold 0 of data.split in runs/<name>/fit/version_<n>, and scores the samples it holds out."""
        scoring.fit(self.experiment, self.run, self.path)

    def validate(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str | None = None) -> None:
        """Scores a checkpoint on the samples that its fold held out."""
        scoring.validate(self.experiment, self.run, self.path)

    def test(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str | None = None) -> None:
        """Scores a checkpoint, or the ensemble of a crossval directory, on the sealed test samples."""
        scoring.test(self.experiment, self.path)

    def predict(self, model: LightningModule, datamodule: LightningDataModule, ckpt_path: str | None = None) -> None:
        """Writes the predictions of the predict source, by a checkpoint or a crossval directory's ensemble."""
        scoring.predict(self.experiment, self.path)

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


class Opened(Command):
    """A verb's configuration, which is parsed and not run."""

    def _make_ready(self) -> tuple[LightningModule | None, LightningDataModule]:
        return None, None  # type: ignore[return-value]

    def _nothing(self, **_: Any) -> None:
        """Stands for every verb."""

    fit = validate = test = predict = crossval = prepare = audit = _nothing  # type: ignore[assignment]
