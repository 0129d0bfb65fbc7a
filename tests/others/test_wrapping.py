"""A configuration names a LightningModule and a Dataset of somebody else's by class path, as it does ours."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from sklearn.metrics import cohen_kappa_score

from lightning_base.cli.entry import main
from tests.helpers import CONFIGS, Run, read_json

MODEL = {
    "class_path": "tests.others.plain.Net",
    "init_args": {"width": 16},
    "metrics": [{"class_path": "torchmetrics.classification.MulticlassCohenKappa", "init_args": {"num_classes": 10}}],
}
DATA = {
    "class_path": "tests.others.plain.Noisy",
    "init_args": {"n": 120},
    "split": {"class_path": "sklearn.model_selection.KFold", "init_args": {"n_splits": 2}},
    "test_size": 0.2,
    "batch_size": 16,
}


def written(path: Path, model: object = MODEL, data: object = DATA) -> str:
    trainer = {"max_epochs": 1, "accelerator": "cpu", "logger": False}
    path.write_text(yaml.safe_dump({"name": "theirs", "trainer": trainer, "model": model, "data": data}))
    return str(path)


def test_the_verbs_serve_it(work: Path, run: Run) -> None:
    file = written(work / "theirs.yaml")
    run("crossval", "--config", file)
    oof = pd.read_parquet("runs/theirs/crossval/oof.parquet")
    folds = [cohen_kappa_score(part["target"], part["pred"]) for _, part in oof.groupby("fold")]
    summary = read_json(Path("runs/theirs/crossval/summary.json"))
    assert summary["metrics"]["cohen_kappa"]["folds"] == pytest.approx(folds, abs=1e-5)
    assert summary["n"] == 96
    run("test", "--ckpt_path", "runs/theirs/crossval")
    assert read_json(Path("runs/theirs/crossval/test.json"))["n"] == 24
    run("fit", "--config", file, "--name", "one", "--data.test_size", "null")
    run("validate", "--ckpt_path", "runs/one/fit/version_0")
    run("audit", "--config", file)
    run("prepare", "--config", file, "--name", "other")


def test_options_and_overlays_reach_the_class_as_its_file_writes_them(work: Path, run: Run) -> None:
    file, overlay = written(work / "theirs.yaml"), work / "overlay.yaml"
    overlay.write_text(
        yaml.safe_dump({"model": {"init_args": {"dropout": 0.5}}, "data": {"init_args": {"batch_size": 8}}})
    )
    base = ("crossval", "--config", file, "--config", str(overlay))
    run(*base, "--name", "a", "--model.init_args.width", 8, "--data.init_args.n", 100)
    run(*base, "--name", "b", "--model.width=8", "--data.n=100")
    run(*base, "--name", "c", "--model.module.width", 8, "--data.items.n", 100, "--data.batch_size", 16)
    found = [yaml.safe_load(Path(f"runs/{name}/crossval/config.yaml").read_text()) for name in "abc"]
    for one in found:
        assert one["model"]["init_args"]["module"]["init_args"] == {"width": 8, "dropout": 0.5}
        assert one["data"]["init_args"]["items"]["init_args"]["n"] == 100
    assert [one["data"]["init_args"]["batch_size"] for one in found] == [8, 8, 16]


@pytest.mark.parametrize(
    ("model", "data", "said"),
    [
        (MODEL | {"init_args": {"widht": 3}}, DATA, "'widht'"),
        (MODEL, DATA | {"init_args": {"m": 3}}, "Noisy has no option 'm'"),
        (MODEL, DATA | {"batch_sizes": 3}, "AnyDataset has no option 'batch_sizes'"),
        (MODEL | {"class_path": "tests.others.plain.Nets"}, DATA, "did you mean 'Net'"),
    ],
)
def test_a_mistake_is_one_line(
    work: Path, capsys: pytest.CaptureFixture[str], model: object, data: object, said: str
) -> None:
    assert main(["crossval", "--config", written(work / "wrong.yaml", model, data)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.strip().splitlines()) == 1
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("--model.freeze", "[layers]"),
        ("--config", str(CONFIGS / "habits" / "warmup_cosine.yaml")),
        ("--model.loss", "torch.nn.HuberLoss"),
    ],
)
def test_what_a_module_of_ones_own_does_itself_is_said_of_it(
    work: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    assert main(["crossval", "--config", written(work / "theirs.yaml"), *words]) == 2
    error = capsys.readouterr().err
    assert "tests.others.plain.Net has no option" in error
    assert "your own LightningModule" in error
    assert len(error.strip().splitlines()) == 1
