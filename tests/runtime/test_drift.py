"""Claims about drift: numbers are pandas' and scipy's, chance alone is not called a change, and a change is."""

import json
import threading
import tracemalloc
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from scipy import stats

from lightning_base.runtime.columns import Categories, Column, Numbers, column_of
from lightning_base.runtime.drift import Reference, Side, Watch
from lightning_base.runtime.errors import ExportError
from lightning_base.runtime.measured import Part
from lightning_base.runtime.verdicts import CHANGED, LEVEL, Row, rows_of
from tests.helpers import shared

Draw = Callable[[np.random.Generator, int], "npt.NDArray[np.float64] | list[str | None]"]


def psi(own: "pd.Series[int]", live: "pd.Series[int]") -> float:
    """The index over counts by cell, half a value added to each: as textbooks have it, by pandas."""
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (own, live))
    return float(((q - p) * np.log(q / p)).sum())


def verdicts(columns: dict[str, Column], values: dict[str, object]) -> dict[str, Row]:
    compared = [
        ("input", name, one, one.compared(one.counted(values[name])), "")  # type: ignore[arg-type]
        for name, one in columns.items()
    ]
    return {row.column: row for row in rows_of(compared)}


def test_the_index_of_numbers_is_pandas_over_deciles() -> None:
    rng = np.random.default_rng(0)
    own, live = rng.gamma(2, size=3000), rng.gamma(2.2, size=1000)
    column = Numbers.of(own)
    found = column.compared(column.counted(live))
    edges = np.sort(own)[299:2700:300]
    cells = [pd.cut(pd.Series(v), [-np.inf, *edges, np.inf]).value_counts(sort=False) for v in (own, live)]
    assert found.psi == pytest.approx(psi(*cells), rel=1e-9)
    assert found.psi_expected == pytest.approx(9 * (1 / 1000 + 1 / 3000))
    assert found.chances["shape"] == pytest.approx(stats.chi2_contingency(np.array(cells)).pvalue, rel=1e-9)


def test_the_index_of_categories_is_pandas_and_missing_values_are_a_cell() -> None:
    rng = np.random.default_rng(1)
    own = rng.choice(["a", "b", "c", None], 800, p=[0.5, 0.3, 0.1, 0.1]).tolist()
    live = rng.choice(["a", "b", "c", None], 500, p=[0.4, 0.3, 0.2, 0.1]).tolist()
    column = Categories.of(own)
    found = column.compared(column.counted(live))
    counts = [pd.Series(v).fillna("missing").value_counts().sort_index() for v in (own, live)]
    assert found.psi == pytest.approx(psi(*counts), rel=1e-9)
    there = [count.drop("missing") for count in counts]
    assert found.chances["shape"] == pytest.approx(stats.chi2_contingency(np.array(there)).pvalue, rel=1e-9)
    gaps = [[count["missing"], count.sum() - count["missing"]] for count in counts]
    assert found.chances["missing"] == pytest.approx(stats.fisher_exact(gaps).pvalue, rel=1e-6)


def test_kolmogorovs_distance_is_scipys_up_to_a_two_hundredth() -> None:
    rng = np.random.default_rng(2)
    for own, live in (
        (rng.normal(size=1000), rng.normal(0.3, size=700)),
        (rng.exponential(size=4000), rng.exponential(1.1, size=300)),
    ):
        column = Numbers.of(own)
        found, expected = column.compared(column.counted(live)), stats.ks_2samp(own, live, method="asymp")
        assert expected.statistic - 1 / 200 <= found.ks <= expected.statistic + 1e-12
    own, live = rng.poisson(3, 900).astype(float), rng.poisson(3.4, 500).astype(float)
    column = Numbers.of(own)  # few different values: each is looked at
    assert column.compared(column.counted(live)).ks == pytest.approx(stats.ks_2samp(own, live).statistic)


def test_values_beyond_training_and_means_are_told() -> None:
    own = np.arange(100.0)
    column = Numbers.of(own)
    found = column.compared(column.counted([-5.0, 50.0, 99.0, 100.5, np.inf, np.nan]))
    assert found.beyond == pytest.approx(3 / 5)
    assert found.missing == (0.0, 1 / 6)
    assert found.typical == (49.5, pytest.approx((-5 + 50 + 99 + 100.5) / 5))


def _categories(shares: npt.NDArray[np.float64]) -> Draw:
    names = np.array([f"name {i}" for i in range(len(shares))], dtype=object)
    return lambda rng, n: rng.choice(names, n, p=shares / shares.sum()).tolist()


