"""Fixtures: a working directory a test, small real data, and a guard against what a test leaves behind."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from lightning_base.cli.entry import main

ROOT = Path(__file__).parent.parent
CONFIGS = ROOT / "configs"
SHARED = Path(os.environ.get("LIGHTNING_BASE_SHARED", ROOT.parent / "shared" / "data")).resolve()


def shared(name: str) -> Path:
    """A file or folder of the shared real data; the test is skipped where it is not there."""
    if not (SHARED / name).exists():
        pytest.skip(f"no {SHARED / name}: set LIGHTNING_BASE_SHARED to a folder that has it")
    return SHARED / name


@pytest.fixture(autouse=True, scope="session")
def _cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Packs go to a folder of this session's tests."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LIGHTNING_BASE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(autouse=True)
def _guard() -> Iterator[None]:
    """Fails a test that leaves a thread or a process group; puts environment, path and folder back."""
    environment, path, folder = dict(os.environ), list(sys.path), os.getcwd()
    threads, count = set(threading.enumerate()), torch.get_num_threads()
    yield
    os.chdir(folder)
    sys.path[:] = path
    os.environ.clear()
    os.environ.update(environment)
    left = [t for t in threading.enumerate() if t not in threads and not t.daemon]
    assert not left, f"threads left behind: {left}"
    assert torch.get_num_threads() == count
    assert not torch.distributed.is_initialized()


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(work: Path) -> Callable[..., None]:
    """Runs a command in the working directory and fails the test where it fails."""

    def command(verb: str, *arguments: object) -> None:
        assert main([verb, *map(str, arguments)]) == 0

    return command


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten class folders of 12 (train) and 3 (test) 32×32 crops of the two photographs scikit-learn ships."""
    root = tmp_path_factory.mktemp("images")
    photographs = load_sample_images().images
    rng = np.random.default_rng(0)
    for part, n in (("train", 12), ("test", 3)):
        for c in range(10):
            folder = root / part / f"class_{c}"
            folder.mkdir(parents=True)
            for i in range(n):
                y, x = rng.integers(0, 64), 60 * (c // 2) + rng.integers(0, 64)
                crop = photographs[c % 2][y : y + 32, x : x + 32]
                Image.fromarray(crop).save(folder / f"{i:04d}.jpg")
    return root
