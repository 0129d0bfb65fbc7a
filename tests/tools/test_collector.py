"""Claims about the collector of garbage: it rests while modules are first imported, and works on what comes later."""

import gc
import sys

import pytest

from lightning_base.tools.collector import uncollected


def test_the_first_imports_are_looked_through_neither_then_nor_later(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = gc.get_freeze_count()
    monkeypatch.delitem(sys.modules, "torch")
    try:
        with uncollected():
            assert not gc.isenabled()
            imported: list[object] = []
        assert gc.isenabled()
        assert gc.get_freeze_count() > kept
        later: list[object] = []
        looked_at = {id(one) for one in gc.get_objects()}
        assert id(imported) not in looked_at
        assert id(later) in looked_at
        with pytest.raises(ImportError), uncollected():
            raise ImportError
        assert gc.isenabled()
    finally:
        gc.unfreeze()


@pytest.mark.parametrize("wanted", [True, False])
def test_nothing_is_changed_for_a_process_that_has_torch_or_wants_no_collector(
    monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    if not wanted:
        monkeypatch.delitem(sys.modules, "torch")
        gc.disable()
    try:
        kept = gc.get_freeze_count()
        with uncollected():
            assert gc.isenabled() == wanted
        assert gc.isenabled() == wanted
        assert gc.get_freeze_count() == kept
    finally:
        gc.enable()