KINDS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "zeros": lambda rng, n: np.where(rng.random(n) < 0.6, 0, rng.exponential(size=n)),
    "gaps": lambda rng, n: np.where(rng.random(n) < 0.03, np.nan, rng.normal(size=n)),
    "counts": lambda rng, n: rng.poisson(2, n).astype(float),
    "few": _categories(np.ones(5)),
    "some": _categories(1 / np.arange(1, 41)),
    "many": _categories(np.ones(200)),  # the most frequent ones in training seem more frequent than they are
    "rare": _categories(1 / np.arange(1, 2001)),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("m", "n"), [(700, 200), (500, 1500)])
def test_without_a_change_the_index_is_as_expected_and_chances_are_no_smaller_than_they_say(
    kind: str, m: int, n: int
) -> None:
    rng, draw, times = np.random.default_rng(m), KINDS[kind], 300
    found, chances = [], []
    for _ in range(times):
        own = draw(rng, m)
        column: Column = Categories.of(own) if isinstance(own, list) else Numbers.of(own)
        one = column.compared(column.counted(draw(rng, n)))  # type: ignore[arg-type]
        found.append((one.psi, one.psi_expected))
        chances.append(min(1.0, len(one.chances) * min(one.chances.values())))
    index, expected = np.mean(found, axis=0)
    assert index == pytest.approx(expected, rel=0.12)
    false = np.array(chances) <= 0.05
    assert false.mean() <= stats.binom.isf(1e-4, times, 0.05) / times  # 0.1


def test_real_columns_of_random_halves_are_called_changed_no_more_often_than_promised() -> None:
    table = pd.read_csv(shared("german-credit") / "german.data", sep=r"\s+", header=None).iloc[:, :20]
    rng, times, false = np.random.default_rng(0), 300, 0
    for _ in range(times):
        order = rng.permutation(len(table))
        own, live = table.iloc[order[:600]], table.iloc[order[600:]]
        columns: dict[str, Column] = {}
        for name in table:
            is_text = table[name].dtype.kind not in "if"
            columns[str(name)] = Categories.of(own[name].tolist()) if is_text else Numbers.of(own[name].to_numpy())
        rows = verdicts(columns, {str(name): live[name].tolist() for name in table})
        assert len(rows) == 20
        false += any(row.verdict in CHANGED for row in rows.values())
    assert false <= stats.binom.isf(1e-3, times, LEVEL)  # 9 of 300


@pytest.mark.parametrize(
    ("change", "size"),
    [
        (lambda x, rng: x + 0.5, "moderate"),
        (lambda x, rng: x * 1.5, "moderate"),
        (lambda x, rng: np.where(rng.random(len(x)) < 0.3, np.nan, x), "large"),
        (lambda x, rng: x + 1.5, "large"),
    ],
    ids=["shifted", "wider", "gaps", "far"],
)
def test_a_change_of_one_among_thirty_columns_is_found(
    change: Callable[[npt.NDArray[np.float64], np.random.Generator], npt.NDArray[np.float64]], size: str
) -> None:
    rng, hits, sizes = np.random.default_rng(3), 0, []
    for _ in range(25):
        own, live = rng.normal(size=(1000, 30)), rng.normal(size=(500, 30))
        live[:, 7] = change(live[:, 7], rng)
        rows = verdicts({str(i): Numbers.of(own[:, i]) for i in range(30)}, {str(i): live[:, i] for i in range(30)})
        hits += rows["7"].verdict in CHANGED
        sizes.append(rows["7"].verdict)
        assert next(iter(rows)) == "7"  # what differs most stands first
    assert hits == 25
    assert max(set(sizes), key=sizes.count) == size


def test_unseen_categories_are_told_apart_from_the_few_to_be_expected() -> None:
    rng = np.random.default_rng(4)
    names = np.array([f"n{i}" for i in range(3000)], dtype=object)
    own = rng.choice(names, 2000).tolist()
    column = Categories.of(own)
    assert column.known is not None
    live = rng.choice(names, 1000).tolist()
    found = column.compared(column.counted(live))
    share = sum(name not in set(own) for name in live) / 1000
    assert found.unseen == (pytest.approx(sum(own.count(name) == 1 for name in set(own)) / 2000), pytest.approx(share))
    assert share > 0.4  # half of them are new, as they must be
    assert verdicts({"x": column}, {"x": live})["x"].verdict == "steady"
    other = [f"foreign {name}" for name in live]
    assert verdicts({"x": column}, {"x": other})["x"].verdict == "large"


