"""Claims about the command line: it is light, its options are LightningCLI's, and a mistake is one line."""

from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from lightning_base import __version__
from lightning_base.cli.entry import VERBS
from tests.helpers import CONFIGS, Run, crossval, refused, run_without

DIGITS = str(CONFIGS / "digits_cnn.yaml")


@pytest.mark.parametrize("argument", ["--help", "--version"])
def test_help_and_version_do_not_import_torch(argument: str) -> None:
    done = run_without(("torch", "numpy", "pandas", "jsonargparse"), argument)
    assert done.returncode == 0
    assert (__version__ if argument == "--version" else "crossval") in done.stdout


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_prints_the_configuration_and_its_help(
    verb: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run(verb, "--config", DIGITS, "--data.batch_size", 17, "--print_config")
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["data"]["init_args"]["batch_size"] == 17
    assert printed["model"]["init_args"]["network"]["class_path"] == "models.cnn.CNN"
    run(verb, "--help")
    assert "--trainer.max_epochs" in capsys.readouterr().out


def test_later_configs_overlay_earlier_ones(run: Run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("overlay.yaml").write_text(
        "trainer: {max_epochs: 3}\ndata: {init_args: {split: {init_args: {n_splits: 7}}}}\n"
    )
    run("crossval", "--config", DIGITS, "--config", "overlay.yaml", "--trainer.max_steps", 9, "--print_config")
    printed = yaml.safe_load(capsys.readouterr().out)
    assert (printed["trainer"]["max_epochs"], printed["trainer"]["max_steps"]) == (3, 9)
    assert printed["data"]["init_args"]["split"]["init_args"] == {
        "n_splits": 7,
        "shuffle": True,
        "random_state": None,
    }


def test_the_saved_config_repeats_the_run(run: Run, work: Path) -> None:
    run("crossval", "--config", CONFIGS / "linear_regression_gd.yaml", "--trainer.max_epochs", 2)
    directory = crossval("linear_regression_gd", work)
    first = (directory / "fold_4" / "predictions.parquet").read_bytes()
    (directory / "fold_4" / "result.json").unlink()
    run("crossval", "--config", directory / "config.yaml")
    assert (directory / "fold_4" / "predictions.parquet").read_bytes() == first
    assert yaml.safe_load((directory / "config.yaml").read_text())["data"]["init_args"]["batch_size"] is None


SWAPS = {
    "a mistyped argument": ("dropout: 0.2", "dropuot: 0.2", "model.network.dropuot", "did you mean 'dropout'"),
    "a mistyped key": ("data:", "dat:", "dat: no such key", "did you mean 'data'"),
    "a class that does not exist": ("cnn.CNN", "cnn.CNNN", "models.cnn has no class 'CNNN'", "did you mean 'CNN'"),
    "a module that does not exist": ("models.cnn", "modelz.cnn", "no module 'modelz'", "class_path"),
    "a class of the wrong type": ("models.cnn.CNN", "torch.optim.SGD", "torch.optim.SGD is not a Module", "name a"),
    "a value of the wrong type": ("lr: 0.002", "lr: fast", "model.optimizer.lr: Expected a float", "got fast"),
    "broken YAML": ("widths: [32, 64]", "widths: [32, 64", "not valid YAML", "bad.yaml"),
}


@pytest.mark.parametrize("case", SWAPS)
def test_a_mistake_in_the_file_is_one_line_that_names_key_file_and_mend(
    case: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    old, new, named, mend = SWAPS[case]
    text = (CONFIGS / "digits_cnn.yaml").read_text().replace(old, new)
    Path("bad.yaml").write_text(text)
    refused(capsys, ["crossval", "--config", "bad.yaml"], named, mend, "bad.yaml")
    assert sorted(p.name for p in work.iterdir()) == ["bad.yaml"]


OPTIONS = {
    "no such file": (["--config", "nope.yaml"], "nope.yaml", "give the path"),
    "no config": ([], "data: missing", "give --config"),
    "a file without --config": ([DIGITS], "stands alone", f"did you mean --config {DIGITS}?"),
    "an unknown option": (
        ["--config", DIGITS, "--trainer.max_epoch", "3"],
        "trainer.max_epoch:",
        "'trainer.max_epochs'",
    ),
    "an unknown data set": (["--config", DIGITS, "--data.source", "digit"], "data.source", "did you mean 'digits'"),
    "too few outputs": (
        ["--config", DIGITS, "--model.network.num_outputs", "9"],
        "model.network",
        "set model.network.num_outputs to 10",
    ),
    "too many channels": (
        ["--config", DIGITS, "--model.network.in_channels", "3"],
        "model.network: CNN",
        "does not fit",
    ),
    "no groups": (["--config", DIGITS, "--data.split", "sklearn.model_selection.GroupKFold"], "data.split", "group"),
    "one fold": (["--config", DIGITS, "--data.split.n_splits", "1"], "n_splits=2 or more", "n_splits=1"),
    "more folds than samples": (["--config", DIGITS, "--data.split.n_splits", "900"], "data.split", "cannot split"),
    "a class smaller than the folds": (["--config", DIGITS, "--data.split.n_splits", "142"], "class '", "fewer folds"),
    "a fold that is not": (["--config", DIGITS, "--folds", "[5]"], "fold 5 does not exist", "0 to 4"),
    "a negative rate": (["--config", DIGITS, "--model.optimizer.lr", "-1"], "model.optimizer", "learning rate"),
    "a negative penalty": (["--config", DIGITS, "--model.l1", "-1"], "model.l1", "0 or more"),
    "an empty batch": (["--config", DIGITS, "--data.batch_size", "0"], "data.batch_size", "positive"),
    "an absent accelerator": (["--config", DIGITS, "--trainer.accelerator", "tpu"], "trainer: ", "torch_xla"),
    "a regression of classes": (
        ["--config", DIGITS, "--model", "lightning_base.tasks.Regression"],
        "classes",
        "tasks.Classification",
    ),
    "a name that is a path": (["--config", DIGITS, "--name", "../up"], "name", "folder"),
    "three weights": (["--config", DIGITS, "--model.class_weights", "[1, 2, 3]"], "class_weights", "10 classes"),
}


@pytest.mark.parametrize("case", OPTIONS)
def test_a_mistake_in_the_options_is_one_line_and_writes_nothing(
    case: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options, named, mend = OPTIONS[case]
    refused(capsys, ["crossval", *options], named, mend)
    assert list(work.iterdir()) == []


def test_an_unknown_verb_is_answered_with_the_verbs(capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, ["croscal"], "croscal", "did you mean 'crossval'")


@pytest.mark.parametrize("verb", ["test", "predict", "validate"])
def test_a_verb_that_reads_a_run_asks_for_one(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [verb], "--ckpt_path: missing", "runs/NAME/crossval")


@pytest.mark.parametrize("verb", ["test", "predict", "validate"])
def test_what_is_no_checkpoint_is_refused(verb: str, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [verb, "--config", DIGITS], verb, "--ckpt_path")
    refused(capsys, [verb, "--config", DIGITS, "--ckpt_path", "no.ckpt"], "no.ckpt", "--ckpt_path")
    Path("text.ckpt").write_text("text")
    refused(capsys, [verb, "--config", DIGITS, "--ckpt_path", "text.ckpt"], "text.ckpt", "checkpoint")
    torch.save({"evil": Evil()}, "evil.ckpt")
    refused(capsys, [verb, "--config", DIGITS, "--ckpt_path", "evil.ckpt"], "evil.ckpt", "loaded")


class Evil:
    """An object that only an unsafe load would make."""


def test_an_unfinished_crossval_is_no_ensemble(run: Run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("crossval", "--config", DIGITS, "--trainer.max_epochs", 1, "--folds", "[0]", "--model.network.widths", "[4]")
    unfinished = ["test", "--ckpt_path", crossval("digits_cnn")]
    refused(capsys, unfinished, "no finished crossval directory", "run crossval to its end")


def test_a_checkpoint_of_another_split_is_refused(run: Run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--config", DIGITS, "--trainer.max_epochs", 1, "--model.network.widths", "[4]")
    run("fit", *options, "--trainer.enable_progress_bar", "false")
    checkpoint = "runs/digits_cnn/fit/version_0/checkpoints/last.ckpt"
    other = ["validate", "--ckpt_path", checkpoint, "--seed_everything", 5]
    refused(capsys, other, "split", "held-out samples would have been trained on")


@pytest.mark.slow
def test_fit_numbers_its_runs_and_leaves_what_a_fold_leaves(run: Run, work: Path) -> None:
    for n in range(2):
        run("fit", "--config", DIGITS, "--trainer.max_epochs", 1, "--trainer.enable_progress_bar", "false")
        left = {p.name for p in (work / "runs" / "digits_cnn" / "fit" / f"version_{n}").iterdir()}
        assert left >= {"config.yaml", "split.parquet", "predictions.parquet", "result.json", "metrics.csv"}


def test_a_target_out_of_range_names_its_row(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y = np.arange(20) % 3
    y[13] = 7
    np.savez("bad.npz", x=np.ones((20, 4)), y=y, classes=["a", "b", "c"])
    options = ["--config", DIGITS, "--data.source", "bad.npz", "--data.test_size", "null"]
    refused(capsys, ["crossval", *options], "bad.npz: row '13' has target 7", "out of range for 3 classes")
    assert [p.name for p in work.iterdir()] == ["bad.npz"]
