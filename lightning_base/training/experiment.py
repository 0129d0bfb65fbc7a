"""Experiment: one parsed configuration, from which every fold is built afresh, and its variants."""

import json
import warnings
from argparse import ArgumentError
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser

from lightning_base.data.datamodule import BaseDataModule
from lightning_base.data.pool import Pools
from lightning_base.errors import ConfigError, UserError
from lightning_base.finetune.given import InitFrom, as_init_from
from lightning_base.tasks.base import BaseModule
from lightning_base.tools.files import write_json, write_text
from lightning_base.tools.yaml_file import LOADER
from lightning_base.training.config_errors import explain
from lightning_base.training.limits import CHECKED, demand_end, demand_sensible
from lightning_base.training.objects import Objects
from lightning_base.training.own_code import write_own_code
from lightning_base.training.search_space import Search, Values, shown
from lightning_base.training.settings import INITIAL, identity, predicting
from lightning_base.training.sizes import Sizes, adapt, given_outputs, named, no_weights, put_in, specs
from lightning_base.training.sources import BESIDE, sums_of
from lightning_base.training.taken import demand_taken

SHARED_KEYS = ("name", "seed_everything", "audit", "trainer", "model", "data", "search")
UNSAVED = "Unable to serialize instance"  # how the parser writes what it has no words for
NO_CHANGES: Mapping[str, Any] = {}