def test_too_few_values_are_said_to_be_too_few_and_enough_are_as_many_as_it_says() -> None:
    rng = np.random.default_rng(8)
    column = Numbers.of(rng.normal(size=1000))
    few = verdicts({"x": column}, {"x": rng.normal(size=15)})["x"]
    assert few.verdict == "too few"
    needed = int(few.why.split("needs about ")[1].split()[0])
    assert 30 < needed < 200
    assert verdicts({"x": column}, {"x": []})["x"].why == "no value yet"
    assert verdicts({"x": column}, {"x": rng.normal(size=300)})["x"].verdict == "steady"
    assert verdicts({"x": column}, {"x": np.full(15, 40.0)})["x"].verdict == "large"  # a few may be enough
    assert verdicts({"x": Numbers.of([1.0, 2.0, 3.0])}, {"x": rng.normal(2, size=5000)})["x"].verdict == "too few"


def credit() -> tuple[Reference, list[dict[str, dict[str, object]]]]:
    """A reference of two columns, and rows of the same kind."""
    rng = np.random.default_rng(6)

    def rows(n: int) -> list[dict[str, dict[str, object]]]:
        ages, jobs = rng.normal(40, 10, n), rng.choice(["clerk", "farmer"], n)
        return [{"row": {"age": float(a), "job": str(j)}} for a, j in zip(ages, jobs, strict=True)]

    own = rows(2000)
    part = Part("table", {"age": True, "job": False})
    values = part.values([one["row"] for one in own])
    columns: dict[str, Column] = {
        "age": Numbers.of(np.asarray(values["age"], dtype=np.float64)),
        "job": Categories.of(list(values["job"])),  # type: ignore[arg-type]
    }
    answers = Categories.of(["good"] * 1500 + ["bad"] * 500, ["bad", "good"])
    confidence = Numbers.of(rng.uniform(0.5, 1, 2000))
    held = Side("held-out", {"class": answers, "confidence": confidence})
    return Reference({"row": part}, Side("training", columns), held, ("bad", "good")), rows(3000)


def answer(pred: str, p: float = 0.7) -> dict[str, object]:
    return {"pred": pred, "prob": {pred: p, "other": 1 - p}}


def test_a_watch_looks_at_the_last_answers_alone_and_counts_all() -> None:
    reference, rows = credit()
    watch = Watch(reference, window=800)
    old = [{"row": {"age": 90.0, "job": "clerk"}}] * 1000
    watch.take(old, [answer("bad")] * 1000)
    assert {row.column: row.verdict for row in watch.report().rows}["age"] == "large"
    rng = np.random.default_rng(0)
    for start in range(0, 1000, 10):
        said = [answer(str(rng.choice(["good", "bad"], p=[0.75, 0.25])), float(rng.uniform(0.5, 1))) for _ in range(10)]
        watch.take(rows[start : start + 10], said)
    report = watch.report()
    assert 700 <= report.n <= 900
    assert (report.total, report.unmeasured) == (2000, 0)
    assert report.changed == []
    assert report.shares["bad"][0] == 0.25
    assert 0.15 < report.shares["bad"][1] < 0.35


def test_a_class_that_is_answered_more_often_is_found_though_inputs_stay() -> None:
    reference, rows = credit()
    watch = Watch(reference)
    watch.take(rows[:600], [answer("bad" if i % 2 else "good", 0.5 + (i % 50) / 100) for i in range(600)])
    assert [row.column for row in watch.report().changed] == ["class"]


def test_what_cannot_be_measured_is_counted_and_breaks_nothing() -> None:
    reference, rows = credit()
    watch = Watch(reference)
    watch.take([{"row": {"age": "no number", "job": "clerk"}}])
    watch.take([{"elsewhere": 1}])
    watch.take(rows[:10])
    report = watch.report()
    assert (report.n, report.total, report.unmeasured) == (10, 12, 2)
    assert "no number" not in watch.fault


def test_a_watchs_memory_stays_and_threads_lose_nothing() -> None:
    reference, rows = credit()
    watch = Watch(reference, window=1000)

    def take() -> None:
        for _ in range(30):
            watch.take(rows[:100])

    take()  # whatever is made once
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        threads = [threading.Thread(target=take) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert watch.total == 7 * 3000
    assert 1000 <= watch.report().n < 1250
    assert grown < 100_000


def test_a_reference_is_the_same_once_it_was_written_as_json() -> None:
    reference, rows = credit()
    again = Reference.read(json.loads(json.dumps(reference.written())))
    reports = []
    for one in (reference, again):
        watch = Watch(one)
        watch.take(rows, [answer("good")] * len(rows))
        reports.append(json.dumps({**watch.report().written(), "since": None}))
    assert reports[0] == reports[1]
    column = Categories.of([f"n{i % 300}" for i in range(900)])
    assert column_of(json.loads(json.dumps(column.written()))).known is not None
    with pytest.raises(ExportError, match="export again"):
        Reference.read({"format": 1})
    with pytest.raises(ExportError, match="format 99"):
        Reference.read({**reference.written(), "format": 99})
