"""A verb's words as LightningCLI parses them: one configuration, which is opened and not run."""

from argparse import ArgumentError
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.distributed.slurm import Slurm
from lightning_base.errors import ConfigError, UserError, one_line
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.console import quiet
from lightning_base.tools.finder import look_here
from lightning_base.tools.imports import ended, import_fault
from lightning_base.tools.yaml_file import read_config
from lightning_base.training.config_errors import explain, missing, no_import
from lightning_base.training.experiment import SHARED_KEYS, Experiment
from lightning_base.training.known_names import class_paths
from lightning_base.training.limits import demand_sensible, plain_name
from lightning_base.training.network_parser import NetworkParser
from lightning_base.training.search_space import Search
from lightning_base.training.taken import demand_taken
from lightning_base.verbs.trainer import Trainer, add_trainer
from lightning_base.verbs.words import configs, with_nulls
from lightning_base.verbs.wrapping import wrapped

DATA_VERBS = ("prepare", "audit")  # these need no model
CKPT_PATH = {  # the help of --ckpt_path
    "fit": "A checkpoint of a fit to go on from; without it a run that was broken off goes on, else one begins.",
    "validate": "The checkpoint, or the folder runs/NAME/fit/version_N, of the fold whose held-out samples are scored.",
    "test": "The checkpoint, run folder, or finished crossval directory (then its folds' ensemble) that is scored on "
    "the sealed test samples.",
    "predict": "The checkpoint, run folder, or finished crossval directory (then its folds' ensemble) that predicts.",
}
MORE_HIDDEN = {"validate": {"verbose"}, "test": {"verbose"}}


@dataclass(frozen=True)
class Asked:
    """What a verb's words ask for: the experiment, and the verb's own options by name."""

    verb: str
    experiment: Experiment
    options: dict[str, Any]


def parse(arguments: Sequence[str]) -> Asked:
    """What a verb's words ask for.

    Args:
        arguments: the verb, then its options.

    Raises:
        ConfigError: for words or a configuration that do not parse.
    """
    shows = any(word.startswith(("--print_config", "--help", "-h")) or ".help" in word for word in arguments)
    try:
        with quiet():
            return Parser(arguments).asked
    except SystemExit as stop:
        if shows or isinstance(stop.__context__, KeyboardInterrupt):
            raise
        raise ConfigError(ended(stop)) from stop
    except UserError:
        raise
    except Exception as error:  # what a file of the user's raises when it is imported
        for key, path in class_paths(configs(arguments), arguments[1:]):
            if (fault := import_fault(path.rpartition(".")[0])) is not None:
                raise ConfigError(no_import(key, path, fault)) from error
        raise


class Parser(LightningCLI):
    """LightningCLI with the verbs that Lightning lacks; it opens an experiment, which builds its runs itself."""

    def __init__(self, arguments: Sequence[str]) -> None:
        look_here()
        self.arguments = list(arguments)
        self.files = configs(arguments)
        for file in filter(None, self.files):
            read_config(file)
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
            args=with_nulls(wrapped(arguments)),
            auto_configure_optimizers=False,
            parser_class=NetworkParser,
            load_from_checkpoint_support=False,  # hyperparameters in checkpoints break weights-only loading
        )

    def subcommands(self) -> dict[str, set[str]]:  # type: ignore[override]  # LightningCLI asks an instance for it
        """The verb that is run, with the arguments of the Trainer's method that are no options.

        Parsers of the others would be made for nothing, and take most of the time until the first line is read.
        """
        return {self.arguments[0]: hidden_options(self.arguments[0])}

    def add_core_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds trainer, model and data; LightningCLI would demand a model of every verb."""
        add_trainer(parser)
        parser.add_lightning_class_args(BaseModule, "model", subclass_mode=True, required=False)
        parser.add_lightning_class_args(BaseDataModule, "data", subclass_mode=True)

    def _prepare_subcommand_parser(self, klass: type, subcommand: str, **kwargs: Any) -> LightningArgumentParser:
        """A verb's parser; what Lightning says of --ckpt_path is not what it does here."""
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        for action in parser._actions:
            if action.dest == "ckpt_path":
                action.help = CKPT_PATH[subcommand]
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Adds `name`, `audit` and `search`."""
        add_own_arguments(parser)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Parses into `self.config`; a complaint becomes one line."""
        words = list(args[1:])
        try:
            self.config = parser.parse_args(args)
        except ArgumentError as error:
            known = self._subcommand_parsers[args[0]].get_defaults(skip_validation=True).keys()
            raise ConfigError(explain(str(error), self.files, list(known), words)) from error
        except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{', '.join(self.files)}: {one_line(error)}") from error
        config = self.config[self.config.subcommand]
        demand_taken(config, words)
        demand_sensible("seed_everything", config.get("seed_everything"))  # before Lightning sets it
        for key in ("data",) if self.config.subcommand in DATA_VERBS else ("model", "data"):
            if config.get(key) is None:
                raise ConfigError(missing(key))
        default = Path(self.files[0]).stem if self.files else "experiment"
        config.name = plain_name(default if config.name is None else str(config.name))

    def _parse_ckpt_path(self) -> None:
        """Nothing: the configuration is the YAML's, not the checkpoint's."""

    def instantiate_classes(self) -> None:
        """Opens the experiment; nothing is built."""
        self.config_init = self.config
        verb, config = str(self.subcommand), self.config[self.subcommand]
        options = verb_options(config, [key for key in vars(config) if key not in (*SHARED_KEYS, "config")])
        self.asked = Asked(verb, Experiment(self._parser(self.subcommand), config), options)
        self.trainer = Trainer  # type: ignore[assignment]  # LightningCLI asks it which verbs there are, and nothing else
        self.model = self.datamodule = None

    def _nothing(self, **_: Any) -> None:
        """Stands for every verb."""

    fit = validate = test = predict = crossval = prepare = audit = _nothing


def verb_options(config: Namespace, names: Sequence[str]) -> dict[str, Any]:
    """A verb's own options by name."""
    found = {name: config.get(name) for name in names if "." not in name}
    if found.get("slurm") is not None:
        found["slurm"] = Slurm(**found["slurm"].as_dict())
    return found


def hidden_options(verb: str) -> set[str]:
    """The arguments of the Trainer's method that are no options of the verb."""
    hidden = {"model", "dataloaders", "train_dataloaders", "val_dataloaders", "datamodule", "weights_only"}
    return hidden | MORE_HIDDEN.get(verb, set())


def add_own_arguments(parser: LightningArgumentParser) -> None:
    """Adds what an experiment has beside trainer, model and data: `name`, `audit` and `search`."""
    parser.add_argument(
        "--name",
        type=str | int | float | None,
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
