"""Claims about several processes: they train, score, predict and resume as one does, whatever the strategy."""

import json
import re
import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from torch import nn

from lightning_base.cli.entry import main
from lightning_base.distributed.strategies import blocks
from models.resnet import ResNet
from models.transformer import Transformer
from tests.helpers import CONFIGS, assert_same_weights, checkpoint, crossval, read_json, refused, shared
from tests.support.forks import Forks

STRATEGY = CONFIGS / "strategy"
RUN = Path("runs") / "rt_polarity_transformer"


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """An experiment of 293 sentences without dropout: class weights, augmentation, clipping, a ragged last batch."""
    source, folder = shared("rt-polarity"), tmp_path_factory.mktemp("texts")
    for c, n in (("neg", 150), ("pos", 143)):
        lines = (source / f"rt-polarity.{c}").read_bytes().splitlines(keepends=True)
        (folder / c).write_bytes(b"".join(lines[:n]))
    return [
        *("--config", CONFIGS / "rt_polarity_transformer.yaml", "--audit", "off", "--model.network.dropout", 0),
        *("--data.files", json.dumps({c: str(folder / c) for c in ("neg", "pos")}), "--data.batch_size", 36),
        *("--data.clean.near_duplicate", "keep", "--data.augment+", "lightning_base.augment.TokenDropout"),
        *("--model.class_weights", "balanced", "--trainer.max_epochs", 3, "--trainer.gradient_clip_val", 0.5),
        *("--trainer.logger", "false", "--trainer.callbacks+", "tests.support.kills.Kill"),
    ]


def train(forks: Forks, directory: Path, options: list[Any], ranks: int, overlay: str | None, *more: Any) -> Path:
    """Runs fold 0; its directory."""
    directory.mkdir(exist_ok=True)
    overlays = () if overlay is None else ("--config", STRATEGY / f"{overlay}.yaml")
    cpu = ("--trainer.accelerator", "cpu", "--trainer.devices", ranks)
    status = forks(directory, "crossval", *options, *overlays, *cpu, "--folds", "[0]", *more, ranks=ranks)
    assert status == [0] * ranks, (directory / "log").read_text()
    return directory / RUN / "crossval" / "fold_0"


