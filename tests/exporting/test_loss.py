"""Claims about what a lower precision costs: it is measured on samples from everywhere, each counted once."""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from lightning_base.exporting import loss
from lightning_base.samples.payload import spread
from tests.helpers import CONFIGS, run_in


@pytest.mark.parametrize("n", [1, 2, 60, 99, 100, 101, 500])
def test_samples_that_stand_by_class_are_taken_of_every_class(n: int) -> None:
    rows = np.arange(100, 200)
    found = spread(rows, n)
    assert len(found) == min(n, 100)
    assert set(found) <= set(rows)
    assert found[0] == 100
    if n > 1:
        assert found[-1] == 199
        assert np.diff(found).max() - np.diff(found).min() <= 1


def test_a_repeat_is_no_further_sample(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loss, "MOST", 400)
    digits = load_digits()
    order = np.argsort(digits.target[:300], kind="stable")
    np.savez(work / "pool.npz", x=digits.images[order, None].astype(np.uint8), y=digits.target[order])
    run_in(
        work,
        *("crossval", "--config", CONFIGS / "digits_cnn.yaml", "--data.source", "pool.npz", "--data.test_size", "null"),
        *("--trainer.max_epochs", 1, "--name", "d", "--audit", "off"),
        *("--data.split", "sklearn.model_selection.RepeatedStratifiedKFold", "--data.split.n_splits", 2),
        *("--data.split.n_repeats", 2),
    )
    run_in(work, "export", "runs/d/crossval", "--out", "d", "--samples", 10, "--precision", "int8")
    manifest = json.loads((work / "d" / "manifest.json").read_text())
    assert manifest["loss"]["n"] <= 300  # 4 members of 100 each
    assert manifest["loss"]["n"] / 300 > 0.2
