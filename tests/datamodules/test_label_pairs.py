"""Labels as a table of pairs, beside a table of samples and beside images."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from sklearn.datasets import load_digits

from datamodules.image_folder import ImageFolder
from datamodules.joined import Joined
from datamodules.table import Table
from lightning_base.clean.cleaning import Cleaning
from lightning_base.data import BaseDataModule
from lightning_base.errors import ConfigError, DataError
from lightning_base.results.tables import read_table
from tests.helpers import Run, crossval, read_json

N = 150
LABELS = ["even", "large", "prime"]


def properties(digit: int) -> list[str]:
    told = {"even": digit % 2 == 0, "prime": digit in (2, 3, 5, 7), "large": digit > 4}
    return [name for name in LABELS if told[name]]


@pytest.fixture
def digits(work: Path) -> pd.DataFrame:
    """`rows.csv` of digits' pixels with a column of labels in lists, `pairs.csv` of the same labels as pairs."""
    x, digit = load_digits(return_X_y=True)
    rows = pd.DataFrame(x[:N], columns=[f"p{i}" for i in range(64)]).loc[:, x[:N].std(axis=0) > 0]
    rows.insert(0, "name", [f"d{i:03d}" for i in range(N)])
    rows["tags"] = [";".join(properties(d)) for d in digit[:N]]
    rows.to_csv("rows.csv", index=False)
    pairs = rows[["name", "tags"]].assign(tags=rows["tags"].str.split(";")).explode("tags")
    pairs.sample(frac=1, random_state=0).to_csv("pairs.csv", index=False)  # one row without a label for 1 and 9
    return rows


def of(digits: pd.DataFrame, **given: Any) -> Table:
    columns = [name for name in digits if name.startswith("p")]
    return Table(path="rows.csv", ids="name", columns=columns, label_pairs="pairs.csv", **given)


def labels_of(data: BaseDataModule, source: Any = "pool") -> dict[str, list[str]]:
    samples = data.samples(source)
    assert samples.targets is not None
    names = np.array(samples.targets.names)
    y = np.asarray(samples.targets.payload[np.arange(len(samples))])
    return {id_: names[row == 1].tolist() for id_, row in zip(samples.table["id"], y, strict=True)}


def test_pairs_train_as_the_same_labels_in_lists(run: Run, digits: pd.DataFrame) -> None:
    """Every probability is that of the table whose cells list the labels."""
    columns = [name for name in digits if name.startswith("p")]
    split = {"class_path": "sklearn.model_selection.KFold", "init_args": {"n_splits": 2, "shuffle": True}}
    common = {"path": "rows.csv", "ids": "name", "columns": columns, "split": split, "test_size": 0.2}
    for name, given in {
        "pairs": {"label_pairs": "pairs.csv"},
        "lists": {"target": "tags", "label_separator": ";"},
    }.items():
        network = {"class_path": "models.mlp.MLP", "init_args": {"num_outputs": 3, "hidden": [16]}}
        content = {
            "name": name,
            "seed_everything": 0,
            "trainer": {"accelerator": "cpu", "max_epochs": 4, "logger": False},
            "model": {"class_path": "lightning_base.tasks.MultiLabel", "init_args": {"network": network}},
            "data": {"class_path": "datamodules.table.Table", "init_args": {**common, **given}},
        }
        Path(f"{name}.yaml").write_text(yaml.safe_dump(content))
        run("crossval", "--config", f"{name}.yaml")
        run("test", "--ckpt_path", crossval(name))
    for file in ("oof.parquet", "test.parquet"):
        pd.testing.assert_frame_equal(*(read_table(crossval(name) / file) for name in ("pairs", "lists")))
    summaries = [read_json(crossval(name) / "summary.json")["metrics"] for name in ("pairs", "lists")]
    assert summaries[0] == summaries[1]


def test_a_row_of_a_test_file_has_labels_of_the_pool_alone(digits: pd.DataFrame) -> None:
    digits[:20].assign(name="t" + digits["name"]).drop(columns="tags").to_csv("test.csv", index=False)
    pairs = pd.DataFrame({"name": [f"td{i:03d}" for i in range(20)], "tags": ["even"] * 19 + ["odd"]})
    pairs.to_csv("test_pairs.csv", index=False)
    with pytest.raises(ConfigError, match=r"data\.test_label_pairs: not given, and there are test samples"):
        of(digits, test_path="test.csv").samples("test")
    data = of(digits, test_path="test.csv", test_label_pairs="test_pairs.csv", clean=Cleaning(target="drop"))
    assert labels_of(data, "test") == {f"td{i:03d}": ["even"] for i in range(19)}
    (one,) = data.findings["test"].query("kind == 'target'").itertuples()
    assert (one.id, one.detail) == ("td019", "label 'odd', none of even, large, prime")


