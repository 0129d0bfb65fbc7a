"""Experiment: one parsed configuration, from which every fold is built afresh."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser

from lightning_base.tools.files import write_text

SHARED_KEYS = ("name", "seed_everything", "audit", "trainer", "model", "data", "search")


@dataclass(frozen=True)
class Experiment:
    """One parsed configuration, from which every fold is built afresh.

    only: ids of the samples that its pool is restricted to: an outer fold's training part; None for all there are.
    """

    parser: LightningArgumentParser
    config: Namespace
    only: frozenset[str] | None = None

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

    def on_cpu(self) -> "Experiment":
        """The experiment as one process on a CPU can build it, to check what will run on other machines."""
        config = self.config.clone()
        here = {"accelerator": "cpu", "devices": 1, "num_nodes": 1, "strategy": "auto", "precision": None}
        for key, value in {**here, "sync_batchnorm": False}.items():
            config.trainer[key] = value
        return replace(self, config=config)

    def dump(self) -> dict[str, Any]:
        """The whole configuration as plain values, without the options of one verb."""
        everything = yaml.safe_load(self.parser.dump(self.config, skip_unset=False, skip_validation=True))
        return {key: everything[key] for key in SHARED_KEYS if key in everything}

    def save(self, path: Path) -> None:
        """Writes the configuration as YAML that `--config` takes."""
        write_text(path, yaml.safe_dump(self.dump(), sort_keys=False))
