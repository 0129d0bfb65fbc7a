"""Claims about manifests of splits over time: what reads one knows that its folds follow each other."""

from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from lightning_base.splitters.manifest import read_manifest
from tests.helpers import crossval, read_json, run_in

TIMED = {"class_path": "sklearn.model_selection.TimeSeriesSplit", "init_args": {"n_splits": 3}}


def config(split: object, **data: object) -> str:
    network = {"class_path": "models.mlp.MLP", "init_args": {"num_outputs": 1, "hidden": [4]}}
    table = {"path": "table.csv", "target": "y", "ids": "id", "columns": ["a"], "split": split}
    return yaml.safe_dump(
        {
            "trainer": {"max_epochs": 1, "accelerator": "cpu", "logger": False, "enable_progress_bar": False},
            "audit": "off",
            "model": {"class_path": "lightning_base.tasks.Regression", "init_args": {"network": network}},
            "data": {"class_path": "datamodules.table.Table", "init_args": table | data},
        }
    )


def test_a_run_by_the_manifest_of_a_split_over_time_gives_the_same_intervals(work: Path) -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"id": [f"r{i:03d}" for i in range(90)], "a": rng.normal(size=90), "day": range(90)})
    frame.assign(y=frame["a"] * 2 + rng.normal(size=90)).to_csv("table.csv", index=False)
    Path("first.yaml").write_text(config(TIMED, time="day"))
    run_in(work, "crossval", "--config", "first.yaml", "--name", "first")
    manifest = {"path": str(crossval("first") / "split.parquet"), "same_content": False}
    split = {"class_path": "lightning_base.splitters.Manifest", "init_args": manifest}
    Path("second.yaml").write_text(config(split))  # no data.time here: the manifest alone knows
    run_in(work, "crossval", "--config", "second.yaml", "--name", "second")
    first, second = (read_json(crossval(name) / "summary.json") for name in ("first", "second"))
    assert first["metrics"]["mse"]["folds"] == second["metrics"]["mse"]["folds"]
    for metric, one in first["metrics"].items():
        assert second["metrics"][metric]["ci95"] == one["ci95"] == [None, None], metric
    told = read_manifest(crossval("second") / "split.parquet")[1]
    assert told["traits"] == "temporal"
