"""Identity of objects: equal for what does the same with the same values, else different, or said to be unknown."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping
from sklearn.model_selection import KFold
from torch import nn

from lightning_base.training.identity import Unidentified, address, identify
from models.mlp import MLP

RATE = 0.1


def make(width: int, offset: Any = 0) -> Callable[[], Any]:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(width, 2)

        def forward(self, x: Any) -> Any:
            return torch.relu(self.layer(x)) + offset

    return lambda: Net()


def rated() -> float:
    return RATE


VALUES: dict[str, Callable[[], Any]] = {
    "a function with what it captures": lambda: make(3, np.arange(3)),
    "a class of a library": lambda: EarlyStopping("val_loss"),
    "a splitter": lambda: KFold(3),
    "a table": lambda: pd.DataFrame({"a": [1.0, None], "b": ["x", None], "c": pd.Categorical(["p", "q"])}),
    "nested values": lambda: {"a": [1, (2.0, None)], "b": {"x", "y"}, "c": torch.float16},
    "a network": lambda: MLP(3, 2, hidden=[4]).requires_grad_(False).apply(zero),
    "a partial": lambda: __import__("functools").partial(make, 3),
}


def zero(module: nn.Module) -> None:
    for parameter in module.parameters(recurse=False):
        parameter.data.zero_()


@pytest.mark.parametrize("name", VALUES)
def test_what_is_made_alike_is_the_same(name: str) -> None:
    assert identify(VALUES[name]()) == identify(VALUES[name]())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (make(3), make(4)),
        (make(3, 0), make(3, 0.0)),
        (make(3, np.arange(3)), make(3, np.arange(1, 4))),
        (lambda x: x + 1, lambda x: x + 2),
        (lambda x: x + 1, lambda x: x - 1),
        (lambda x, a=1: x, lambda x, a=2: x),
        (KFold(3), KFold(4)),
        (EarlyStopping("a"), EarlyStopping("b")),
        (torch.zeros(2), torch.zeros(2, dtype=torch.float64)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (pd.Series(["a", "b"]), pd.Series(["b", "a"])),
        (pd.DataFrame({"a": [1]}), pd.DataFrame({"b": [1]})),
        ({"a": 1}, {"a": True}),
        ([], ()),
    ],
)
def test_what_differs_is_another(one: Any, other: Any) -> None:
    assert identify(one) != identify(other)


def test_a_variable_of_the_module_counts_and_the_layout_of_the_source_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identify(rated)
    monkeypatch.setitem(rated.__globals__, "RATE", 0.2)
    assert identify(rated) != before
    spaces: dict[str, Any] = {"__name__": "__main__"}
    exec("def f(x):\n    return x * 2\ng = f\n\n\n# words\ndef f(x):  # more\n\n    return (x * 2)\n", spaces)
    assert spaces["f"] is not spaces["g"]
    assert identify(spaces["f"]) == identify(spaces["g"])


@pytest.mark.parametrize(
    "unknowable",
    [
        lambda path: open(path),  # noqa: SIM115
        lambda path: np.random.default_rng(0),
        lambda path: (i for i in range(3)),
    ],
    ids=["an open file", "a generator of numbers", "a generator"],
)
def test_what_cannot_be_told_is_said(unknowable: Callable[[Path], Any], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    held = unknowable(tmp_path / "file")
    with pytest.raises(Unidentified):
        identify(lambda: held)
    getattr(held, "close", lambda: None)()


def test_an_address_is_a_path_that_imports_the_same_function() -> None:
    assert address(make) == "tests.training.test_identity:make"
    assert address(pd.read_csv) == "pandas:read_csv"
    assert address(make(3)) is None
    assert address(KFold(3).split) is None


def test_what_a_function_imports_counts_however_deep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "deepest.py").write_text("VALUE = 1\n")
    (tmp_path / "deeper.py").write_text("import deepest\n\n\ndef value():\n    return deepest.VALUE\n")

    def inside() -> int:
        from deeper import value

        return int(value())

    before = identify(inside)
    assert identify(inside) == before
    monkeypatch.setattr("deepest.VALUE", 2)
    assert identify(inside) != before
