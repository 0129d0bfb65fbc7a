"""Hundreds of kills, at moments and in processes drawn anew each time: `make soak`, not a part of `make test`."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.forks import Forks
from tests.training.test_resume import MOMENTS, WHOLE, assert_identical

pytestmark = pytest.mark.soak
KILLS = int(os.environ.get("LIGHTNING_BASE_SOAK_KILLS", "200"))
SEED = int(os.environ.get("LIGHTNING_BASE_SOAK_SEED", str(int(time.time()))))


@pytest.fixture(scope="module")
def whole(forks: Forks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a run that nothing disturbed."""
    directory = tmp_path_factory.mktemp("whole")
    assert forks(directory, *WHOLE) == [0], (directory / "log").read_text()
    return directory


def test_hundreds_of_kills_change_nothing(forks: Forks, whole: Path, tmp_path: Path) -> None:
    """Runs of five kills each, at any of a run's 54 steps and moments, with the seed told where one fails."""
    rng = np.random.default_rng(SEED)
    for number in range(KILLS // 5):
        directory = tmp_path / str(number)
        directory.mkdir()
        kills = [f"{step}:{rng.choice(MOMENTS)}" for step in np.sort(rng.integers(0, 49, size=4))]
        kills.append(rng.choice(["52:whole", "52:renamed", "54:predict", "54:validation"]))
        for kill in kills:
            assert forks(directory, *WHOLE, KILL=f"0:{kill}") == [-9], (SEED, number, kill)
        assert forks(directory, *WHOLE) == [0], (SEED, number, (directory / "log").read_text())
        assert_identical(directory, whole)
