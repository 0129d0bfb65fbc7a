"""Claims about splits over time: nothing trains that is not over, gaps, purging and embargo are kept, and audited."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.model_selection import KFold, TimeSeriesSplit

from datamodules.arrays import Arrays
from lightning_base.auditing.audit import audit
from lightning_base.cli.entry import main
from lightning_base.errors import UserError
from lightning_base.samples.payload import Rows
from lightning_base.splitters import Ratio, TableSplitter
from lightning_base.splitters.split import make_split
from lightning_base.splitters.temporal import Expanding, PurgedKFold, Sliding
from tests.helpers import CONFIGS


def table(n: int = 120, moments: int = 60, seed: int = 0) -> pd.DataFrame:
    """Samples of several a moment, in no order, some of which take a while."""
    rng = np.random.default_rng(seed)
    time = rng.integers(0, moments, n)
    return pd.DataFrame({"id": [f"{i:03d}" for i in range(n)], "time": time, "time_end": time + rng.integers(0, 4, n)})


def daily(n: int = 60) -> pd.DataFrame:
    return pd.DataFrame({"id": [f"{i:03d}" for i in range(n)], "time": np.arange(n)})


@pytest.mark.parametrize("gap", [0, 3])
@pytest.mark.parametrize("k", [1, 4, 7])
def test_expanding_windows_of_distinct_times_are_those_of_scikit_learn(k: int, gap: int) -> None:
    split = make_split(daily(), Expanding(k, gap=gap), 0)
    if k > 1:
        expected = [(t.tolist(), v.tolist()) for t, v in TimeSeriesSplit(k, gap=gap).split(np.zeros(60))]
    else:
        expected = [([*range(30 - gap)], [*range(30, 60)])]
    assert [(fold.train.tolist(), fold.val.tolist()) for fold in split.folds] == expected


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    "splitter", [Expanding(4, gap=2), Expanding(3, 9, "time", gap=1), Sliding(4, gap=2), Sliding(3, 20, 9, "time", 1)]
)
def test_what_trains_is_over_before_the_window_begins_and_the_gap_is_kept(splitter: Expanding, seed: int) -> None:
    samples = table(seed=seed)
    time, end = samples["time"].to_numpy(), samples["time_end"].to_numpy()
    folds = make_split(samples, splitter, 0).folds
    assert len(folds) == splitter.n_splits
    for fold, later in itertools.pairwise([*folds, None]):
        assert fold is not None
        first = time[fold.val].min()
        allowed = {i for i in range(len(time)) if end[i] + int(splitter.gap) < first}
        assert set(fold.train) == allowed or isinstance(splitter, Sliding)
        assert set(fold.train) <= allowed
        assert time[fold.val].max() < (np.inf if later is None else time[later.val].min())
    assert time[folds[-1].val].max() == time.max()


def test_sliding_windows_have_one_size() -> None:
    for splitter in (Sliding(4, 10, 8, "samples", 5), Sliding(4, 10, 8, "time", 5), Sliding(4, 10 / 60, 8 / 60, gap=5)):
        folds = make_split(daily(), splitter, 0).folds
        assert [fold.val.tolist() for fold in folds] == [[*range(s, s + 8)] for s in (28, 36, 44, 52)]
        assert [fold.train.tolist() for fold in folds] == [[*range(s - 15, s - 5)] for s in (28, 36, 44, 52)]
    folds = make_split(daily(), Sliding(3), 0).folds
    assert [(fold.train.min(), fold.train.max(), fold.val.min()) for fold in folds] == [
        (0, 14, 15),
        (15, 29, 30),
        (30, 44, 45),
    ]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("purge", "embargo"), [(0, 0), (0, 5), (2, 0), (2, 5)])
def test_purged_folds_are_those_of_the_books_three_cases_and_its_embargo(purge: int, embargo: int, seed: int) -> None:
    samples = table(seed=seed)
    folds = make_split(samples, PurgedKFold(5, purge, embargo), 0).folds
    spans = list(zip(samples["time"], samples["time_end"] + purge, strict=True))
    assert sorted(np.concatenate([fold.val for fold in folds])) == list(range(len(samples)))
    for fold in folds:
        first, last = min(spans[i][0] for i in fold.val), max(spans[i][1] for i in fold.val)
        left = set()
        for i, (begins, ends) in enumerate(spans):
            starts_within = first <= begins <= last + embargo
            ends_within = first <= ends <= last
            envelops = begins <= first and last <= ends
            if not (starts_within or ends_within or envelops):
                left.add(i)
        assert set(fold.train) == left


def test_without_purge_the_spans_are_those_of_k_fold() -> None:
    folds = make_split(daily(59), PurgedKFold(4), 0).folds
    expected = [(t.tolist(), v.tolist()) for t, v in KFold(4).split(np.zeros(59))]
    assert [(fold.train.tolist(), fold.val.tolist()) for fold in folds] == expected


@pytest.mark.parametrize("kind", [Expanding, Sliding, PurgedKFold])
def test_times_may_be_written_in_any_way_and_rows_may_stand_in_any_order(kind: type[TableSplitter]) -> None:
    samples = table()
    gaps = ["purge", "embargo"] if kind is PurgedKFold else ["gap"]
    numbers, days = (dict.fromkeys(gaps, value) for value in (2, "2 days"))
    whole = make_split(samples, kind(**numbers), 0).hash
    columns = ["time", "time_end"]
    written: list[tuple[Callable[[pd.Series], Any], dict[str, Any]]] = [
        (lambda t: t.astype(float), numbers),
        (lambda t: t + 10**18, numbers),  # a float64 does not tell these apart
        (lambda t: pd.Timestamp("2023-12-20") + pd.to_timedelta(t, unit="D"), days),
        (lambda t: (pd.Timestamp("2023-12-20") + pd.to_timedelta(t, unit="D")).astype(str), days),
        (lambda t: pd.Timestamp("1950-01-01", tz="Asia/Tokyo") + pd.to_timedelta(t, unit="D"), days),
    ]
    for write, lengths in written:
        other = samples.assign(**{c: write(samples[c]) for c in columns}).sample(frac=1, random_state=3)
        assert make_split(other.reset_index(drop=True), kind(**lengths), 0).hash == whole


def own(work: Path, samples: pd.DataFrame, **others: Any) -> str:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(len(samples), 3)), np.arange(len(samples)) % 2
    np.savez(
        work / "own.npz", x=x, y=y, **{str(key): samples[key].to_numpy() for key in samples if key != "id"}, **others
    )
    return str(work / "own.npz")


class Unpurged(PurgedKFold):
    """As PurgedKFold says it is, and is not."""

    def folds(self, table: pd.DataFrame, seed: int, fingerprint: str) -> list[tuple[Rows, Rows]]:
        rows = np.arange(len(table))
        return [(np.setdiff1d(rows, val), val) for _, val in super().folds(table, seed, fingerprint)]


def test_the_audit_asks_of_each_splitter_what_it_promises(tmp_path: Path) -> None:
    path = own(tmp_path, table())
    for splitter in (Expanding(3), Sliding(3), PurgedKFold(4), TimeSeriesSplit(4), Ratio(0.2), None):
        assert audit(Arrays(source=path, split=splitter)) == []
        if not isinstance(splitter, Ratio):
            assert audit(Arrays(source=path, split=splitter, test_size=0.2)) == []
    assert audit(Arrays(source=path, split=Ratio(0.2, 0.2))) == []
    (leak,) = audit(Arrays(source=path, split=Unpurged(4)))
    assert (leak.kind, leak.fold) == ("future", None)
    assert "of train under way together with samples of val in 4 of 4 folds" in leak.detail
    (leak,) = audit(Arrays(source=path, split=KFold(4)))
    assert leak.detail.endswith("take lightning_base.splitters.Expanding, or sklearn.model_selection.TimeSeriesSplit")


class Spans(TableSplitter):
    """Two moments of twelve are held out between those that train, or all from moment 30 on; nothing is purged."""

    def __init__(self, trains_after: bool) -> None:
        self.trains_after = trains_after

    def folds(self, table: pd.DataFrame, seed: int, fingerprint: str) -> list[tuple[Rows, Rows]]:
        time = table["time"].to_numpy()
        if self.trains_after:
            return [(np.flatnonzero(time % 12 > 1), np.flatnonzero(time % 12 <= 1))]
        return [(np.flatnonzero(time < 30), np.flatnonzero(time >= 30))]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("after", [True, False])
def test_the_audit_counts_the_training_samples_that_overlap(after: bool, seed: int, tmp_path: Path) -> None:
    samples = table(240, seed=seed)
    time, end = samples["time"], samples["time_end"]
    ((train, val),) = Spans(after).folds(samples, 0, "")
    if after:
        found = sum(any(time[i] <= end[j] and time[j] <= end[i] for j in val) for i in train)
        said = f"{found} samples of train under way together with samples of val"
    else:
        found = sum(end[i] >= min(time[val]) for i in train)
        said = f"{found} samples of train that end at or after the first of val ({min(time[val])})"
    assert 1 < found < len(train)
    (leak,) = audit(Arrays(source=own(tmp_path, samples), split=Spans(after)))
    assert leak.detail.startswith(said)


@pytest.mark.parametrize("name", ["expanding", "sliding", "purged"])
def test_temporal_overlays_train_without_a_leak_and_k_fold_does_not(name: str, work: Path) -> None:
    own(work, table())
    small = (
        *("--config", CONFIGS / "breast_cancer_mlp.yaml", "--config", CONFIGS / "cv" / f"{name}.yaml"),
        *("--data.source", "own.npz", "--trainer.max_epochs", 1, "--trainer.logger", "false", "--audit", "fail"),
        *("--model.network.num_inputs", 3),
    )
    assert main(["crossval", *map(str, small)]) == 0
    directory = work / "runs" / "breast_cancer_mlp" / "crossval"
    assert pd.read_parquet(directory / "oof.parquet")["fold"].nunique() == 5
    if name == "expanding":
        again = ("--overwrite", "true", "--data.split", "sklearn.model_selection.KFold")
        assert main(["crossval", *map(str, small), *again]) == 1


REFUSED: dict[str, tuple[Callable[[], TableSplitter], dict[str, Any], str]] = {
    "no windows": (lambda: Expanding(0), {}, "n_splits 0 is below 1"),
    "one span": (lambda: PurgedKFold(1), {}, "n_splits 1 is below 2"),
    "a share of 2": (lambda: Expanding(test=2), {}, "test 2 is not a share between 0 and 1, as unit: share needs"),
    "half a sample": (lambda: Sliding(train=1.5, unit="samples"), {}, "train 1.5 is not a number of samples"),
    "no time at all": (lambda: Expanding(test=0, unit="time"), {}, "test 0 is not a duration above 0"),
    "no time": (lambda: Expanding(), {"time": None}, "the data has no `time` column"),
    "a gap of days": (lambda: Expanding(gap="2 days"), {}, "data.split.gap: '2 days' is no number, and `time` holds"),
    "a bare gap": (lambda: Expanding(gap=2), {"time": "D"}, "data.split.gap: 2 is no duration, and `time` holds mom"),
    "months": (lambda: PurgedKFold(purge="1M"), {"time": "D"}, "data.split.purge: '1M' is no duration"),
    "a negative embargo": (lambda: PurgedKFold(embargo=-1), {}, "data.split.embargo: -1 is negative"),
    "too many windows": (lambda: Expanding(5, 0.2), {}, "5 windows of 24 samples do not leave any of 120 to train on"),
    "too great a gap": (lambda: Expanding(5, gap=50), {}, "leaves fold 0 no sample to train on"),
    "too great a purge": (lambda: PurgedKFold(3, 50), {}, "purge and embargo leave fold 0 no sample to train on"),
    "one moment": (lambda: Expanding(3), {"time": 1}, "holds out no sample in fold 0: a moment holds more samples"),
    "a hole": (lambda: Expanding(3, 0.1, "time"), {}, "holds out no sample in fold 0"),
    "too long a train": (lambda: Sliding(5, 0.5, 0.15), {}, "too late for the training window of fold 0, of train 0.5"),
    "an end before": (lambda: Expanding(), {"time_end": -1}, "sample '000' has a `time_end` before its `time`"),
    "an end of days": (lambda: Expanding(), {"time_end": "2024-01-01"}, "holds numbers, the other moments"),
    "no moment": (lambda: Expanding(), {"time": "soon"}, "sample '000' has 'soon' as `time`; give every sample a num"),
    "a missing one": (lambda: PurgedKFold(), {"time": np.nan}, "sample '000' has no `time`"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_split_over_time_says_why_on_one_line(case: str) -> None:
    make, changes, message = REFUSED[case]
    samples = table()
    for column, value in changes.items():
        if value is None:
            samples = samples.drop(columns=column)
        elif value == "D":
            samples[column] = pd.Timestamp("2024-01-01") + pd.to_timedelta(samples[column], unit="D")
            samples = samples.drop(columns="time_end")
        else:
            samples[column] = value
            samples = samples.drop(columns="time_end") if column == "time" else samples
    with pytest.raises(UserError) as caught:
        make_split(samples, make(), 0)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
