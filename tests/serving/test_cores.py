"""Claims about cores: a container's quota counts, and small models are computed by one core each, side by side."""

import os
from pathlib import Path

import pytest

from lightning_base.runtime.model import load
from lightning_base.serving import cores
from lightning_base.serving.loading import load as load_served
from tests.support.small_export import write


@pytest.mark.parametrize(("quota", "expected"), [("100000 100000", 1), ("1000 100000", 1), ("150000 100000", 2)])
def test_a_quota_is_rounded_up(tmp_path: Path, quota: str, expected: int) -> None:
    (tmp_path / "cpu.max").write_text(quota)
    assert cores.cores(tmp_path / "cpu.max") == min(expected, len(os.sched_getaffinity(0)))


@pytest.mark.parametrize("quota", [None, "max 100000", "what", "", "100000", "100000 0"])
def test_without_a_quota_all_cores_count_that_the_process_may_use(tmp_path: Path, quota: str | None) -> None:
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    assert cores.cores(tmp_path / "cpu.max") == len(os.sched_getaffinity(0))


def test_a_fast_model_takes_one_core_and_a_slow_one_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write(tmp_path / "export")
    monkeypatch.setattr(cores, "SHORT", 10.0)
    fast = load_served(folder)
    assert fast.threads == 1  # type: ignore[attr-defined]
    assert cores.at_once([fast]) == cores.cores()
    monkeypatch.setattr(cores, "SHORT", 0.0)
    slow = load_served(folder)
    assert slow.threads == cores.cores()  # type: ignore[attr-defined]
    if cores.cores() > 1:
        assert cores.at_once([fast, slow]) == 1
    example = cores.read_json(folder / cores.EXAMPLES)[0]["input"]
    assert fast.run([fast.read(example)]) == slow.run([slow.read(example)]) == load(folder).run([fast.read(example)])


def test_what_is_asked_for_is_done(tmp_path: Path) -> None:
    model = load_served(write(tmp_path / "export"), threads=3)
    assert model.threads == 3  # type: ignore[attr-defined]
    assert cores.at_once([model]) == 1
