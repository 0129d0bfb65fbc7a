"""Claims about tables of scores: whole numbers in any terminal, and what has no room is named."""

import re
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from lightning_base.stats.digits import number
from lightning_base.stats.estimates import Score
from lightning_base.stats.metrics import headline
from lightning_base.stats.tables import fold_table, score_table
from lightning_base.stats.words import no_better


def lines(renderable: object, width: int) -> list[str]:
    out = Console(file=StringIO(), width=width, _environ={})
    out.print(renderable)
    return out.file.getvalue().splitlines()  # type: ignore[attr-defined]


def numbers(text: str) -> list[str]:
    return re.findall(r"[\d.]+", text)


def made(score: float, interval: tuple[float, float], folds: tuple[float, ...] = (), **more: float | bool) -> Score:
    std = float(np.std(folds)) if folds else np.nan
    return Score(score, std, interval, folds or (score,), score, pooled=True, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("k", [1, 5, 50])
@pytest.mark.parametrize("width", [40, 60, 80, 100, 160])
def test_a_table_of_folds_shows_whole_numbers_and_names_what_it_leaves_out(k: int, width: int) -> None:
    rng = np.random.default_rng(0)
    metrics = {}
    for name in ("accuracy", "precision", "auroc"):
        folds = tuple(rng.uniform(0.5, 1, k))
        metrics[name] = made(float(np.mean(folds)), (0.5123, 0.9876), folds, trivial=0.25)
    table, left_out = fold_table("digits: folds", metrics, width)
    shown = lines(table, width)
    assert all(len(line) <= width for line in shown)
    for name, one in metrics.items():
        (row,) = [line for line in shown if name in line]
        there = numbers(row)
        known = [one.score, one.std, *one.ci95, 0.25, *one.folds]
        assert set(there) <= set(map(number, known))
        assert {number(one.score), "0.5123", "0.9876", "0.2500"} <= set(there)
        assert (set(map(number, one.folds)) <= set(there)) == ("folds" not in left_out)
    assert left_out == "" or left_out.startswith("… in summary.json: ")
    if k == 5:
        assert (
            left_out
            == {
                40: "… in summary.json: the folds' values, std",
                60: "… in summary.json: the folds' values",
                80: "… in summary.json: the values of 3 of 5 folds",
                100: "",
                160: "",
            }[width]
        )


def test_what_is_no_better_than_the_trivial_model_is_marked_in_the_table_and_named() -> None:
    metrics = {
        "accuracy": made(0.95, (0.9, 0.97), (0.9, 1.0), trivial=0.95, gain=0.0, ci95_gain=(-0.01, 0.02), better=False),
        "loss": made(0.1, (0.05, 0.2), (0.1, 0.1), trivial=0.2, gain=-0.1, ci95_gain=(-0.15, -0.05), better=True),
    }
    accuracy, loss = [line for line in lines(fold_table("", metrics, 80)[0], 80) if "0.9500" in line or "loss" in line]
    assert "0.9500!" in accuracy
    assert "!" not in loss
    assert no_better(metrics) == "accuracy by 0.0000 (-0.0100 … 0.0200)"


def test_windows_over_time_are_shown_with_the_last_and_the_trend_and_without_an_interval() -> None:
    metrics = {"rmse": made(1.5, (np.nan, np.nan), (1.0, 1.5, 2.0), last=2.0, trend=0.5)}
    (row,) = [line for line in lines(fold_table("", metrics, 80)[0], 80) if "rmse" in line]
    assert "2.0000" in row
    assert "+0.5000" in row
    assert "…" not in row


@pytest.mark.parametrize(
    ("score", "interval", "trivial"),
    [
        (1_000_003.2, (1_000_001.9, 1_000_004.1), 1_000_010.0),
        (1e9 + 1, (1e9 - 1, 1e9 + 2), 1e9 + 5),
        (0.999996, (0.999991, 0.999999), 0.5),
        (2e-9, (1e-9, 4e-9), 3e-7),
        (11.0734, (9.8, 12.4), 13.1),
    ],
)
def test_a_score_its_intervals_ends_and_the_trivial_one_read_differently(
    score: float, interval: tuple[float, float], trivial: float
) -> None:
    one = made(score, interval, (score, interval[0]), trivial=trivial)
    for table in (fold_table("", {"mse": one}, 160)[0], score_table("", {"mse": one}, 9, 160)):
        (row,) = [line for line in lines(table, 160) if "mse" in line]
        shown = [float(text) for text in re.findall(r"\d[\d.e+-]*", row)]
        for value in (score, *interval, trivial):
            near = min(shown, key=lambda found: abs(found - value))
            assert min([score, *interval, trivial], key=lambda known: abs(known - near)) == value, row
            assert near > 0
    if score > 11 and score < 12:
        assert "11.07 " in row


@pytest.mark.parametrize("width", [40, 80])
def test_a_table_of_scores_has_room_in_forty_columns(width: int) -> None:
    scores = {
        "accuracy": made(0.9861, (0.9648, 0.9962)),
        "precision": made(0.9872, (0.9742, 0.9972)),
        "rmse": made(61.2345, (58.1, 65.3)),
    }
    shown = lines(score_table("digits: held-out samples", scores, 288, width), width)
    for name, one in scores.items():
        (row,) = [line for line in shown if name in line]
        assert numbers(row) == [number(one.score), *map(number, one.ci95), "288"]


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (["accuracy", "auroc", "ece", "f1", "loss", "precision", "recall"], ["accuracy", "auroc", "f1", "loss"]),
        (["mae", "mse", "r2", "rmse"], ["r2", "rmse", "mae", "mse"]),
        (["loss", "map", "map50"], ["map", "map50", "loss"]),
        (["loss", "dice"], ["dice", "loss"]),
    ],
)
def test_metrics_come_in_the_order_that_people_ask_for_them(names: list[str], first: list[str]) -> None:
    assert headline(names)[:4] == first
