"""Claims about targets far from zero: they stay as the file has them, and what no network resolves is refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mean_squared_error, r2_score

import lightning_base as lb
from datamodules.arrays import Arrays
from datamodules.table import Table
from lightning_base.data import BaseDataModule
from lightning_base.data.memory import Memory
from lightning_base.errors import DataError
from tests.helpers import CONFIGS, Run, crossval, read_json, refused

N = 200
REGRESSION = (
    *("--config", CONFIGS / "linear_regression_gd.yaml", "--data", "datamodules.table.Table", "--data.path", "t.csv"),
    *("--data.target", "y", "--model.network.num_inputs", 2, "--trainer.max_epochs", 2, "--trainer.logger", "false"),
    *("--data.split.n_splits", 3, "--audit", "off"),
)


def written(level: float, std: float, path: Path) -> pd.DataFrame:
    """A table whose target varies so around a level, written as t.csv, t.parquet and t.npz."""
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(N, 2)), columns=["a", "b"]).assign(y=level + std * rng.normal(size=N))
    frame.to_csv(path / "t.csv", index=False)
    frame.to_parquet(path / "t.parquet")
    np.savez(path / "t.npz", x=frame[["a", "b"]].to_numpy(), y=frame["y"].to_numpy())
    return frame


def sources(frame: pd.DataFrame, path: Path) -> dict[str, BaseDataModule]:
    return {
        "csv": Table(path=str(path / "t.csv"), target="y"),
        "parquet": Table(path=str(path / "t.parquet"), target="y"),
        "npz": Arrays(source=str(path / "t.npz")),
        "memory": Memory(x=frame[["a", "b"]].to_numpy(), y=frame["y"].to_numpy()),
        "frame": Memory(x=frame[["a", "b"]], y=frame["y"]),
    }


def test_targets_are_those_of_the_file_whatever_it_is(tmp_path: Path) -> None:
    frame = written(1e8, 3, tmp_path)
    for name, data in sources(frame, tmp_path).items():
        target = data.samples("pool").target
        assert target is not None
        np.testing.assert_array_equal(target, frame["y"].to_numpy(), err_msg=name)


def test_what_float32_holds_has_the_fingerprint_that_it_had(tmp_path: Path) -> None:
    frame = written(0, 1, tmp_path).assign(y=lambda t: t["y"].round(2).astype(np.float32).astype(np.float64))
    frame.to_parquet(tmp_path / "t.parquet")
    pool = Table(path=str(tmp_path / "t.parquet"), target="y").samples("pool")
    assert pool.table["target"].dtype == np.float32
    old = replace(pool, table=pool.table.assign(target=frame["y"].astype(np.float32).to_numpy()))
    assert pool.fingerprint == old.fingerprint


@pytest.mark.parametrize(("level", "std"), [(1e8, 3), (1e9, 3), (1e39, 1e38), (-1e6, 3)])
def test_a_target_that_float32_does_not_resolve_is_refused_with_the_offset(
    level: float, std: float, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = written(level, std, work)
    assert frame["y"].nunique() == N
    if abs(level) < 1e38:
        refused(capsys, ["crossval", *REGRESSION], f"t.csv: the target is about {level:.0f} and varies by")
        assert not (work / "runs").exists()
    with pytest.raises(DataError, match="subtract an offset"):
        lb.crossval(CONFIGS / "linear_regression_gd.yaml", overrides={"data.source": "t.npz", "audit": "off"})


def test_a_constant_target_is_refused(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(5, 1, work).assign(y=0.1).to_csv("t.csv", index=False)
    refused(capsys, ["crossval", *REGRESSION, "--data.task", "regression"], "all 200 targets are 0.1", "nothing to")


def test_scores_are_computed_against_the_files_targets(run: Run, work: Path) -> None:
    frame = written(1e4, 3, work)
    run("crossval", *REGRESSION)
    oof = pd.read_parquet(crossval("linear_regression_gd", work) / "oof.parquet")
    found = read_json(crossval("linear_regression_gd", work) / "summary.json")["metrics"]
    np.testing.assert_array_equal(oof["target"], frame["y"].to_numpy()[oof["id"].astype(int)])
    y, z = oof["target"], oof["pred"].astype(np.float64)
    assert found["mse"]["score"] == pytest.approx(mean_squared_error(y, z), rel=1e-12)
    assert found["r2"]["score"] == pytest.approx(r2_score(y, z), rel=1e-12)
    held = oof.groupby("fold")["target"]
    means = (held.transform("sum").rsub(y.sum())) / (N - held.transform("size"))
    assert found["mse"]["trivial"] == pytest.approx(mean_squared_error(y, means), rel=1e-9)
