"""Claims about schemes: every splitter and overlay trains through the front door, and each fold is what it says."""

import inspect
import itertools
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from lightning_base.errors import UserError
from lightning_base.splitters import FoldColumn
from lightning_base.splitters.split import make_split
from tests.helpers import CONFIGS, Run, crossval, folds_of

Folds = list[tuple[set[int], set[int]]]
N, GROUPS = 48, 6
GROUP = np.arange(N) % GROUPS
TARGET = np.arange(N) // 6 % 2
NAMED = np.random.default_rng(5).integers(-1, 3, N)
ALL = set(range(N))
SMALL = (
    *("--config", CONFIGS / "breast_cancer_mlp.yaml", "--data.source", "own.npz", "--data.test_size", "null"),
    *("--trainer.max_epochs", 1, "--trainer.logger", "false", "--model.network.num_inputs", 3),
)
OVERLAYS = sorted((CONFIGS / "cv").glob("*.yaml"))


def npz(**columns: Any) -> None:
    x = np.random.default_rng(0).normal(size=(N, 3))
    np.savez("own.npz", x=x, y=TARGET, id=[f"s{i:02d}" for i in range(N)], group=GROUP, **columns)


def train(run: Run, work: Path, *options: object) -> Folds:
    """Trains every fold; their rows, after a look at whether predictions are those of held-out samples alone."""
    run("crossval", *SMALL, *options)
    directory = crossval("breast_cancer_mlp", work)
    split, oof = pd.read_parquet(directory / "split.parquet"), pd.read_parquet(directory / "oof.parquet")
    found = []
    for fold, part in split.groupby("fold"):
        train, val = (set(part.loc[part["role"] == role, "id"].str[1:].astype(int)) for role in ("train", "val"))
        assert not train & val
        assert sorted(oof.loc[oof["fold"] == fold, "id"].str[1:].astype(int)) == sorted(val)
        assert oof.loc[oof["fold"] == fold, "repeat"].nunique() == part["repeat"].nunique() == 1
        found.append((train, val))
    return found


def partition(folds: Folds) -> bool:
    return sorted(itertools.chain(*(val for _, val in folds))) == list(range(N)) and whole(folds)


def whole(folds: Folds) -> bool:
    return all(train == ALL - val for train, val in folds)


def stratified(folds: Folds) -> bool:
    return all(2 * sum(TARGET[list(val)]) == len(val) for _, val in folds)


def grouped(folds: Folds) -> bool:
    return all(not set(GROUP[list(train)]) & set(GROUP[list(val)]) for train, val in folds)


def held(folds: Folds) -> list[set[int]]:
    return [val for _, val in folds]


OF_GROUP = [set(np.flatnonzero(g == GROUP)) for g in range(GROUPS)]
SCHEMES: dict[str, tuple[dict[str, Any], Callable[[Folds], bool]]] = {
    "KFold": ({"n_splits": 3, "shuffle": True}, partition),
    "StratifiedKFold": ({"n_splits": 3}, lambda f: partition(f) and stratified(f)),
    "GroupKFold": ({"n_splits": 3}, lambda f: partition(f) and grouped(f)),
    "StratifiedGroupKFold": ({"n_splits": 3}, lambda f: partition(f) and grouped(f)),
    "RepeatedKFold": (
        {"n_splits": 2, "n_repeats": 2},
        lambda f: partition(f[:2]) and partition(f[2:]) and f[0][1] not in held(f[2:]),
    ),
    "RepeatedStratifiedKFold": (
        {"n_splits": 2, "n_repeats": 2},
        lambda f: partition(f[:2]) and partition(f[2:]) and stratified(f) and f[0][1] not in held(f[2:]),
    ),
    "LeaveOneGroupOut": ({}, lambda f: held(f) == OF_GROUP and partition(f)),
    "LeavePGroupsOut": ({"n_groups": 5}, lambda f: held(f) == [ALL - g for g in OF_GROUP[::-1]] and whole(f)),
    "ShuffleSplit": ({"n_splits": 3, "test_size": 0.25}, lambda f: [*map(len, held(f))] == [12] * 3 and whole(f)),
    "StratifiedShuffleSplit": (
        {"n_splits": 3, "test_size": 0.25},
        lambda f: [*map(len, held(f))] == [12] * 3 and stratified(f) and whole(f),
    ),
    "GroupShuffleSplit": (
        {"n_splits": 3, "test_size": 0.25},
        lambda f: [*map(len, held(f))] == [16] * 3 and grouped(f) and whole(f),
    ),
    "PredefinedSplit": (
        {"test_fold": NAMED.tolist()},
        lambda f: held(f) == [set(np.flatnonzero(k == NAMED)) for k in range(3)] and whole(f),
    ),
    "LeaveOneOut": ({}, lambda f: held(f) == [{i} for i in range(N)] and whole(f)),
}


@pytest.mark.parametrize("name", [name for name in SCHEMES if name != "LeaveOneOut"])
def test_every_splitter_of_scikit_learn_gives_the_folds_it_names(name: str, run: Run, work: Path) -> None:
    npz()
    arguments, right = SCHEMES[name]
    options = [o for key, value in arguments.items() for o in (f"--data.split.{key}", value)]
    folds = train(run, work, "--audit", "off", "--data.split", f"sklearn.model_selection.{name}", *options)
    assert right(folds)


