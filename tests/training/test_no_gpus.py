"""Claims about a training where there is no GPU: torch looks for none meanwhile, and the environment is as it was."""

import os

import pytest
import torch

from lightning_base.training.no_gpus import VISIBLE, no_gpus_looked_for


@pytest.mark.parametrize(
    ("cuda", "count", "before", "inside"),
    [("13.0", 0, None, ""), ("13.0", 1, None, None), (None, 0, None, None), ("13.0", 0, "0", "0")],
)
def test_it_is_so_only_where_torch_would_find_none(
    cuda: str | None, count: int, before: str | None, inside: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.version, "cuda", cuda)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.delenv(VISIBLE, raising=False)
    if before is not None:
        monkeypatch.setenv(VISIBLE, before)
    with no_gpus_looked_for():
        assert os.environ.get(VISIBLE) == inside
    assert os.environ.get(VISIBLE) == before
