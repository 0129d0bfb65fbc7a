"""PJRT's CPU device as the one TPU of this machine; as a script, the command line on it."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from lightning.fabric.accelerators.xla import XLAAccelerator


@contextmanager
def cpu_device() -> Iterator[None]:
    """Lightning asks torch-xla for TPUs alone: it is told that there is one, which torch-xla takes from PJRT_DEVICE."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PJRT_DEVICE", "CPU")
        patch.setattr(XLAAccelerator, "auto_device_count", staticmethod(lambda: 1))
        patch.setattr(XLAAccelerator, "is_available", staticmethod(lambda: True))
        yield


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from lightning_base.cli.entry import main

    with cpu_device():
        sys.exit(main(sys.argv[1:]))
