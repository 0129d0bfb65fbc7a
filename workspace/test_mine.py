"""Tests of what is yours, run with `pytest`: the network, the data, and both together through the command line."""

import json
from pathlib import Path

import pandas as pd
import pytest
import torch
from datamodules.mine import Mine
from models.mine import MyNet

from lightning_base.cli.entry import main

CONFIG = Path(__file__).parent / "configs" / "mine.yaml"


def test_the_network_gives_a_logit_per_class() -> None:
    assert MyNet(num_inputs=13, num_outputs=3)(torch.zeros(2, 13)).shape == (2, 3)


def test_every_sample_has_a_name_of_its_own_and_a_class() -> None:
    samples = Mine(batch_size=32).dataset("pool")
    assert samples.table["id"].is_unique
    assert set(samples.table["target"]) == set(range(len(samples.classes)))


def test_two_folds_train_and_beat_guessing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # runs/ goes there
    assert main(["crossval", "--config", str(CONFIG), "--data.split.n_splits", "2"]) == 0
    run = tmp_path / "runs" / "mine" / "crossval"
    oof = pd.read_parquet(run / "oof.parquet")
    assert oof["id"].is_unique
    often = oof["target"].value_counts(normalize=True).max()
    assert json.loads((run / "summary.json").read_text())["metrics"]["accuracy"]["mean"] > often + 0.2