@pytest.fixture(scope="module")
def alone(forks: Forks, options: list[Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fold that one process has trained."""
    return train(forks, tmp_path_factory.mktemp("alone"), options, 1, None)


CASES = {
    "ddp on 2": (2, "ddp", (), 1e-5),
    "ddp on 4": (4, "ddp", (), 2e-5),  # Adam makes much of what rounding leaves of a gradient near 0
    "fsdp on 2": (2, "fsdp", ("--trainer.strategy.activation_checkpointing", "true"), 1e-5),
    "fsdp on 2 by tensor parallelism on 2": (4, "fsdp_tp", (), 2e-5),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_processes_train_as_one_does(name: str, forks: Forks, options: list[Any], alone: Path, tmp_path: Path) -> None:
    ranks, overlay, more, tolerance = CASES[name]
    fold = train(forks, tmp_path, options, ranks, overlay, *more)
    assert checkpoint(fold)["global_step"] == checkpoint(alone)["global_step"] == 18
    assert_same_weights(fold, alone, atol=tolerance)
    logs = [pd.read_csv(directory / "metrics.csv") for directory in (fold, alone)]
    pd.testing.assert_frame_equal(logs[0], logs[1], atol=1e-4, rtol=0)
    predicted = [pd.read_parquet(directory / "predictions.parquet") for directory in (fold, alone)]
    pd.testing.assert_frame_equal(predicted[0], predicted[1], atol=1e-4, rtol=0)
    if overlay == "fsdp_tp":  # one process takes the checkpoint of four
        command = ("test", *options, "--trainer.accelerator", "cpu", "--ckpt_path")
        for one in (fold, alone):
            assert forks(tmp_path, *command, one / "checkpoints" / "last.ckpt") == [0], (tmp_path / "log").read_text()
        tested = [pd.read_parquet(one / "test.parquet") for one in (fold, alone)]
        pd.testing.assert_frame_equal(tested[0], tested[1], atol=1e-4, rtol=0)


@pytest.mark.slow
def test_a_killed_sharded_run_resumes_bit_identical(forks: Forks, options: list[Any], tmp_path: Path) -> None:
    short = [*options, "--trainer.max_epochs", 2, "--trainer.precision", "bf16-mixed"]
    whole = train(forks, tmp_path / "whole", short, 2, "fsdp")
    (tmp_path / "killed").mkdir()
    command = ("crossval", *short, "--config", STRATEGY / "fsdp.yaml", "--trainer.accelerator", "cpu")
    killed = forks(
        tmp_path / "killed", *command, "--trainer.devices", 2, "--folds", "[0]", ranks=2, KILL="1:8:backward"
    )
    assert -9 in killed
    again = train(forks, tmp_path / "killed", short, 2, "fsdp")
    assert checkpoint(again)["global_step"] == checkpoint(whole)["global_step"] == 12
    assert_same_weights(again, whole)
    assert (again / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()


@pytest.mark.slow
def test_any_number_of_processes_evaluates_each_sample_once(
    forks: Forks, options: list[Any], alone: Path, tmp_path: Path
) -> None:
    lines = shared("rt-polarity").joinpath("rt-polarity.pos").read_bytes().splitlines(keepends=True)
    tables: dict[str, list[pd.DataFrame]] = {"test": [], "predict": []}
    for ranks in (1, 2, 3, 4):
        home = tmp_path / str(ranks)
        shutil.copytree(alone / "checkpoints", home / "checkpoints")
        (home / "new.txt").write_bytes(b"".join(lines[500:503]))  # three texts: one process of four has none
        for verb in tables:
            status = forks(
                *(home, verb, *options, "--ckpt_path", home / "checkpoints" / "last.ckpt"),
                *("--data.eval_batch_size", 29, "--data.predict", home / "new.txt"),  # 30 test samples: 29 and 1
                *("--trainer.accelerator", "cpu", "--trainer.devices", ranks),
                *("--trainer.strategy", "ddp" if ranks > 1 else "auto"),
                ranks=ranks,
            )
            assert status == [0] * ranks, (home / "log").read_text()
            tables[verb].append(pd.read_parquet(home / f"{verb}.parquet"))
        assert [path.name for path in home.glob("*.parquet")].count("predict.parquet") == 1
    for verb, n in (("test", 30), ("predict", 3)):
        for table in tables[verb]:
            assert len(table) == n
            assert table["id"].is_unique
            pd.testing.assert_frame_equal(table, tables[verb][0], atol=1e-6, rtol=0)


def test_metrics_during_training_are_exact_where_a_process_has_no_sample(
    forks: Forks, options: list[Any], tmp_path: Path
) -> None:
    """Four processes validate on three samples, on digits and with every kind of metric."""
    split = ("--data.split", "sklearn.model_selection.ShuffleSplit", "--data.split.n_splits", 1)
    few = [*options, *split, "--data.split.test_size", 3, "--trainer.max_epochs", 1]
    fold = train(forks, tmp_path, few, 4, "ddp")
    log = pd.read_csv(fold / "metrics.csv").iloc[-1]
    predicted = pd.read_parquet(fold / "predictions.parquet")
    assert len(predicted) == 3
    right = predicted[["prob_0", "prob_1"]].to_numpy()[np.arange(3), predicted["target"]]
    assert log["val_accuracy"] == pytest.approx((predicted["pred"] == predicted["target"]).mean(), abs=1e-6)
    assert log["val_loss"] == pytest.approx(-np.log(right).mean(), abs=1e-5)


DIGITS = ("--config", CONFIGS / "digits_cnn.yaml", "--audit", "off", "--trainer.max_epochs", 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("overlay", "ranks", "more"),
    [
        ("cpu", 1, ("--trainer.precision", "bf16-true")),
        ("ddp_bf16", 2, ()),
        ("ddp", 2, ("--trainer.precision", "bf16-true", "--trainer.accumulate_grad_batches", 2)),
        ("fsdp", 2, ("--trainer.precision", "bf16-mixed")),
    ],
)
def test_an_overlay_trains_the_demo(overlay: str, ranks: int, more: tuple[Any, ...], forks: Forks, work: Path) -> None:
    status = forks(
        *(work, "crossval", *DIGITS, "--config", STRATEGY / f"{overlay}.yaml", *more, "--folds", "[0]"),
        *("--trainer.accelerator", "cpu", "--trainer.devices", ranks),
        ranks=ranks,
    )
    assert status == [0] * ranks, (work / "log").read_text()
    fold = work / "runs" / "digits_cnn" / "crossval" / "fold_0"
    assert read_json(fold / "result.json")["metrics"]["accuracy"] > 0.85
    scored = pd.read_parquet(fold / "predictions.parquet")
    checkpoint = fold / "checkpoints" / "last.ckpt"
    command = ("validate", *DIGITS, "--config", STRATEGY / f"{overlay}.yaml", *more, "--ckpt_path", checkpoint)
    cpu = ("--trainer.accelerator", "cpu", "--trainer.devices", ranks)
    assert forks(work, *command, *cpu, ranks=ranks) == [0] * ranks, (work / "log").read_text()
    accuracy = (scored["pred"] == scored["target"]).mean()
    assert re.search(rf"│ accuracy +│ {accuracy:.4f}", (work / "log").read_text())


@pytest.mark.slow
def test_oof_predictions_of_three_processes_are_those_of_one(forks: Forks, options: list[Any], tmp_path: Path) -> None:
    found = []
    for ranks, strategy in ((1, "auto"), (3, "ddp")):
        (tmp_path / strategy).mkdir()
        status = forks(
            *(tmp_path / strategy, "crossval", *options, "--data.split.n_splits", 2, "--trainer.max_epochs", 1),
            *("--trainer.accelerator", "cpu", "--trainer.devices", ranks, "--trainer.strategy", strategy),
            ranks=ranks,
        )
        assert status == [0] * ranks, (tmp_path / strategy / "log").read_text()
        directory = tmp_path / strategy / RUN / "crossval"
        oof = pd.read_parquet(directory / "oof.parquet")
        assert oof["id"].is_unique
        found.append((oof, read_json(directory / "summary.json")["metrics"]))
    pd.testing.assert_frame_equal(found[0][0], found[1][0], atol=1e-5, rtol=0)
    for name, metric in found[0][1].items():
        assert found[1][1][name]["folds"] == pytest.approx(metric["folds"], abs=1e-4), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--data.batch_size", 50, "--trainer.devices", 4), "data.batch_size: 50 is the size over all processes, and"),
        (("--data.batch_size", 50, "--trainer.devices", 4), "among 4; give 48 or 52"),
        (("--data.batch_size", 3, "--trainer.devices", 4), "among 4; give 4"),
        (("--trainer.sync_batchnorm", "true"), "trainer.sync_batchnorm: torch has none for CPUs"),
    ],
)
def test_what_cannot_be_divided_is_one_line(
    arguments: tuple[Any, ...], message: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("crossval", *DIGITS, "--trainer.strategy", "ddp", "--trainer.devices", 2, *arguments)
    refused(capsys, command, message)
    assert list(work.iterdir()) == []


@pytest.mark.parametrize(
    ("devices", "message"),
    [(3, "2 does not divide 3 processes"), (4, "CNN states no parallel_plan")],
)
def test_tensor_parallelism_that_cannot_be_is_one_line(
    devices: int, message: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ("crossval", *DIGITS, "--config", STRATEGY / "fsdp_tp.yaml", "--trainer.accelerator", "cpu")
    refused(capsys, [*command, "--trainer.devices", devices], message)


def test_the_blocks_of_a_network_are_sharded_each_by_itself() -> None:
    transformer = Transformer(100, 2, depth=3)
    assert list(blocks(transformer)) == list(transformer.blocks)
    found = list(blocks(ResNet(num_outputs=10)))
    names = {type(block).__name__ for block in found}
    assert "Sequential" not in names
    inside = [set(block.parameters()) for block in found]
    assert all(not one & other for one, other in pairwise(inside))
    assert list(blocks(nn.Linear(3, 2))) == []


@pytest.mark.slow
def test_a_program_may_spawn_the_processes(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ("crossval", *DIGITS, "--config", STRATEGY / "ddp_spawn.yaml", "--folds", "[0]")
    assert main([*map(str, command), "--trainer.accelerator", "cpu", "--trainer.devices", "2"]) == 0
    assert capsys.readouterr().out.count("fold 0 (1 of 5)") == 1
    fold = work / "runs" / "digits_cnn" / "crossval" / "fold_0"
    assert len(checkpoint(fold)["exact_resume"]["ranks"]) == 2
    assert pd.read_parquet(fold / "predictions.parquet")["id"].is_unique


@pytest.mark.slow
def test_compiled_code_trains_as_the_networks_own(forks: Forks, work: Path) -> None:
    command = (
        *("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", "--folds", "[0]", "--audit", "off"),
        *("--trainer.accelerator", "cpu", "--trainer.max_epochs", 2, "--data.drop_last", "true"),
        *("--model.network.hidden", "[8]", "--model.network.dropout", 0, "--trainer.limit_val_batches", 0),
    )
    for compiled in ("true", "false"):
        more = ("--name", compiled, "--model.compile", compiled)
        status = forks(work, *command, *more, TORCHINDUCTOR_CACHE_DIR=str(work / compiled))
        assert status == [0], (work / "log").read_text()
    assert any((work / "true").rglob("*.so"))
    assert_same_weights(*(crossval(compiled, work) / "fold_0" for compiled in ("true", "false")), atol=1e-5)
