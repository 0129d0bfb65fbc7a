"""Claims about first weights: where they come from, what of them fits, and that no held-out sample has taught them."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

import lightning_base as lb
from lightning_base.errors import ConfigError
from lightning_base.tasks import Classification, InitFrom
from models.cnn import CNN
from tests.helpers import CONFIGS, Run, crossval, read_json, refused, run_in, weights

BASE = (
    *("--config", CONFIGS / "digits_cnn.yaml", "--trainer.max_epochs", 1, "--model.network.widths", "[8]"),
    *("--audit", "off", "--trainer.logger", "false", "--threads", 1, "--data.split.n_splits", 3),
)
FIRST = "runs/digits_cnn/crossval"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished cross-validation of three folds and its refit."""
    folder = tmp_path_factory.mktemp("source")
    run_in(folder, "crossval", *BASE, "--refit", "true")
    return folder


@pytest.fixture
def there(source: Path, work: Path) -> Path:
    """The working directory, which has that cross-validation."""
    shutil.copytree(source / "runs", work / "runs")
    return work


def digits(path: str, rows: Any, classes: Any = range(10), ids: Any = None, brighter: float = 0.0) -> str:
    """These of scikit-learn's digits as an .npz."""
    data = load_digits()
    rows = np.asarray(rows)[np.isin(data.target[rows], list(classes))]
    x = (data.images[rows][:, None] + brighter).astype(np.float32)
    names = np.array([f"{row:04d}" if ids is None else f"{ids}{row}" for row in rows])
    np.savez(path, x=x, y=np.searchsorted(list(classes), data.target[rows]), id=names, classes=[*map(str, classes)])
    return path


def of(path: str, name: str, *more: object) -> tuple[object, ...]:
    return ("crossval", *BASE, "--data.source", path, "--data.test_size", "null", "--name", name, *more)


def test_a_fold_begins_with_the_same_fold_s_weights_and_frozen_ones_stay_so(there: Path, run: Run) -> None:
    run(
        *("crossval", *BASE, "--name", "tuned", "--model.init_from", FIRST, "--model.freeze", "stages"),
        *("--model.l1", 0.1, "--model.l2", 0.1, "--model.optimizer", "torch.optim.AdamW"),
        *("--model.optimizer.weight_decay", 0.5),
    )
    for k in range(3):
        before, after = (weights(crossval(name) / f"fold_{k}") for name in ("digits_cnn", "tuned"))
        assert "network.stages.1.running_mean" in before
        for name, value in before.items():
            assert torch.equal(value, after[name]) == name.startswith("network.stages"), name
        report = read_json(crossval("tuned") / f"fold_{k}" / "initial_weights.json")
        assert report["loaded"] == {name.removeprefix("network."): name for name in before}
        assert not report["left"]
        assert not report["unused"]


