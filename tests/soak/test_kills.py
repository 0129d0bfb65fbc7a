"""Hundreds of kills, at moments and in processes drawn anew each time: `make soak`, not a part of `make test`."""

import os
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.forks import Forks
from tests.support.resumed import assert_identical, draw_kills, kill_and_resume, undisturbed

pytestmark = pytest.mark.soak
KILLS = int(os.environ.get("LIGHTNING_BASE_SOAK_KILLS", "200"))
SEED = int(os.environ.get("LIGHTNING_BASE_SOAK_SEED", str(int(time.time()))))


def test_hundreds_of_kills_change_nothing(forks: Forks, tmp_path: Path) -> None:
    """Runs of five kills each, at any of a run's 54 steps and moments; where one fails, its output tells the seed."""
    print(f"LIGHTNING_BASE_SOAK_SEED={SEED}")
    rng = np.random.default_rng(SEED)
    (tmp_path / "whole").mkdir()
    whole = undisturbed(forks, tmp_path / "whole")
    for number in range(KILLS // 5):
        directory = tmp_path / str(number)
        directory.mkdir()
        kill_and_resume(forks, directory, draw_kills(rng))
        assert_identical(directory, whole)