@dataclass(frozen=True)
class Experiment:
    """One parsed configuration, from which every fold is built afresh.

    Attributes:
        parser: of the verb's options.
        config: the options, parsed and not instantiated.
        only: ids of the samples that its pool is restricted to: an outer fold's training part; None for all there are.
        pools: what this process has read for it and its variants.
        objects: what makes task and data where Python functions do; None where the configuration names their classes.
    """

    parser: LightningArgumentParser
    config: Namespace
    only: frozenset[str] | None = None
    pools: Pools = field(default_factory=Pools, compare=False, repr=False)
    objects: Objects | None = None

    def __post_init__(self) -> None:
        """Refuses values that make no sense, wherever they come from: files, words, Python or a search.

        Raises:
            ConfigError: naming the key.
        """
        if not isinstance(trainer := self.config.get("trainer"), Namespace):
            raise ConfigError("trainer: empty; leave the key out, or give options such as trainer.max_epochs")
        for key in CHECKED:
            demand_sensible(key, self.config.get(key))
        if self.objects is None:  # else a function may make the callback that ends it
            demand_end(trainer)

    @property
    def name(self) -> str:
        """What the results' folder is called."""
        return str(self.config.name)

    @property
    def seed(self) -> int:
        """Everything random is drawn from it."""
        return int(self.config.seed_everything)

    @property
    def root(self) -> Path:
        """trainer.default_root_dir, or runs/<name>."""
        return Path(self.config.trainer.default_root_dir or Path("runs") / self.name)

    @property
    def audit(self) -> str:
        """ "off", "warn" or "fail"; YAML reads a bare `off` as false."""
        return str({False: "off", True: "warn"}.get(self.config.audit, self.config.audit))

    @property
    def search(self) -> Search | None:
        """What it tunes, without the inner splitter, which is built with the data; None where it tunes nothing."""
        given = self.config.get("search")
        return None if given is None else Search(grid=dict(given.grid), metric=given.metric, mode=given.mode)

    def instantiate(self, config: Namespace) -> Namespace:
        """New objects: trainer (its arguments) and data; the model is made when the data can be asked, by `make_model`.

        Args:
            config: this experiment's, or a changed copy of it.
        """
        config = config.clone()
        config.pop("model", None)
        made: Namespace = self.parser.instantiate(config)
        if self.objects is not None:
            for key, value in self.objects.make_trainer().items():
                made.trainer[key] = value
            made.data = self.objects.make_data()
        return made

    def make_model(self, data: BaseDataModule, known: Mapping[str, int] | None) -> Any:
        """A new task (BaseModule) with its network, of the sizes that the data says; None where there is none.

        Args:
            data: of the run, with its fold.
            known: sizes as a checkpoint has them, whose weights the network is to take; None for one that is to train.

        Raises:
            UserError: for a network that does not take its arguments, or does not come to fit the data.
        """
        if self.objects is not None:
            made = self.objects.make_task()
            if made is not None:
                sizes = Sizes(data, type(made), vars(made), known or {})
                made.adapted, made.sizes = adapt(made, sizes, None, False), sizes.found
            return made
        if self.config.get("model") is None:
            return None
        config = Namespace()  # type: ignore[no-untyped-call]
        config.model = self.config.model.clone()
        options = config.model.get("init_args")
        sizes = Sizes(data, named(config.model.class_path), vars(options) if options else {}, known or {})
        files = put_in(config.model, sizes)
        given = any(given_outputs(spec) for key, spec in specs(options) if key == "network")
        try:
            task: BaseModule = self.parser.instantiate(config).model
        except Exception as error:
            if (offline := no_weights(error)) is None:
                raise
            raise offline from error
        task.adapted = adapt(task, sizes, files.get("network") if known is None else None, given)
        task.sizes = sizes.found
        return task

    @cached_property
    def identity(self) -> str:
        """SHA-256 over all settings that its results depend on; see `settings.identity`."""
        return identity({**self.dump(), INITIAL: self.initial_weights})

    @cached_property
    def initial_weights(self) -> str | None:
        """What tells the weights of `model.init_from` from others; None without, and where a function makes the task.

        Raises:
            UserError: where they are not there.
        """
        model = self.dump().get("model")
        given = model.get("init_args", {}).get("init_from") if isinstance(model, dict) else None
        return sums_of(InitFrom(**given) if isinstance(given, dict) else as_init_from(given))

    @cached_property
    def predicting(self) -> dict[str, Any]:
        """The settings that its predictions may depend on; see `settings.predicting`."""
        return predicting(self.dump())

    @property
    def data_settings(self) -> dict[str, Any]:
        """What tells the data of this experiment's variants apart: the class and the arguments of the data module."""
        data = self.config.get("data")
        if data is None:  # a function makes it, the same for all variants
            return {}
        arguments = data.get("init_args")
        given = {} if arguments is None else arguments.as_dict()
        return {"class_path": data.class_path, "dict_kwargs": data.get("dict_kwargs"), **given}

    def with_(self, changes: Mapping[str, Any] = NO_CHANGES, only: Iterable[str] | None = None) -> "Experiment":
        """The experiment with other values; what is not named stays, and so does what has been read.

        Args:
            changes: parsed values by dotted key, e.g. {"trainer.max_epochs": 3}.
            only: ids of the samples to restrict its pool to; None leaves it as it is.
        """
        config = self.config.clone()
        for key, value in changes.items():
            config[key] = value
        return replace(self, config=config, only=self.only if only is None else frozenset(only))

    def with_values(self, values: Values) -> "Experiment":
        """The experiment with values put in as the command line's --key=value does.

        Raises:
            UserError: for a key that does not exist, or a value that does not fit it.
        """
        words = [f"--{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in values.items()]
        try:
            config = self.parser.parse_args(words, namespace=self.config.clone())
        except ArgumentError as error:
            known = list(self.parser.get_defaults(skip_validation=True).keys())
            raise ConfigError(explain(str(error), [], known, words)) from error
        demand_taken(config, words)
        return replace(self, config=config)

    def candidates(self) -> list["Experiment"]:
        """The experiment with each candidate's values and no search; itself alone where it does not search.

        Raises:
            UserError: naming the candidate whose values do not fit.
        """
        if self.search is None:
            return [self]
        found = []
        for values in self.search.candidates():
            with naming(values):
                found.append(self.with_values(values).with_({"search": None}))
        return found

    def on_cpu(self) -> "Experiment":
        """The experiment as one process on a CPU can build it, to check what will run on other machines."""
        here = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "strategy": "auto", "precision": None}
        return self.with_({f"trainer.{key}": value for key, value in {**here, "sync_batchnorm": False}.items()})

    def without_model(self) -> "Experiment":
        """The experiment as whoever needs its data alone builds it: no network asks the data for its sizes."""
        return self if self.objects is not None else self.with_({"model": None})

    def dump(self) -> dict[str, Any]:
        """The whole configuration as plain values, without the options of one verb."""
        shown = deepcopy(self._written)
        return shown if self.objects is None else {**shown, "objects": dict(self.objects.identity)}

    @cached_property
    def _written(self) -> dict[str, Any]:
        """What the parser writes of the configuration; a command asks for it four times."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=rf"\s*{UNSAVED}")
            text = self.parser.dump(self.config, skip_unset=False, skip_validation=True)
        everything = yaml.load(text, Loader=LOADER)  # noqa: S506  # a safe one
        return {key: saved(everything[key], self.config.get(key), key) for key in SHARED_KEYS if key in everything}

    def save(self, path: Path) -> None:
        """Writes the configuration as YAML that `--config` takes, and beside it what tells own code that changes."""
        content = self.dump()
        write_own_code(path.parent, content)
        if self.initial_weights is not None:
            write_json(path.parent / BESIDE, {"weights": self.initial_weights})
        write_text(path, yaml.safe_dump(content, sort_keys=False))


def saved(shown: Any, value: Any, key: str) -> Any:
    """What the parser has written of a value, with the words for what it cannot write, as a device.

    Raises:
        ConfigError: where there are none: the file would be read as another experiment's.
    """
    if isinstance(shown, dict) and isinstance(value, Namespace | dict):
        return {name: saved(item, value.get(name), f"{key}.{name}") for name, item in shown.items()}
    if isinstance(shown, list) and isinstance(value, list | tuple):
        return [saved(item, one, f"{key}[{i}]") for i, (item, one) in enumerate(zip(shown, value, strict=True))]
    if not (isinstance(shown, str) and shown.startswith(UNSAVED)):
        return shown
    if isinstance(value, str | torch.device):
        return str(value)
    raise ConfigError(f"{key}: {value!r} cannot be written to a configuration; give a value that YAML has")


@contextmanager
def naming(values: Values) -> Iterator[None]:
    """Puts the candidate's values before the message of a user's mistake."""
    try:
        yield
    except UserError as error:
        raise ConfigError(f"search.grid ({shown(values)}): {error}") from error