def test_another_fold_the_whole_pool_and_another_split_are_refused(
    there: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = ("crossval", *BASE, "--name", "leak")
    known = ("trained on 479 of the 479 samples that fold 0 holds out", "no estimate")
    refused(capsys, [*again, "--model.init_from.path", FIRST, "--model.init_from.fold", 1], *known)
    whole = f"{FIRST}/refit/checkpoints/last.ckpt"
    refused(capsys, [*again, "--model.init_from", whole], *known)
    refused(capsys, [*again, "--model.init_from", f"{FIRST}/fold_0"], "that fold 1 holds out")  # fold 0 itself may
    refused(capsys, [*again, "--model.init_from", FIRST, "--seed_everything", 1], "no fold", "model.init_from.fold")
    inner = ("--search.inner", "sklearn.model_selection.KFold", "--search.metric", "accuracy")
    grid = ("--search.grid", '{"model.lr_scale": [null, {"stages": 0.1}]}')
    refused(
        capsys,
        [*again, "--model.init_from", f"{FIRST}/fold_0", "--folds", "[0]", *inner, *grid],
        "samples that search.inner holds out",
    )
    assert not crossval("leak").exists()


def test_a_sealed_test_sample_must_not_have_been_trained_on(there: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = ("--data.test_seed", 5)  # seals others: some of them trained the source, and some of its sealed ones train
    options = ("crossval", *BASE, *other, "--name", "leak", "--model.init_from.path", FIRST)
    refused(capsys, [*options, "--model.init_from.fold", 0], "was trained on", "samples that fold 0 holds out")


def test_samples_are_told_by_content_where_ids_are_others(
    work: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*of(digits("a.npz", range(600)), "a", "--folds", "[0]"))
    begin = ("--model.init_from", "runs/a/crossval/fold_0")
    digits("renamed.npz", range(500), ids="z")
    refused(capsys, of("renamed.npz", "b", *begin), "samples that fold 0 holds out, first 'z", "no estimate")
    run(*of(digits("new.npz", range(600, 1100), ids="z"), "b", *begin))


def test_the_same_ids_of_other_data_are_refused_until_it_is_said_that_they_are_others(
    work: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run(*of(digits("a.npz", range(600)), "a", "--folds", "[0]"))
    digits("b.npz", range(600), brighter=1.0)
    begin = ("--model.init_from.path", "runs/a/crossval/fold_0")
    refused(capsys, of("b.npz", "b", *begin), "by their ids", "model.init_from.other_data: true")
    run(*of("b.npz", "b", *begin, "--model.init_from.other_data", "true"))


def test_what_the_first_weights_were_trained_on_is_known_of_those_that_follow(
    work: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """b, of other samples, begins with a fold of a: of a's samples fold 0 alone holds out what neither has seen."""
    run(*of(digits("a.npz", range(600)), "a", "--folds", "[0]"))
    digits("b.npz", range(600, 1200))
    run(*of("b.npz", "b", "--model.init_from", "runs/a/crossval/fold_0", "--folds", "[0]"))
    refused(
        capsys, of("a.npz", "c", "--model.init_from", "runs/b/crossval/fold_0"), "200 samples that fold 1 holds out"
    )
    capsys.readouterr()
    run("predict", "--ckpt_path", "runs/b/crossval/fold_0/checkpoints/last.ckpt", "--data.predict", "a.npz")
    assert "400 of 600 samples have the content of samples that the model was trained on" in capsys.readouterr().out


def test_a_head_of_another_size_begins_anew_and_the_rest_is_loaded(
    work: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    digits("low.npz", range(1797), classes=range(4))
    digits("high.npz", range(1797), classes=range(4, 10))
    run(*of("low.npz", "low", "--model.network.num_outputs", 4, "--folds", "[0]"))
    capsys.readouterr()
    run(
        *of("high.npz", "high", "--model.network.num_outputs", 6, "--folds", "[0]", "--model.freeze", "stages"),
        *("--model.init_from", "runs/low/crossval/fold_0"),
    )
    assert "12 of 14 tensors loaded; as it was: head.3; not used: network.head.3" in capsys.readouterr().out
    report = read_json(crossval("high") / "fold_0" / "initial_weights.json")
    assert report["left"]["head.3.bias"] == "(4,) in the source, (6,) here"
    low, high = (weights(crossval(name) / "fold_0") for name in ("low", "high"))
    assert all(torch.equal(low[name], high[name]) for name in low if ".stages." in name)


def test_weights_of_elsewhere_are_loaded_by_name_and_it_is_said_that_nothing_is_known_of_them(
    work: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    network = CNN(1, 10, widths=[8])
    held = network.state_dict()
    torch.save({"state_dict": {f"module.trunk.{name[7:]}": held[name] for name in held if "stages" in name}}, "net.pt")
    begin = ("--model.init_from", '{"path": "net.pt", "rename": {"trunk": "stages"}}', "--model.freeze", "stages")
    run("crossval", *BASE, "--folds", "[0]", *begin)
    said = " ".join(capsys.readouterr().out.split())
    assert "12 of them renamed (module.trunk.0.weight is stages.0.weight); as it was: head.3" in said
    assert "cannot be known" in said
    after = weights(crossval("digits_cnn") / "fold_0")
    for name, value in held.items():
        assert torch.equal(value, after[f"network.{name}"]) == name.startswith("stages"), name


def broken(held: dict[str, Tensor], how: str) -> dict[str, Tensor]:
    held = dict(held)
    if how == "gap":
        del held["stages.4.weight"]
    elif how == "shape":
        held["stages.3.weight"] = torch.zeros(8, 4, 3, 3)
    elif how == "nan":
        held["stages.0.weight"] = held["stages.0.weight"] * torch.nan
    elif how == "foreign":
        held = {f"x.{name}": value for name, value in held.items()}
    return held


@pytest.mark.parametrize(
    ("how", "parts"),
    [
        ("gap", ("stages.4.weight would stay as it was: not in the source", "model.init_from.strict: false")),
        ("shape", ("stages.3.weight would stay as it was: (8, 4, 3, 3) in the source, (8, 8, 3, 3) here",)),
        ("nan", ("stages.0.weight in the source is not finite",)),
        ("foreign", ("none of the source's 14 tensors fits CNN", "model.init_from.rename")),
    ],
)
def test_weights_that_do_not_fit_are_refused_before_anything_is_written(
    how: str, parts: tuple[str, ...], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(broken(CNN(1, 10, widths=[8]).state_dict(), how), "net.pt")
    refused(capsys, ["crossval", *BASE, "--model.init_from", "net.pt"], *parts)
    assert not Path("runs").exists()


def test_a_name_that_is_not_there_and_a_file_that_is_none_are_told(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(CNN(1, 10, widths=[8]).state_dict(), "net.pt")
    Path("bad.safetensors").write_bytes(b"\xff\xfe nothing")
    torch.save(CNN(1, 10, widths=[8]), "pickled.pt")
    for given, parts in (
        ('{"path": "net.pt", "rename": {"stage": "stages"}}', ("'stage'", "did you mean 'stages'?")),
        ('{"path": "net.pt", "new": ["heat"]}', ("model.init_from.new: 'heat'", "did you mean 'head'?")),
        ("nett.pt", ("nett.pt is not there", "did you mean 'net.pt'?")),
        ("bad.safetensors", ("bad.safetensors cannot be read as weights alone",)),
        ("pickled.pt", ("pickled.pt",)),
    ):
        refused(capsys, ["crossval", *BASE, "--model.init_from", given], *parts)


def test_a_run_goes_on_with_the_same_weights_alone_wherever_they_stand(
    work: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    torch.save(CNN(1, 10, widths=[8]).state_dict(), "net.pt")
    options = ("crossval", *BASE, "--model.init_from")
    run(*options, "net.pt", "--folds", "[0]")
    shutil.copy("net.pt", "moved.pt")
    run(*options, "moved.pt", "--folds", "[1]")
    torch.manual_seed(1)
    torch.save(CNN(1, 10, widths=[8]).state_dict(), "net.pt")
    refused(capsys, [*options, "net.pt"], "weights that model.init_from names are others")
    refused(capsys, [*options, "null"], "holds another experiment")
    Path("net.pt").unlink()
    run(
        "test",
        "--config",
        crossval("digits_cnn") / "config.yaml",
        "--ckpt_path",
        crossval("digits_cnn") / "fold_0/checkpoints/last.ckpt",
    )


def test_a_refit_begins_with_a_refit(there: Path, run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("crossval", *BASE, "--name", "tuned", "--model.init_from", FIRST, "--model.freeze", "stages", "--refit", "true")
    before, after = (weights(crossval(name) / "refit") for name in ("digits_cnn", "tuned"))
    assert all(torch.equal(before[name], after[name]) for name in before if ".stages." in name)


def test_folds_at_once_begin_as_those_one_after_another(work: Path, run: Run) -> None:
    base = ("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", "--trainer.max_epochs", 1, "--audit", "off")
    base = (*base, "--trainer.logger", "false", "--threads", 1, "--model.init", "orthogonal")
    run(*base)
    run(*base, "--name", "stacked", "--executor", "vectorized")
    for k in (0, 7):
        one, other = (weights(crossval(name) / f"fold_{k}") for name in ("breast_cancer_mlp", "stacked"))
        for name, value in one.items():
            torch.testing.assert_close(other[name], value, rtol=1e-4, atol=1e-5)


def test_from_python_too(work: Path) -> None:
    data = load_digits()
    x, y = data.images[:, None].astype(np.float32), data.target

    def task(init_from: Any = None) -> Classification:
        return Classification(
            nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10)), init_from=init_from
        )

    options: dict[str, Any] = {"x": x, "y": y, "trainer": {"max_epochs": 1, "logger": False}, "audit": "off"}
    first = lb.crossval(task=task, name="first", **options)
    second = lb.crossval(task=lambda: task(first.directory), name="second", **options)
    assert (second.directory / "fold_0" / "initial_weights.json").is_file()
    with pytest.raises(ConfigError, match="holds out"):
        lb.crossval(task=lambda: task(InitFrom(str(first.directory), fold=2)), name="third", **options)
