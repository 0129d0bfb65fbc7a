"""Claims about exported models of tables: what they answer to a row is what predict says of it."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

import lightning_base as lb
from lightning_base.errors import ConfigError
from lightning_base.runtime.errors import ExportError, InputError
from lightning_base.runtime.model import load
from tests.exporting.helpers import answers, assert_classes_equal, exported, predicted, trained, verified
from tests.helpers import shared

RNG = np.random.default_rng(0)


def customers(n: int) -> pd.DataFrame:
    """Rows with each kind of column: numbers in two notations, dates, booleans, categories, codes, gaps."""
    age, income = RNG.integers(18, 80, n), RNG.normal(4e4, 1e4, n).round(2)
    days = pd.Timestamp("2015-01-01") + pd.to_timedelta(RNG.integers(0, 3000, n), unit="D")
    member, kind = RNG.random(n) < 0.5, RNG.choice(["a", "b", "c"], n)
    good = age / 80 + income / 8e4 + member + (kind == "a") + RNG.normal(0, 0.3, n)
    table = pd.DataFrame(
        {
            "age": age.astype(object),
            "income": [f"{value:,.2f}" for value in income],
            "since": days.strftime("%d.%m.%Y"),
            "member": np.where(member, "true", "false"),
            "kind": kind,
            "zone": [f"0{value}" for value in RNG.integers(100, 120, n)],
            "stamp": RNG.integers(0, 10**6, n) / 10 + 1.7e9,
            "outcome": np.where(good > np.median(good), "good", "bad"),
        }
    )
    table.loc[RNG.choice(n, n // 10, replace=False), "age"] = ""
    table.loc[RNG.choice(n, n // 10, replace=False), "kind"] = ""
    return table


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    """A folder with a cross-validation on such rows, and its result."""
    folder = tmp_path_factory.mktemp("customers")
    customers(240).to_csv(folder / "customers.csv", index=False)
    config = {
        "name": "customers",
        "trainer": {"accelerator": "cpu", "max_epochs": 3},
        "model": {
            "class_path": "lightning_base.tasks.Classification",
            "init_args": {"network": {"class_path": "models.mlp.MLP", "init_args": {"hidden": [8]}}},
        },
        "data": {
            "class_path": "datamodules.table.Table",
            "init_args": {
                "path": str(folder / "customers.csv"),
                "target": "outcome",
                "missing": True,
                "test_size": 0.2,
                "split": {"class_path": "sklearn.model_selection.StratifiedKFold", "init_args": {"n_splits": 3}},
            },
        },
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run = lb.crossval(folder / "config.yaml", audit="off")
        exported(run)
    return folder, run


def test_each_kind_of_column_is_read_as_predict_reads_it(table: tuple[Path, Any], tmp_path: Path) -> None:
    folder, run = table
    new = customers(60).drop(columns="outcome")
    new.loc[0, "kind"] = "never seen"
    new.loc[1, "income"] = ""
    new.loc[2, "since"] = ""
    new.loc[3, "member"] = "TRUE"
    new.to_csv(tmp_path / "new.csv", index=False)
    expected = predicted(run, tmp_path / "new.csv")
    found = answers(folder / "runs/customers/export", tmp_path / "new.csv")
    assert_classes_equal(found, expected)
    assert "kind: 'never seen' was not seen in training; it counts for nothing" in found[0]["notes"]
    assert not any("kind" in note for answer in found[1:] for note in answer.get("notes", []))


def test_json_says_the_same_as_a_csv(table: tuple[Path, Any], tmp_path: Path) -> None:
    folder, _ = table
    new = customers(8).drop(columns="outcome")
    new.to_csv(tmp_path / "new.csv", index=False)
    rows = []
    for row in new.to_dict("records"):
        given = {**row, "member": row["member"] == "true", "stamp": float(row["stamp"])}
        rows.append({key: value for key, value in given.items() if value != ""})
    (tmp_path / "new.json").write_text(json.dumps(rows))
    export = folder / "runs/customers/export"
    assert answers(export, tmp_path / "new.json") == answers(export, tmp_path / "new.csv")


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"age": "old"}, "age"),
        ({"age": True}, "age"),
        ({"age": 1e39}, "age"),
        ({"age": [1]}, "age"),
        ({"agee": 3}, "agee"),
        ({"since": "2015-01-01"}, "since"),
        ({"income": "1.234,5"}, "income"),
        ({}, ""),
        ({"age": None}, ""),
        ([1], ""),
        (None, ""),
    ],
)
def test_what_does_not_fit_is_told_by_field(table: tuple[Path, Any], given: Any, field: str) -> None:
    model = load(table[0] / "runs/customers/export")
    with pytest.raises(InputError) as refused:
        model.read(given)
    assert refused.value.field == field


def test_it_verifies_itself_without_torch(table: tuple[Path, Any]) -> None:
    done = verified(table[0] / "runs/customers/export")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("ok: customers")


def test_an_export_that_was_changed_is_refused(table: tuple[Path, Any], tmp_path: Path) -> None:
    folder = exported(table[1], out=tmp_path / "changed")
    content = json.loads((folder / "preprocessing.json").read_text())
    content["members"][0]["row"]["shift"] = {"age": 30.0}
    (folder / "preprocessing.json").write_text(json.dumps(content))
    with pytest.raises(ExportError, match=r"preprocessing\.json: is not as it was exported"):
        load(folder)


def test_a_folder_that_is_there_is_kept(table: tuple[Path, Any], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is there already"):
        lb.export(table[1])
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="no exported folder"):
        lb.export(table[1], out=tmp_path / "mine", overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "mine"


def test_the_card_says_what_the_summary_says(table: tuple[Path, Any]) -> None:
    folder, run = table
    card = (folder / "runs/customers/export/card.md").read_text()
    one = run.summary.metrics["accuracy"]
    low, high = one.ci95
    assert f"| accuracy | {one.score:.4f} | {low:.4f} … {high:.4f} | {one.trivial:.4f} |" in card
    assert "192 samples from `customers.csv`, 2 classes: bad, good" in card
    assert "sealed test samples were not read" in card
    assert not (folder / "runs/customers/crossval/test.json").exists()


def test_a_binary_ensembles_threshold_is_predicts(tmp_path: Path) -> None:
    data = shared("german-credit") / "german.data"
    three = {"class_path": "sklearn.model_selection.StratifiedKFold", "init_args": {"n_splits": 3}}
    overrides = {"data__path": str(data), "data__split": three}
    run = trained(tmp_path, "crossval", "german_credit_binary", trainer__max_epochs=2, **overrides)
    (tmp_path / "new.data").write_text("\n".join(data.read_text().splitlines()[:50]))
    expected = predicted(run, tmp_path / "new.data")
    folder = exported(run)
    names = json.loads((folder / "schema.json").read_text())["input"]["properties"]
    rows = [line.split() for line in (tmp_path / "new.data").read_text().splitlines() if line.strip()]
    header = [*names, "risk"]
    (tmp_path / "new.csv").write_text("\n".join([",".join(header), *(",".join(row) for row in rows)]))
    found = answers(folder, tmp_path / "new.csv")
    assert_classes_equal(found, expected)
    assert [answer["threshold"] for answer in found] == pytest.approx(list(expected["threshold"]))
    assert {answer["pred"] for answer in found} == {"1", "2"}


def test_users_and_items_are_asked_by_name(tmp_path: Path) -> None:
    lines = (shared("ml-100k") / "u.data").read_text().splitlines()
    (tmp_path / "u.data").write_text("\n".join(lines[:4000]))
    run = trained(tmp_path, "fit", "ml100k_mf", data__path=str(tmp_path / "u.data"), trainer__max_epochs=1)
    some = [line.split("\t") for line in lines[100:120]]
    some[0][0] = "99999"
    (tmp_path / "new.data").write_text("\n".join("\t".join(row) for row in some))
    pd.DataFrame([row[:2] for row in some], columns=["user", "item"]).to_csv(tmp_path / "new.csv", index=False)
    folder = exported(run, samples=20)
    expected = predicted(run, tmp_path / "new.data")
    found = answers(folder, tmp_path / "new.csv")
    assert [answer["pred"] for answer in found] == pytest.approx(list(expected["pred"]), abs=1e-5)
    assert found[0]["notes"] == ["user: '99999' was not seen in training; it counts for nothing"]
    with pytest.raises(InputError, match="item: is missing"):
        load(folder).read({"user": "1"})
