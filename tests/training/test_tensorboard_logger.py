"""TensorBoard's events have what metrics.csv has, however seldom they are written."""

from pathlib import Path

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import lightning_base as lb
from tests.helpers import CONFIGS


def test_each_number_of_the_log_is_an_event(work: Path) -> None:
    overrides = {
        "trainer.max_epochs": 3,
        "trainer.log_every_n_steps": 4,
        "model.network.widths": [8],
        "audit": "off",
    }
    lb.crossval(CONFIGS / "digits_cnn.yaml", overrides=overrides, name="x", folds=[0])
    fold = Path("runs/x/crossval/fold_0")
    events = EventAccumulator(str(fold / "tensorboard")).Reload()
    table = pd.read_csv(fold / "metrics.csv").set_index("step")
    assert {*events.Tags()["scalars"]} == {*table.columns}
    for name in table.columns:
        found = {event.step: event.value for event in events.Scalars(name)}
        assert found == pytest.approx(table[name].dropna().to_dict(), rel=1e-6), name
