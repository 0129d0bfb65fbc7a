"""Claims about what is not exported: a network whose answers depend on the batch, on padding, or cannot be traced."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import lightning_base as lb
from lightning_base.cli.entry import main
from lightning_base.errors import ConfigError, UserError
from lightning_base.tasks import Classification
from tests.helpers import assert_one_line


class OfTheBatch(nn.Module):
    """What it answers depends on the others in the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 2)."""
        logits: Tensor = self.layer(x - x.mean(dim=0, keepdim=True))
        return logits


class Untraceable(OfTheBatch):
    """Which way it goes depends on the values."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 2)."""
        logits: Tensor = self.layer(x)
        return logits if float(x.sum()) > 0 else -logits


class Random(OfTheBatch):
    """It draws in evaluation, too."""

    def forward(self, x: Tensor) -> Tensor:
        """Logits (B, 2)."""
        logits: Tensor = self.layer(x) + torch.rand(1)
        return logits * torch.rand(1)


def run_of(network: Any) -> Any:
    """A run of a network on a few numbers."""
    x = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    return lb.fit(
        task=lambda: Classification(network()),
        x=x,
        y=(x[:, 0] > 0).astype(int),
        name="refused",
        trainer={"max_epochs": 1, "accelerator": "cpu"},
        audit="off",
    )


@pytest.mark.parametrize(
    ("network", "said"),
    [
        (OfTheBatch, "what else is in the batch|differ from the run's"),
        (Untraceable, "cannot be made a graph"),
        (Random, "what else is in the batch|differ from the run's"),
    ],
)
def test_a_network_whose_answers_are_no_function_of_the_input_is_refused(work: Path, network: Any, said: str) -> None:
    run = run_of(network)
    with pytest.raises(ConfigError, match=said):
        lb.export(run, samples=20)
    assert not list(Path(run.directory).glob("export*"))
    assert not list(Path(run.directory).glob(".export*"))


def test_mistakes_are_one_line(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, part in (
        (["export"], "required: run"),
        (["export", "runs/nope"], "no such file or directory"),
        (["export", "runs/nope", "--format", "onxx"], "--format"),
        (["export", "runs/nope", "--samples", "some"], "--samples"),
    ):
        assert_one_line(main(arguments), capsys, part)


def test_what_is_exported_already_is_no_run(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (work / "out").mkdir()
    (work / "out" / "manifest.json").write_text("{}")
    assert_one_line(main(["export", "out"]), capsys, "out is an exported folder")
    (work / "last.ckpt").write_bytes(b"")
    assert_one_line(main(["export", "last.ckpt"]), capsys, "name the configuration")


def test_an_unfinished_run_is_none(work: Path) -> None:
    (work / "runs/x/crossval/fold_0").mkdir(parents=True)
    with pytest.raises(UserError):
        lb.export("runs/x/crossval")
    with pytest.raises(ConfigError, match="precision: 'int4'"):
        lb.export("runs/x/crossval", precision="int4")  # type: ignore[arg-type]