def test_ids_in_one_file_alone_are_said_and_no_sample_is_taken_for_one_without_labels(digits: pd.DataFrame) -> None:
    expected = {row.name: row.tags.split(";") if row.tags else [] for row in digits.itertuples(index=False)}
    pairs = pd.read_csv("pairs.csv")
    pairs = pairs[~pairs["name"].isin(["d007", "d008"])]
    more = pd.DataFrame({"name": ["x1", "x1", "d010", "d010"], "tags": ["even", "large", "even", None]})
    pd.concat([pairs, more, pairs.head(3)]).to_csv("pairs.csv", index=False)
    with pytest.raises(
        DataError, match=r"d007: has no row in pairs\.csv; give it one without a label, or set data\.un"
    ):
        of(digits, clean=Cleaning(unmatched="drop")).samples("pool")
    data = of(digits, clean=Cleaning(unmatched="drop", target="drop"))
    found = data.findings["pool"] if data.samples("pool") else None
    assert found is not None
    said = {row.id: row.kind for row in found.itertuples() if row.kind in ("target", "unmatched")}
    assert said == {"d007": "target", "d008": "target", "d010": "target", "x1": "unmatched"}
    left = {id_: tags for id_, tags in expected.items() if id_ not in said}
    assert labels_of(data) == left
    declared = of(digits, clean=Cleaning(unmatched="drop", target="drop"), unlabelled=True)
    assert labels_of(declared) == {**left, "d007": [], "d008": []}
    assert [id_ for id_, tags in left.items() if not tags], "a row without a label says so"


def test_images_have_the_labels_that_pairs_give_their_paths(digits: pd.DataFrame, run: Run) -> None:
    images, digit = load_digits().images[:N].astype(np.uint8), load_digits().target[:N]
    rows = []
    for i, image in enumerate(images):
        for part, name in (("train", f"{i % 3}/{i:03d}.png"), ("test", f"{i:03d}.png")):
            if part == "train" or i < 20:
                path = Path("images", part, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(image).save(path)
                rows += [(part, name, tag, i) for tag in properties(int(digit[i])) or [None]]
    table = pd.DataFrame(rows, columns=["part", "file", "tag", "by"])
    for part, some in table.groupby("part"):
        some.drop(columns="part").to_csv(f"images/{part}.csv", index=False)
    given: dict[str, Any] = {
        "root": "images",
        "mode": "L",
        "label_pairs": "images/train.csv",
        "test_label_pairs": "images/test.csv",
    }
    with pytest.raises(ConfigError, match=r"data\.pair_columns: images/train\.csv has the columns file, tag, by"):
        ImageFolder(**given).samples("pool")
    data = ImageFolder(**given, pair_columns=("file", "tag"))
    for source, part in (("pool", "train"), ("test", "test")):
        mine = table[table["part"] == part]
        expected = mine.groupby("file")["tag"].agg(lambda tags: [one for one in tags if isinstance(one, str)])
        assert labels_of(data, source) == {name: sorted(tags) for name, tags in expected.items()}
        assert data.findings[source].query("kind in ['unused', 'target', 'unmatched']").empty  # type: ignore[index]
    content = {
        "class_path": "datamodules.image_folder.ImageFolder",
        "init_args": {**given, "pair_columns": ["file", "tag"]},
    }
    network = {"class_path": "models.linear.Linear", "init_args": {"num_outputs": 3}}
    model = {"class_path": "lightning_base.tasks.MultiLabel", "init_args": {"network": network}}
    trainer = {"accelerator": "cpu", "max_epochs": 1, "logger": False}
    Path("x.yaml").write_text(yaml.safe_dump({"name": "x", "trainer": trainer, "model": model, "data": content}))
    run(
        "crossval",
        "--config",
        "x.yaml",
        "--data.split",
        "{class_path: sklearn.model_selection.KFold, init_args: {n_splits: 2}}",
    )
    run("test", "--ckpt_path", crossval("x"))
    found = read_table(crossval("x") / "test.parquet").set_index("id")
    for i in range(20):
        told = [name for name in LABELS if found.loc[f"{i:03d}.png", f"target_{name}"] == 1]
        assert told == properties(int(digit[i]))


def test_pairs_are_the_target_of_a_part_of_several_inputs(digits: pd.DataFrame) -> None:
    other = digits[["name", "p10", "p20"]]
    other.to_csv("other.csv", index=False)
    parts: dict[str, BaseDataModule] = {"a": Table(path="other.csv", target=[], ids="name"), "b": of(digits)}
    assert labels_of(Joined(parts=parts)) == labels_of(of(digits))


def test_two_targets_and_a_table_without_ids_are_refused(digits: pd.DataFrame) -> None:
    with pytest.raises(ConfigError, match=r"data\.label_pairs: .*leave data\.target out, name data\.ids"):
        Table(path="rows.csv", target="tags", ids="name", label_pairs="pairs.csv")
    with pytest.raises(ConfigError, match=r"data\.label_pairs"):
        Table(path="rows.csv", label_pairs="pairs.csv")
    with pytest.raises(ConfigError, match=r"data\.label_pairs: not given; test_label_pairs"):
        Table(path="rows.csv", target="tags", unlabelled=True)
    pd.DataFrame({"tags": ["even"], "name": ["d000"]}).to_csv("pairs.csv", index=False)
    with pytest.raises(DataError, match=r"names no sample; its first id is 'even', and theirs 'd000'"):
        of(digits).samples("pool")


def test_a_file_without_a_line_of_names_is_refused(work: Path) -> None:
    Path("x.csv").write_text("id,a\n7,1\n8,2\n9,3\n")
    Path("p.csv").write_text("7,red\n7,blue\n8,red\n9,blue\n")
    with pytest.raises(DataError, match="its first line is to name the columns, and '7' is a sample"):
        Table(path="x.csv", ids="id", target=[], label_pairs="p.csv").dataset("pool")
