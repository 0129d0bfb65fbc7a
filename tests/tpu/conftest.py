"""Fixtures of the tests on PJRT's CPU device; without torch-xla they are skipped."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from lightning_base.cli.entry import main
from tests.helpers import CONFIGS
from tests.tpu.cpu_device import cpu_device


@pytest.fixture(autouse=True, scope="session")
def _device() -> Iterator[None]:
    if find_spec("torch_xla") is None:
        pytest.skip("no torch-xla here: make test-tpu has an environment with it")
    with cpu_device():
        yield


@pytest.fixture(scope="session")
def command(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Runs a verb on a shipped configuration, with a strategy's overlay or none, in a folder; the folder."""

    def run(
        verb: str, config: str, overlay: str | None, *options: object, folder: Path | None = None, status: int = 0
    ) -> Path:
        folder = folder or tmp_path_factory.mktemp(config)
        overlays = [] if overlay is None else ["--config", CONFIGS / "strategy" / f"{overlay}.yaml"]
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            arguments = [verb, "--config", CONFIGS / f"{config}.yaml", *overlays, "--audit", "off", *options]
            assert main([*map(str, arguments)]) == status
        return folder

    return run
