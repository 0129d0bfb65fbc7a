"""Imports without the collector of garbage, which would look for it among classes and functions that stay."""

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """Within it modules are imported, torch's the first of them; what they leave is looked through never again.

    A fifth of the time that importing torch and Lightning takes, and most of the second that Python takes at its end.
    Where torch is imported already, or the process wants no collector, nothing is changed.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
