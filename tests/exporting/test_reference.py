"""Claims about reference.json: it is of what trained and of what was held out, and use of the same kind is steady."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_digits

import lightning_base as lb
from lightning_base.exporting.reference import answers_of
from lightning_base.runtime.drift import Reference, Watch
from lightning_base.runtime.measured import answered
from lightning_base.runtime.model import load
from lightning_base.runtime.verdicts import CHANGED
from tests.helpers import CONFIGS, run_in

DIGITS = load_digits()
X = DIGITS.images[:, None].astype(np.uint8)
ORDER = np.random.default_rng(0).permutation(len(X))
OWN, NEW = ORDER[:1200], ORDER[1200:]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cross-validation of three folds and a fit on 1,200 digits, both exported."""
    work = tmp_path_factory.mktemp("reference")
    np.savez(work / "pool.npz", x=X[OWN], y=DIGITS.target[OWN])
    options = (
        *("--config", CONFIGS / "digits_cnn.yaml", "--data.source", work / "pool.npz", "--data.test_size", "null"),
        *("--trainer.max_epochs", 6, "--data.split.n_splits", 3, "--name", "digits", "--audit", "off"),
    )
    for verb in ("crossval", "fit"):
        run_in(work, verb, *options)
    for run, out in (("crossval", "ensemble"), ("fit/version_0", "single")):
        run_in(work, "export", f"runs/digits/{run}", "--out", out, "--samples", 10)
    return work


def watched(folder: Path, x: np.ndarray) -> tuple[Reference, Watch]:
    """A folder's reference, and a watch on what its model answers to images."""
    model, reference = load(folder), Reference.read(json.loads((folder / "reference.json").read_text()))
    watch, (name,) = Watch(reference), model.kinds
    items = [model.read({name: one.tolist()}) for one in x]
    for start in range(0, len(items), 50):
        watch.take(items[start : start + 50], model.run(items[start : start + 50]))
    return reference, watch


def test_inputs_are_those_that_trained_and_predictions_those_that_were_held_out(home: Path) -> None:
    reference, _ = watched(home / "ensemble", X[NEW[:1]])
    oof = pd.read_parquet(home / "runs/digits/crossval/oof.parquet")
    assert reference.inputs.of == "1,200 samples that trained"  # every sample trained some member
    brightness = reference.inputs.columns["x.brightness"]
    assert brightness.counts[-1] / 1200 == pytest.approx(X[OWN].mean() / 255, rel=1e-4)
    held = reference.predictions
    assert held is not None
    assert held.of == "1,200 held-out predictions of the folds' models"
    assert held.inexact
    classes = held.columns["class"]
    assert dict(zip(classes.names, classes.counts, strict=False)) == oof["pred_class"].value_counts().to_dict()
    best = oof.filter(like="prob_").max(axis=1)
    assert held.columns["confidence"].counts[-1] == pytest.approx(best.sum(), rel=1e-6)


def test_a_fit_is_held_against_its_own_role_and_its_own_held_out_samples(home: Path) -> None:
    reference, _ = watched(home / "single", X[NEW[:1]])
    table = pd.read_parquet(home / "runs/digits/fit/version_0/predictions.parquet")
    assert reference.inputs.of == f"{1200 - len(table)} samples that trained"
    assert reference.predictions is not None
    assert reference.predictions.of == f"{len(table)} predictions of the samples that were held out"
    assert not reference.predictions.inexact


@pytest.mark.parametrize("folder", ["ensemble", "single"])
def test_new_samples_are_steady_and_darker_ones_or_a_lost_class_are_not(home: Path, folder: str) -> None:
    _, watch = watched(home / folder, X[NEW])
    assert watch.unmeasured == 0
    assert watch.report().changed == []
    _, watch = watched(home / folder, X[NEW] // 2)
    changed = {row.column: row.verdict for row in watch.report().changed}
    assert changed["x.brightness"] == changed["x.contrast"] == "large"
    _, watch = watched(home / folder, X[NEW[DIGITS.target[NEW] > 1]])
    report = watch.report()
    assert {row.column: row.verdict for row in report.changed}["class"] in CHANGED
    assert report.shares["0"][1] < 0.02 < 0.08 < report.shares["0"][0]


def test_the_folder_watches_without_this_package_and_without_torch(home: Path) -> None:
    code = (
        "import json, sys; sys.path.insert(0, 'ensemble'); from runtime.drift import Reference, Watch\n"
        "watch = Watch(Reference.read(json.load(open('ensemble/reference.json'))))\n"
        "import numpy as np; watch.take([{'x': np.zeros((1, 8, 8), np.uint8)}] * 60)\n"
        "assert [r.column for r in watch.report().changed] == ['x.brightness', 'x.contrast'], watch.report()\n"
        "bad = {'torch', 'lightning_base', 'pandas', 'scipy'} & {name.partition('.')[0] for name in sys.modules}\n"
        "sys.exit(', '.join(bad) or 0)"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_prediction_tables_of_each_kind_are_measured_as_answers_are() -> None:
    labels = pd.DataFrame(
        {"id": ["a", "b"], "pred_red": [1, 0], "pred_big": [1, 1], "prob_red": [0.9, 0.1], "prob_big": [0.8, 0.7]}
    )
    found = answered(answers_of(labels, []) or [])
    assert found["label red"] == ["yes", "no"]
    assert found["labels"].tolist() == [2, 1]  # type: ignore[union-attr]
    live = answered([{"pred": ["big"], "prob": {"red": 0.1, "big": 0.6}}])
    assert set(live) == set(found)
    values = pd.DataFrame({"id": ["a"], "pred_0.1": [1.0], "pred_0.9": [2.0]})
    assert set(answered(answers_of(values, []) or [])) == {"value 0.1", "value 0.9"}
    assert set(answered([{"pred": {"0.1": 1.0, "0.9": 2.0}}])) == {"value 0.1", "value 0.9"}
    one = pd.DataFrame({"id": ["a"], "pred": [1.5]})
    assert answered(answers_of(one, []) or [])["value"].tolist() == [1.5]  # type: ignore[union-attr]
    boxes = pd.DataFrame({"id": ["a", "b"], "boxes": [[[0, 0, 1, 1]], []], "scores": [[0.5], []], "labels": [[1], []]})
    found = answered(answers_of(boxes, ["cat", "dog"]) or [], ["cat", "dog"])
    assert found["boxes dog"].tolist() == [1, 0]  # type: ignore[union-attr]
    assert set(found) == set(answered([{"boxes": [], "scores": [], "labels": []}], ["cat", "dog"]))
    assert answers_of(pd.DataFrame({"id": ["a"], "prob": [[0.5, 0.5]]}), []) is None  # of a language model


def test_an_export_from_python_has_its_reference_too(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    found = lb.export("runs/digits/crossval/fold_1", out="fold", samples=5)
    reference = Reference.read(json.loads((found.directory / "reference.json").read_text()))
    assert reference.inputs.of == "800 samples that trained"
    assert reference.predictions is not None
    assert reference.predictions.of.startswith("400 predictions")
