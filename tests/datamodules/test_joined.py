"""Several inputs from YAML alone: digits' left halves as pictures, and a table of their right halves."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import torch
import yaml
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import KFold

import lightning_base as lb
from datamodules.image_folder import ImageFolder
from datamodules.joined import Joined
from datamodules.table import Table
from lightning_base.data import Samples, Source
from lightning_base.errors import ConfigError, DataError
from lightning_base.results.tables import read_table
from lightning_base.tasks import Classification
from tests.any_task.image_with_table import Halves, TwoInputs
from tests.helpers import Run, crossval, read_json, refused, weights

N = 200
ADAM = {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}}
MODEL = {
    "class_path": "lightning_base.tasks.Classification",
    "init_args": {"network": {"class_path": "tests.any_task.image_with_table.TwoInputs"}, "optimizer": ADAM},
}


def write(folder: Path, rows: range, digits: bool = True) -> pd.DataFrame:
    """Pictures `images/0000.png` and `table.csv` of these digits, as `Halves` has them in memory; the table."""
    x, digit = load_digits().images[rows.start : rows.stop], load_digits().target[rows.start : rows.stop]
    (folder / "images").mkdir(parents=True)
    for i, image in zip(rows, x, strict=True):
        Image.fromarray(image[:, :4].astype(np.uint8)).save(folder / "images" / f"{i:04d}.png")
    columns = dict(zip("abcd", x[:, :, 4:].mean(axis=1).T, strict=True))
    foot = np.where(x[:, 7, 4] > 8, "yes", "no")
    table = pd.DataFrame({"file": [f"{i:04d}.png" for i in rows], **columns, "foot": foot, "digit": digit})
    table = table.iloc[np.random.default_rng(0).permutation(len(table))]  # joined by ids, not by place
    table.drop(columns=[] if digits else ["digit"]).to_csv(folder / "table.csv", index=False)
    return table.set_index("file")


def parts(root: str = "pool") -> dict[str, Any]:
    images = {"root": f"{root}/images", "mode": "L", "class_folders": False}
    table = {"path": f"{root}/table.csv", "target": "digit", "ids": "file"}
    return {
        "image": {"class_path": "datamodules.image_folder.ImageFolder", "init_args": images},
        "table": {"class_path": "datamodules.table.Table", "init_args": table},
    }


def configuration(**data: Any) -> dict[str, Any]:
    split = {"class_path": "sklearn.model_selection.KFold", "init_args": {"n_splits": 2, "shuffle": True}}
    return {
        "name": "joined",
        "seed_everything": 0,
        "trainer": {"accelerator": "cpu", "max_epochs": 4, "logger": False},
        "model": MODEL,
        "data": {
            "class_path": "datamodules.joined.Joined",
            "init_args": {"parts": parts(), "batch_size": 20, "split": split, "test_size": 0.2, **data},
        },
    }


@pytest.fixture
def config(work: Path) -> Callable[..., str]:
    """Writes an experiment over the files in the working directory."""
    write(Path("pool"), range(N))

    def made(**data: Any) -> str:
        Path("joined.yaml").write_text(yaml.safe_dump(configuration(**data)))
        return "joined.yaml"

    return made


class First(Halves):
    """The same digits, held in memory."""

    def dataset(self, source: Source) -> Samples:
        return super().dataset(source).take(np.arange(N))


def test_two_files_train_as_the_same_two_inputs_in_memory(run: Run, config: Callable[..., str]) -> None:
    """Folds, sealed samples and every probability are those of a data module that has both inputs in arrays."""
    run("crossval", "--config", config())
    run("test", "--ckpt_path", crossval("joined"))
    lb.crossval(
        task=lambda: Classification(TwoInputs(), optimizer=partial(torch.optim.Adam, lr=0.01)),
        data=lambda: First(batch_size=20, split=KFold(2, shuffle=True), test_size=0.2),
        name="arrays",
        trainer={"accelerator": "cpu", "max_epochs": 4, "logger": False},
        seed=0,
    ).test()
    for file in ("oof.parquet", "test.parquet"):
        ours, theirs = (read_table(crossval(name) / file).sort_values("id") for name in ("joined", "arrays"))
        assert [id_.removesuffix(".png") for id_ in ours["id"]] == theirs["id"].tolist()
        np.testing.assert_array_equal(ours["target"], theirs["target"])
        probabilities = [table.filter(like="prob_").to_numpy() for table in (ours, theirs)]
        assert probabilities[0].shape[1] == 10
        np.testing.assert_allclose(*probabilities, rtol=0, atol=1e-6)
    summaries = [read_json(crossval(name) / "summary.json")["metrics"]["accuracy"] for name in ("joined", "arrays")]
    assert summaries[0]["score"] == summaries[1]["score"] > 0.5


def test_new_images_and_rows_are_predicted_by_the_same_ids(run: Run, config: Callable[..., str]) -> None:
    new = write(Path("new"), range(N, N + 30), digits=False)
    run("crossval", "--config", config())
    asked = ("--data.predict", "{image: new/images, table: new/table.csv}")
    run("predict", "--ckpt_path", crossval("joined"), *asked)
    found = read_table(crossval("joined") / "ensemble.parquet")
    assert sorted(found["id"]) == sorted(new.index)
    right = (found.filter(like="prob_").to_numpy().argmax(axis=1) == new.loc[found["id"], "digit"]).mean()
    assert right > 0.5
    # as a whole loop over one checkpoint's network and NumPy's statistics has it
    run("predict", "--ckpt_path", crossval("joined") / "fold_0" / "checkpoints" / "last.ckpt", *asked)
    alone = read_table(crossval("joined") / "fold_0" / "predict.parquet").set_index("id").filter(like="prob_")
    split = pd.read_parquet(crossval("joined") / "split.parquet")
    train = split.query("fold == 0 and role == 'train'")["id"]
    np.testing.assert_allclose(alone.to_numpy(), by_hand(train, new.index, alone.index), atol=1e-5)


def by_hand(train: "pd.Series[str]", new: Any, ids: Any) -> npt.NDArray[np.float32]:
    """Fold 0's probabilities of the new samples, read by PIL and pandas."""
    network = TwoInputs()
    state = weights(crossval("joined") / "fold_0")
    network.load_state_dict({k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")})

    def read(root: str, names: Any) -> tuple[npt.NDArray[np.float64], pd.DataFrame]:
        images = np.stack([np.asarray(Image.open(f"{root}/images/{name}"), dtype=np.float64) for name in names])
        return images, pd.read_csv(f"{root}/table.csv").set_index("file").loc[list(names)]

    (old_x, old_t), (x, t) = read("pool", train), read("new", ids)
    x = (x - old_x.mean()) / old_x.std()
    numbers = list("abcd")
    z = (t[numbers] - old_t[numbers].mean()) / old_t[numbers].std(ddof=0)
    onehot = np.stack([t["foot"] == "no", t["foot"] == "yes"], axis=1)
    table = np.concatenate([z.to_numpy(), onehot], axis=1)
    with torch.no_grad():
        logits = network(torch.tensor(x[:, None], dtype=torch.float32), torch.tensor(table, dtype=torch.float32))
    return np.asarray(logits.softmax(dim=1))


def test_ids_of_one_part_alone_are_findings_and_none_vanishes(run: Run, config: Callable[..., str]) -> None:
    Path("pool/images/0007.png").unlink()
    table = pd.read_csv("pool/table.csv")
    table[table["file"] != "0009.png"].to_csv("pool/table.csv", index=False)
    Path("pool/images/0011.png").write_bytes(b"no image")
    Path("pool/images/notes.txt").write_text("beside")
    with pytest.raises(DataError, match=r"0009\.png: is in image, and not in table .*data\.clean\.unmatched: drop"):
        lb.prepare(config(clean={"unreadable": "drop"}))
    run("prepare", "--config", config(clean={"unreadable": "drop", "unmatched": "drop"}))
    found = pd.read_parquet("runs/joined/prepare/cleaning.parquet").set_index("id")
    assert found["kind"].to_dict() == {
        "0007.png": "unmatched",
        "0009.png": "unmatched",
        "0011.png": "unreadable",
        "notes.txt": "unused",
    }
    assert found.loc["0007.png", "detail"] == "is in table, and not in image"
    assert found.loc["0011.png", "detail"].startswith("image: ")
    columns = yaml.safe_load(Path("runs/joined/prepare/schema_table.yaml").read_text())["columns"]
    kinds = {one["name"]: one["kind"] for one in columns}
    assert kinds == {"file": "ids", "digit": "target", **dict.fromkeys("abcd", "number"), "foot": "category"}
    left = set(pd.read_parquet("runs/joined/prepare/split.parquet")["id"])
    assert left | set(found.index) == {f"{i:04d}.png" for i in range(N)} | {"notes.txt"}


def test_a_part_of_which_augmentation_and_cleaning_speak_is_named(config: Callable[..., str], work: Path) -> None:
    flip = {"name": "image", "op": {"class_path": "lightning_base.augment.Flip"}}
    table = pd.read_csv("pool/table.csv").assign(e=1.5)
    table.to_csv("pool/table.csv", index=False)
    clean = {"constant": "drop", "outlier": "fix", "ranges": {"table.a": [0, 5]}}
    file = config(augment=[{"class_path": "lightning_base.augment.Of", "init_args": flip}], clean=clean)
    result = lb.crossval(file)
    found = pd.read_parquet(result.directory / "cleaning.parquet")
    assert found[found["kind"] == "constant"]["id"].tolist() == ["table.e"]
    over = table.set_index("file")["a"] > 5
    assert set(found[found["kind"] == "outlier"]["id"]) == set(over.index[over])
    new = write(Path("new"), range(N, N + 10), digits=False).assign(e=1.5)
    new.to_csv("new/table.csv")
    asked = {"data.predict": {"image": "new/images", "table": "new/table.csv"}}
    predicted = lb.predict(result.directory, overrides=asked)
    assert len(predicted) == 10


def test_a_table_without_a_target_stands_beside_images_with_classes(run: Run, config: Callable[..., str]) -> None:
    table = pd.read_csv("pool/table.csv")
    for name, digit in zip(table["file"], table["digit"], strict=True):
        Path("pool/images", str(digit)).mkdir(exist_ok=True)
        Path("pool/images", name).rename(f"pool/images/{digit}/{name}")
    table["file"] = table["digit"].astype(str) + "/" + table["file"]
    table.drop(columns="digit").to_csv("pool/table.csv", index=False)
    given = parts()
    given["image"]["init_args"]["class_folders"] = True
    given["table"]["init_args"]["target"] = []
    run("crossval", "--config", config(parts=given))
    found = read_table(crossval("joined") / "oof.parquet")
    assert found["target_class"].tolist() == [id_.split("/")[0] for id_ in found["id"]]


def test_the_target_the_group_and_the_time_are_those_of_the_part_that_is_named(work: Path) -> None:
    write(Path("pool"), range(N))
    table = pd.read_csv("pool/table.csv")
    for i, name in enumerate(table["file"]):
        folder = Path("pool/sorted") / ("even" if i % 2 else "odd")
        folder.mkdir(parents=True, exist_ok=True)
        Path("pool/images", name).rename(folder / name)
    table["file"] = [("even/" if i % 2 else "odd/") + name for i, name in enumerate(table["file"])]
    table["who"] = [f"p{i % 7}" for i in range(N)]
    table.to_csv("pool/table.csv", index=False)
    image = ImageFolder(root="pool/sorted", mode="L")
    rows = Table(path="pool/table.csv", target="digit", ids="file", group="who")
    with pytest.raises(DataError, match=r"data\.target: the parts image, table have a target each; say which one"):
        Joined(parts={"image": image, "table": rows}).samples("pool")
    by_image = Joined(parts={"image": image, "table": rows}, target="image").samples("pool")
    assert by_image.classes == ("even", "odd")
    assert [by_image.classes[i] for i in by_image.table["target"]] == [i.split("/")[0] for i in by_image.table["id"]]
    by_table = Joined(parts={"image": image, "table": rows}, target="table").samples("pool")
    known = table.set_index("file").loc[by_table.table["id"]]
    assert [by_table.classes[i] for i in by_table.table["target"]] == known["digit"].astype(str).tolist()
    assert by_table.table["group"].tolist() == known["who"].tolist()
    with pytest.raises(DataError, match=r"data\.time: the part table .* has no time"):
        Joined(parts={"image": image, "table": rows}, target="table", time="table").samples("pool")


def test_what_would_count_for_nothing_is_refused(
    config: Callable[..., str], capsys: pytest.CaptureFixture[str]
) -> None:
    other = parts()
    other["image"]["init_args"]["batch_size"] = 3
    refused(capsys, ["crossval", "--config", config(parts=other)], "data.parts.image.batch_size", "data.batch_size")
    other = parts()
    del other["table"]["init_args"]["ids"]
    refused(capsys, ["crossval", "--config", config(parts=other)], "data.parts.table.ids", "name the column")
    other = parts()
    other["image"]["init_args"]["root"] = "nowhere"
    refused(capsys, ["crossval", "--config", config(parts=other)], "data.parts.image.root: no folder nowhere")
    other = parts()
    other["image"]["init_args"]["rooot"] = "nowhere"
    refused(capsys, ["crossval", "--config", config(parts=other)], "rooot")
    refused(capsys, ["crossval", "--config", config(target="tabel")], "data.target: 'tabel' is none of the parts")
    frame = pd.read_csv("pool/table.csv")
    pd.concat([frame, frame.head(1)]).to_csv("pool/table.csv", index=False)
    refused(capsys, ["prepare", "--config", config()], "stands in two rows", frame["file"][0])
    frame.assign(file="x" + frame["file"]).to_csv("pool/table.csv", index=False)
    refused(capsys, ["prepare", "--config", config()], "no id is in all parts", "'0000.png' of image")


def test_sealed_files_of_both_parts_are_the_test_source(run: Run, work: Path) -> None:
    write(Path("pool"), range(N))
    write(Path("sealed"), range(N, N + 40))
    Path("both").mkdir()
    Path("pool/images").rename("both/train")
    Path("sealed/images").rename("both/test")
    given = parts()
    given["image"]["init_args"]["root"] = "both"
    with_test = {**given["table"], "init_args": {**given["table"]["init_args"], "test_path": "sealed/table.csv"}}
    content = configuration(parts={**given, "table": with_test}, test_size=None)
    Path("joined.yaml").write_text(yaml.safe_dump(content))
    run("crossval", "--config", "joined.yaml")
    run("test", "--ckpt_path", crossval("joined"))
    found = read_table(crossval("joined") / "test.parquet")
    true = pd.read_csv("sealed/table.csv").set_index("file")["digit"]
    assert found["target_class"].tolist() == true.loc[found["id"]].astype(str).tolist()
    data = Joined(
        parts={
            "image": ImageFolder(root="both", mode="L", class_folders=False),
            "table": Table(path="pool/table.csv", target="digit", ids="file"),
        }
    )
    with pytest.raises(DataError, match=r"data\.parts\.table: .* has no test rows.*; the part image has test samples"):
        data.samples("test")
    with pytest.raises(ConfigError, match="others"):
        Joined(parts=data.parts, test_size=0.2).samples("pool")
