"""Fixtures: a working directory a test, small real data, what runs commands, and a guard against what is left."""

import gc
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

# small networks compute no faster with more threads, and threads of several processes wait for each other
os.environ.setdefault("OMP_NUM_THREADS", "1")
# kills are to find a checkpoint of each epoch, however short it is; test_several_steps.py has what is written by time
os.environ.setdefault("LIGHTNING_BASE_CHECKPOINT_SECONDS", "0")

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_images

from lightning_base.cli.entry import main
from lightning_base.tools.shipped import IMPORTED
from tests.helpers import Run
from tests.support.cluster import running
from tests.support.forks import Forks
from tests.support.preloaded import Preloaded

gc.disable()  # what is collected before the first test stays, and is looked through neither now nor later

# in the order in which they begin; the two that start a cluster, of which there is but one, do not meet
LONGEST = (
    *("test_launch.py", "test_strategies.py", "test_configs.py", "test_resume.py", "test_formats.py", "test_habits.py"),
    *("test_process.py", "test_wheel.py", "test_own.py", "test_search.py", "test_elsewhere.py", "test_executor.py"),
    *("test_loop.py", "test_slurm.py", "test_refit.py", "test_preempt.py", "test_tables.py", "test_functions.py"),
    *("test_several_steps.py", "test_page_errors.py", "test_blocks.py"),
)


def pytest_collection_finish() -> None:
    """Lets the collector of garbage look at what tests leave, and at that alone."""
    gc.freeze()
    gc.enable()


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what needs Slurm's daemons, by its fixtures; leaves soak and docs out unless -m asks for them.

    Tests of one file, which share fixtures, run in one process. The files that take longest begin first, so that the
    processes end together.
    """
    for item in items:
        if "cluster" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.cluster)
    items.sort(key=lambda item: LONGEST.index(item.path.name) if item.path.name in LONGEST else len(LONGEST))
    for name in {"soak", "docs"} - set(config.getoption("markexpr").split()):
        left = [item for item in items if item.get_closest_marker(name)]
        items[:] = [item for item in items if item not in left]
        config.hook.pytest_deselected(items=left)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One process more than there are cores: some wait, for a cluster or for another process."""
    return (os.cpu_count() or 1) + 1


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
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory; what was imported from it is forgotten, since another test's may have its name."""
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(f"{tmp_path}/"):
            del sys.modules[name]


@pytest.fixture
def own(work: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory, first on the path, as in a process that has imported no network and no data yet."""
    before = {name for name in sys.modules if name.removeprefix("lightning_base.").split(".")[0] in IMPORTED}
    for name in before:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [str(work), *sys.path])
    yield work
    for name in [n for n in sys.modules if n.removeprefix("lightning_base.").split(".")[0] in IMPORTED]:
        del sys.modules[name]


@pytest.fixture
def run(work: Path) -> Run:
    """Runs a command in the working directory and fails the test where it fails."""

    def command(verb: str, *arguments: object) -> None:
        assert main([verb, *map(str, arguments)]) == 0

    return command


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the test's own."""
    monkeypatch.setenv("LIGHTNING_BASE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def forks(interpreter: str) -> Forks:
    """What runs commands of one process or several, which may be killed."""
    return Forks(interpreter)


@pytest.fixture(scope="session")
def interpreter() -> Iterator[str]:
    """A program that stands in for Python: torch and Lightning are imported already."""
    with Preloaded() as one:
        yield one.path


@pytest.fixture
def preloaded(interpreter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs that commands start begin at once."""
    monkeypatch.setattr(sys, "executable", interpreter)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A Slurm cluster of two nodes."""
    with running(tmp_path_factory.mktemp("slurm")):
        yield


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


@pytest.fixture
def folder(images: Path, tmp_path: Path) -> Path:
    """A copy of `images`, to be changed."""
    return Path(shutil.copytree(images, tmp_path / "images"))


@pytest.fixture(scope="session")
def tiles() -> npt.NDArray[np.uint8]:
    """(260, 32, 32, 3): 130 tiles each of a temple under a plain sky, and of a flower."""
    photographs = [image[: 10 * 32, : 13 * 32] for image in load_sample_images().images]
    return np.concatenate([p.reshape(10, 32, 13, 32, 3).swapaxes(1, 2).reshape(-1, 32, 32, 3) for p in photographs])