def test_each_sample_can_be_a_fold(run: Run, work: Path) -> None:
    npz()
    run("crossval", *SMALL, "--audit", "off", "--data.split", "sklearn.model_selection.LeaveOneOut", "--folds", "[47]")
    split = pd.read_parquet(crossval("breast_cancer_mlp", work) / "split.parquet")
    assert split.loc[split["role"] == "val", "id"].tolist() == [f"s{i:02d}" for i in range(N)]


def test_predefined_folds_are_those_of_the_rows_as_they_stand() -> None:
    samples = pd.DataFrame({"id": ["d", "a", "c", "b"], "time": [4, 1, 3, 2]})
    splitter = SCHEMES["PredefinedSplit"]
    module = import_module("sklearn.model_selection")
    split = make_split(samples, module.PredefinedSplit([0, 0, 1, -1]), 0)
    assert [fold.val.tolist() for fold in split.folds] == [[0, 1], [2]]
    with pytest.raises(UserError, match=r"names the folds of 48 rows, the pool has 4; name each row's, or take"):
        make_split(samples, module.PredefinedSplit(**splitter[0]), 0)


@pytest.mark.parametrize("overlay", OVERLAYS, ids=[path.stem for path in OVERLAYS])
def test_every_overlay_sets_its_own_splitter_whole(overlay: Path, run: Run, work: Path) -> None:
    day = np.arange(N)
    npz(time=day, time_end=day + 0.5, fold=np.where(NAMED < 0, 0, NAMED))
    base = yaml.safe_load((CONFIGS / "breast_cancer_mlp.yaml").read_text())
    base["data"]["init_args"]["split"]["init_args"]["random_state"] = 7  # a setting that many splitters have
    Path("base.yaml").write_text(yaml.safe_dump(base))
    options = ("--config", "base.yaml", "--config", overlay, *SMALL[2:], "--folds", "[0]", "--audit", "off")
    run("crossval", *options)
    saved = crossval("breast_cancer_mlp", work) / "config.yaml"
    found = yaml.safe_load(saved.read_text())["data"]["init_args"]["split"]
    wanted = yaml.safe_load(overlay.read_text())["data"]["init_args"]["split"]
    module, _, name = wanted["class_path"].rpartition(".")
    signature = inspect.signature(getattr(import_module(module), name)).parameters
    assert wanted.get("init_args", {}).keys() == signature.keys() - {"args", "kwargs"}, "else the base's would stay"
    assert found == {"init_args": {}} | wanted or found == wanted


def test_columns_name_folds_and_repeats() -> None:
    samples = pd.DataFrame({"id": list("abcdef")}).assign(
        fold=[10, 2, 10, -1, 2, 2], other=["b", "a", "b", "a", "-1", "a"]
    )
    assert folds_of(make_split(samples, FoldColumn(["fold", "other"]), 0)) == [
        ([0, 2, 3], [1, 4, 5], 0),
        ([1, 3, 4, 5], [0, 2], 0),
        ([0, 2, 4], [1, 3, 5], 1),
        ([1, 3, 4, 5], [0, 2], 1),
    ]


def test_a_tables_columns_name_its_folds_ends_and_times(run: Run, work: Path) -> None:
    rng = np.random.default_rng(1)
    day = pd.Timestamp("2024-02-20") + pd.to_timedelta(np.arange(N), unit="D")
    rows = pd.DataFrame(rng.normal(size=(N, 3)), columns=["a", "b", "c"]).assign(
        y=TARGET, no=[f"s{i:02d}" for i in range(N)], at=day, until=day + pd.Timedelta("36h"), one=NAMED, two=GROUP % 2
    )
    rows.to_csv("own.csv", index=False)
    names = {"path": "own.csv", "target": "y", "ids": "no", "time": "at", "time_end": "until"}
    options = [o for key, value in names.items() for o in (f"--data.{key}", value)]
    base = yaml.safe_load((CONFIGS / "breast_cancer_mlp.yaml").read_text())
    base["data"] = {"class_path": "datamodules.table.Table", "init_args": {"split_columns": ["one", "two"]} | names}
    Path("base.yaml").write_text(yaml.safe_dump(base))
    own = ("--config", "base.yaml", *SMALL[6:], *options)
    named = ("--data.split", "lightning_base.splitters.FoldColumn", "--data.split.columns", '["one", "two"]')
    folds = train(lambda verb, *o: run(verb, *own, *o[len(SMALL) :]), work, "--audit", "off", *named)
    assert held(folds) == [set(np.flatnonzero(k == NAMED)) for k in range(3)] + [set(range(k, N, 2)) for k in range(2)]
    temporal = ("--data.split", "lightning_base.splitters.Expanding", "--data.split.n_splits", 2, "--overwrite", "true")
    # a day and a half after its time a sample is known, and a gap of two days more is asked for
    again = (*temporal, "--data.split.gap", "2 days", "--audit", "fail")
    folds = train(lambda verb, *o: run(verb, *own, *o[len(SMALL) :]), work, *again)
    assert folds == [(set(range(13)), set(range(16, 32))), (set(range(29)), set(range(32, 48)))]


def test_a_column_that_names_no_folds_is_refused() -> None:
    samples = pd.DataFrame({"id": ["a", "b"], "fold": [0, 1], "part": [None, "x"], "one": [1, 1]})
    for column, message in (
        ("folds", "has no column 'folds', only id, fold, part, one; name one of them"),
        ("part", "sample 'a' has no 'part'; give each a fold"),
        ("one", "FoldColumn gives fold 0 0 training and 2 held-out samples"),
    ):
        with pytest.raises(UserError, match=message):
            make_split(samples, FoldColumn(column), 0)
