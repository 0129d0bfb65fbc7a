"""Claims about tables of scores: whole numbers in any terminal, and what has no room is named."""

import re
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from lightning_base.stats.intervals import Estimate
from lightning_base.stats.metrics import headline
from lightning_base.stats.tables import fold_table, number, score_table


def lines(renderable: object, width: int) -> list[str]:
    out = Console(file=StringIO(), width=width, _environ={})
    out.print(renderable)
    return out.file.getvalue().splitlines()  # type: ignore[attr-defined]


def numbers(text: str) -> list[str]:
    return re.findall(r"[\d.]+", text)


@pytest.mark.parametrize("k", [1, 5, 50])
@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_a_table_of_folds_shows_whole_numbers_and_names_what_it_leaves_out(k: int, width: int) -> None:
    rng = np.random.default_rng(0)
    metrics = {}
    for name in ("accuracy", "precision", "auroc"):
        folds = tuple(rng.uniform(0.5, 1, k))
        metrics[name] = Estimate(float(np.mean(folds)), float(np.std(folds)), (0.5123, 0.9876), folds)
    table, left_out = fold_table("digits: folds", metrics, 1437, width)
    shown = lines(table, width)
    assert all(len(line) <= width for line in shown)
    for name, estimate in metrics.items():
        (row,) = [line for line in shown if name in line]
        there = numbers(row)
        known = [estimate.mean, estimate.std, *estimate.ci95, *estimate.folds]
        assert set(there) <= {*map(number, known), "1437"}
        assert {number(estimate.mean), "0.5123", "0.9876"} <= set(there)
        all_folds = set(map(number, estimate.folds)) <= set(there)
        assert all_folds == ("folds" not in left_out)
        assert ("1437" in there) == (not re.search(r"\bn\b", left_out))
    assert left_out == "" or left_out.startswith("… in summary.json: ")
    if k == 5:
        assert (
            left_out
            == {
                40: "… in summary.json: the folds' values, n",
                60: "… in summary.json: the folds' values",
                80: "… in summary.json: the values of 3 of 5 folds",
                100: "",
                160: "",
            }[width]
        )


@pytest.mark.parametrize("width", [40, 80])
def test_a_table_of_scores_has_room_in_forty_columns(width: int) -> None:
    scores = {"accuracy": 0.9861, "precision": 0.9872, "rmse": 61.2345}
    intervals = {"accuracy": (0.9648, 0.9962), "precision": (0.9742, 0.9972), "rmse": (58.1, 65.3)}
    shown = lines(score_table("digits: held-out samples", scores, intervals, 288, width), width)
    for name, value in scores.items():
        (row,) = [line for line in shown if name in line]
        assert numbers(row) == [number(value), *map(number, intervals[name]), "288"]


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (["accuracy", "auroc", "ece", "f1", "loss", "precision", "recall"], ["accuracy", "auroc", "f1"]),
        (["loss", "mae", "mse", "r2", "rmse"], ["r2", "rmse", "mae"]),
        (["loss", "map", "map50"], ["map50", "map", "loss"]),
        (["loss", "dice"], ["dice", "loss"]),
    ],
)
def test_a_short_line_shows_the_metrics_that_people_ask_for(names: list[str], first: list[str]) -> None:
    assert headline(names) == first
