"""Identity of objects: equal for what does the same with the same values, else different, or said to be unknown."""

import enum
from collections import OrderedDict, defaultdict, namedtuple
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from random import random
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from lightning.pytorch.callbacks import EarlyStopping
from sklearn.model_selection import KFold
from torch import nn

from lightning_base.training.contents import Unidentified
from lightning_base.training.identity import address, identify
from models.mlp import MLP

RATE = 0.1
PAIR = namedtuple("PAIR", "a b")


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
    "a partial": lambda: partial(make, 3),
    "a named tuple": lambda: PAIR(1, 2),
    "functions that are no Python code": lambda: [random, torch.relu, np.exp, str.lower, {"lr": 0.1}.get],
}


def valued(value: int) -> Any:
    return enum.Enum("Kind", {"ONE": value})


class Slots:
    __slots__ = ("rate",)

    def __init__(self, rate: float) -> None:
        self.rate = rate


class Below(Slots):
    """What it has in a slot is inherited."""


class Real(float):
    rate: float


class Many(list[int]):
    rate: float


class Named(dict[str, int]):
    rate: float


class Bag(set[int]):
    rate: float


class Part(partial[Any]):
    rate: float


def holding(value: Any, rate: float) -> Any:
    """The value, with an attribute."""
    value.rate = rate
    return value


def hidden(rate: float, space: dict[str, Any] | None = None) -> Any:
    """A function of the rate that says nothing of where it was made."""
    made: dict[str, Any] = {} if space is None else space
    exec(f"def f():\n    return {rate}\n", made)
    return made["f"]


def claiming(rate: float, module: str = "torch.nn") -> type:
    return type("Mine", (), {"__module__": module, "rate": rate})


def attributed(value: pd.DataFrame, **attributes: Any) -> pd.DataFrame:
    value.attrs.update(attributes)
    return value


# made of 1 and made of 2 they do something else
DIFFERENT: dict[str, Callable[[int], Any]] = {
    "a dictionary's method": lambda n: {"lr": n}.get,
    "a function's attribute": lambda n: holding(lambda: 0, n),
    "a function of no module": hidden,
    "a slot that is inherited": Below,
    "a float with an attribute": lambda n: holding(Real(1.0), n),
    "a list with an attribute": lambda n: holding(Many(), n),
    "a dictionary with an attribute": lambda n: holding(Named(), n),
    "a set with an attribute": lambda n: holding(Bag(), n),
    "what a dictionary of a class holds": lambda n: Named(a=n),
    "what a set of a class holds": lambda n: Bag([n]),
    "a partial of a class": lambda n: holding(Part(int), n),
    "a partial's attribute": lambda n: holding(partial(int), n),
    "what is made for a missing key": lambda n: defaultdict([int, float][n - 1]),
    "an order of keys": lambda n: OrderedDict(sorted({"a": 1, "b": 2}.items(), reverse=n == 2)),
    "a member's value": lambda n: valued(n)["ONE"],
    "an attribute with underscores": lambda n: type("Mine", (), {"__lr__": n})(),
    "a parameter's attribute": lambda n: holding(nn.Parameter(torch.zeros(1)), n),
    "whether a parameter is trained": lambda n: nn.Parameter(torch.zeros(1), requires_grad=n == 1),
    "half a number": lambda n: torch.zeros(1, dtype=[torch.bfloat16, torch.float32][n - 1]),
    "a namespace": lambda n: SimpleNamespace(lr=n),
    "what a function that keeps its results does": lambda n: lru_cache(hidden(n)),
    "a mask": lambda n: np.ma.array([1, 2], mask=[n == 1, False]),
    "an order of categories": lambda n: pd.Series(pd.Categorical(["a"], ["a", "b"][:: [1, -1][n - 1]])),
    "whether categories are ordered": lambda n: pd.Series(pd.Categorical(["a"], ["a"], ordered=n == 1)),
    "a column's name": lambda n: pd.Series([0], name=n),
    "an index's name": lambda n: pd.Index([0], name=n),
    "names of columns": lambda n: pd.DataFrame([[0]], columns=[n]),
    "the type of a column's name": lambda n: pd.DataFrame([[0]], columns=[[1, "1"][n - 1]]),
    "the rows' names": lambda n: pd.DataFrame([[0]], index=[n]),
    "what stands beside a table": lambda n: attributed(pd.DataFrame(), n=n),
    "a number and its text": lambda n: pd.Series([[1, "1"][n - 1], "x"], dtype=object),
    "None and NaN": lambda n: pd.Series([[None, float("nan")][n - 1], "x"], dtype=object),
    "a zone": lambda n: pd.Series(pd.to_datetime([0], utc=True).tz_convert(["UTC", "Asia/Tokyo"][n - 1])),
    "a class that says that it is a library's": claiming,
    "a class that says that it is Python's": lambda n: claiming(n, "collections"),
}


@pytest.mark.parametrize("name", DIFFERENT)
def test_what_hides_in_a_value_counts(name: str) -> None:
    make_it = DIFFERENT[name]
    assert identify(make_it(1)) == identify(make_it(1))
    assert identify(make_it(1)) != identify(make_it(2))


def test_a_docstring_changes_nothing_and_a_text_that_is_used_does() -> None:
    def made(doc: str, text: str) -> Any:
        space: dict[str, Any] = {"__name__": "__main__"}
        inner = f"    class Net:\n        '{doc}'\n        def f(self):\n            '{doc}'\n    return '{text}'\n"
        exec(f"def f():\n    '{doc}'\n{inner}", space)
        return space["f"]

    assert identify(made("a", "x")) == identify(made("b", "x"))
    assert identify(made("a", "a")) != identify(made("b", "b"))


def nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


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
        lambda path: np.random.default_rng(0).normal,
        lambda path: np.frompyfunc(lambda x: x, 1, 1),
        lambda path: object(),
        lambda path: nested(10_000),
    ],
    ids=[
        *("an open file", "a generator of numbers", "a generator", "a generator's method", "a function of arrays"),
        *("what no Python code defines", "values nested too deeply"),
    ],
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
