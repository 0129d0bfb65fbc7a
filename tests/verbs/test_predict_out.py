"""predict --out: names in place of numbers, in CSV, Parquet and JSON lines, and no file replaced unasked."""

import json
from pathlib import Path

import pandas as pd
import pytest
from sklearn.datasets import load_wine

from tests.helpers import Run, refused

CONFIG = """
name: wines
trainer: {max_epochs: 10, logger: false, accelerator: cpu}
model:
  class_path: lightning_base.tasks.Classification
  init_args:
    network: {class_path: models.mlp.MLP, init_args: {num_outputs: 3, hidden: [16]}}
    optimizer: {class_path: torch.optim.Adam, init_args: {lr: 0.02}}
data:
  class_path: datamodules.table.Table
  init_args:
    path: wines.csv
    target: cultivar
    ids: bottle
    split: {class_path: sklearn.model_selection.KFold, init_args: {n_splits: 2}}
"""
NAMES = ["Barbera", "Barolo", "Grignolino"]


@pytest.fixture
def wines(run: Run, work: Path) -> pd.DataFrame:
    """A finished cross-validation of wines by name, and new ones in new.csv, which are returned."""
    found = load_wine(as_frame=True)
    frame = found.data.assign(cultivar=[["Barolo", "Grignolino", "Barbera"][c] for c in found.target])
    frame = frame.sample(frac=1, random_state=0).reset_index(drop=True)
    frame.insert(0, "bottle", [f"bottle {i}" for i in frame.index])
    frame[:150].to_csv(work / "wines.csv", index=False)
    frame[150:].drop(columns="cultivar").to_csv(work / "new.csv", index=False)
    (work / "wines.yaml").write_text(CONFIG)
    run("crossval", "--config", "wines.yaml")
    return frame[150:].reset_index(drop=True)


ASK = ("predict", "--ckpt_path", "runs/wines/crossval", "--data.predict", "new.csv", "--out")


def test_predictions_have_names_and_are_the_same_in_every_form(run: Run, work: Path, wines: pd.DataFrame) -> None:
    for name in ("p.csv", "p.parquet", "p.jsonl"):
        run(*ASK, name)
    found = pd.read_csv(work / "p.csv")
    assert found["id"].tolist() == wines["bottle"].tolist()
    assert found.columns.tolist() == ["id", "pred", *(f"prob_{name}" for name in NAMES)]
    prob = found[[f"prob_{name}" for name in NAMES]]
    assert found["pred"].tolist() == prob.idxmax(axis=1).str.removeprefix("prob_").tolist()
    assert (found["pred"] == wines["cultivar"]).mean() > 0.6
    pd.testing.assert_frame_equal(pd.read_parquet(work / "p.parquet"), found, check_dtype=False)
    lines = pd.DataFrame([json.loads(line) for line in (work / "p.jsonl").read_text().splitlines()])
    pd.testing.assert_frame_equal(lines, found, check_dtype=False)


def test_the_tables_of_a_run_have_numbers_and_names(wines: pd.DataFrame, work: Path) -> None:
    oof = pd.read_parquet(work / "runs/wines/crossval/oof.parquet")
    named = dict(enumerate(NAMES))
    assert oof["target_class"].tolist() == oof["target"].map(named).tolist()
    assert oof["pred_class"].tolist() == oof["pred"].map(named).tolist()
    summary = json.loads((work / "runs/wines/crossval/summary.json").read_text())
    assert summary["classes"] == NAMES


def test_no_file_is_replaced_unasked(
    run: Run, work: Path, wines: pd.DataFrame, capsys: pytest.CaptureFixture[str]
) -> None:
    (work / "mine.csv").write_text("mine\n")
    refused(capsys, [*ASK, "mine.csv"], "--out: mine.csv is there already", "--overwrite true")
    refused(capsys, [*ASK, "mine.txt"], "--out: mine.txt ends in none of .csv, .parquet, .jsonl")
    refused(capsys, [*ASK, "nowhere/mine.csv"], "--out: no folder nowhere")
    assert (work / "mine.csv").read_text() == "mine\n"
    run(*ASK, "mine.csv", "--overwrite", "true")
    assert len(pd.read_csv(work / "mine.csv")) == len(wines)
