"""Claims about exported modules of others: one that knows nothing of this project answers as predict does."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

import lightning_base as lb
from lightning_base.errors import ConfigError
from tests.exporting.helpers import assert_classes_equal, verified
from tests.others.plain import Net, digits


def test_a_module_of_somebody_elses_on_arrays(work: Path) -> None:
    found = load_digits()
    x, trainer = (found.images[:200] / 16).astype(np.float32), {"max_epochs": 1, "accelerator": "cpu"}
    run = lb.crossval(module=Net, x=x, y=found.target[:200], name="own", trainer=trainer, audit="off")
    folder = lb.export(run, samples=20)
    model = folder.load()
    expected = lb.predict(run, x[:7] + np.float32(0.01))
    assert_classes_equal(model.run([model.read({"x": one.tolist()}) for one in x[:7] + np.float32(0.01)]), expected)
    assert verified(folder.directory).returncode == 0


def test_items_of_a_dataset_of_ones_own_are_refused(work: Path) -> None:
    trainer = {"max_epochs": 1, "accelerator": "cpu"}
    run = lb.crossval(module=Net, dataset=digits(100), name="items", trainer=trainer, audit="off")
    with pytest.raises(ConfigError, match="nothing says what one is made of"):
        lb.export(run)
    weights = lb.export(run, format="safetensors")
    assert (weights.directory / "fold_0.safetensors").is_file()
