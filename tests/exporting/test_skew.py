"""Claims about exported models: what is odd about a raw input is read, or refused, as predict does."""

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
import yaml
from PIL import Image

import lightning_base as lb
from lightning_base.errors import UserError
from lightning_base.runtime.errors import ExportError, InputError
from lightning_base.runtime.kept import reader_of, settings_of
from lightning_base.runtime.model import load
from lightning_base.runtime.rows import Column, RowReader
from tests.exporting.helpers import answers, exported, predicted, trained

RNG = np.random.default_rng(3)


def houses(n: int) -> pd.DataFrame:
    """Rows with numbers as 1.234,5, booleans as ja and nein, and categories with blanks about them."""
    price, rooms, yes = RNG.integers(500, 9000, n), RNG.integers(1, 9, n), RNG.random(n) < 0.5
    value = price / 1000 + rooms + yes + RNG.normal(0, 0.1, n)
    return pd.DataFrame(
        {
            "price": [f"{one // 1000}.{one % 1000:03d},5" if one >= 1000 else f"{one},5" for one in price],
            "rooms": rooms.astype(str),
            "garden": np.where(yes, "ja", "nein"),
            "colour": RNG.choice(["red", " red ", "blue ", "blue"], n),
            "value": [f"{one:.3f}".replace(".", ",") for one in value],
        }
    )


@pytest.fixture(scope="module")
def german(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A regression on such rows, and its export."""
    folder = tmp_path_factory.mktemp("houses")
    houses(120).to_csv(folder / "houses.csv", index=False, sep=";")
    network = {"class_path": "models.mlp.MLP", "init_args": {"hidden": [8]}}
    data = {"path": str(folder / "houses.csv"), "target": "value", "decimal": ",", "thousands": "."}
    data |= {"true_values": ["ja"], "false_values": ["nein"], "na_values": ["", "NA"]}
    data |= {"split": {"class_path": "sklearn.model_selection.KFold", "init_args": {"n_splits": 2}}}
    config = {
        "name": "houses",
        "trainer": {"accelerator": "cpu", "max_epochs": 8},
        "model": {"class_path": "lightning_base.tasks.Regression", "init_args": {"network": network}},
        "data": {"class_path": "datamodules.table.Table", "init_args": data},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run = lb.crossval(folder / "config.yaml", audit="off")
        return run, exported(run, samples=20)


def test_declared_notations_and_blanks_are_read_as_predict_reads_them(german: tuple[Any, Path], tmp_path: Path) -> None:
    run, folder = german
    new = houses(12).drop(columns="value")
    new.loc[0, ["price", "garden", "colour"]] = ["1.234", " JA", " red"]
    new.loc[1, ["price", "colour"]] = [" NA ", "green "]
    new.loc[2, "price"] = "1234"
    new.to_csv(tmp_path / "new.csv", index=False, sep=";")
    found = answers(folder, tmp_path / "new.csv")
    assert [one["pred"] for one in found] == pytest.approx(list(predicted(run, tmp_path / "new.csv")["pred"]), abs=1e-5)
    assert [i for i, one in enumerate(found) if any("colour" in note for note in one.get("notes", []))] == [1]
    model = load(folder)
    rows: list[dict[str, Any]] = [{"price": "1.234", "garden": "ja"}, {"price": 1234, "garden": True}]
    one, other = model.run([model.read(row) for row in rows])
    assert one == other


def test_a_number_written_plainly_is_read_as_predict_reads_it(german: tuple[Any, Path], tmp_path: Path) -> None:
    run, folder = german
    (tmp_path / "plain.csv").write_text("price;rooms;garden;colour\n4095.5;2.0;ja;red\n")
    (found,) = answers(folder, tmp_path / "plain.csv")
    assert found["pred"] == pytest.approx(predicted(run, tmp_path / "plain.csv")["pred"][0], abs=1e-5)


def test_a_row_reader_is_kept_whole() -> None:
    columns = (Column("price", "number", "number ,|.|", plain_too=True), Column("garden", "category", known=("true",)))
    reader = RowReader(columns, ("", "NA"), (("ja", "true"),))
    assert reader_of(settings_of(reader)) == reader
    assert reader.read({"price": "1.234,5", "garden": " ja "}, "") == {"price": 1234.5, "garden": "true"}


def test_a_resampled_sound_is_not_rounded(tmp_path: Path) -> None:
    for i in range(12):
        place = tmp_path / "sounds" / ("low" if i % 2 else "high")
        place.mkdir(parents=True, exist_ok=True)
        wave = 0.4 * np.sin(np.arange(3000) * (0.1 if i % 2 else 0.5)) + RNG.normal(0, 0.02, 3000)
        soundfile.write(place / f"{i:02d}.wav", wave, 8000)
    two = {"class_path": "sklearn.model_selection.StratifiedKFold", "init_args": {"n_splits": 2}}
    keys = {"data__root": str(tmp_path / "sounds"), "data__pattern": None, "data__split": two}
    run = trained(tmp_path, "fit", "fsdd_cnn", trainer__max_epochs=1, **keys)
    folder = exported(run, samples=6)
    (home := tmp_path / "new").mkdir()
    t = np.arange(11025) / 22050
    soundfile.write(home / "quiet.wav", 0.3 * np.sin(2 * np.pi * 440 * t) * np.exp(-9 * t), 22050)
    (found,) = answers(folder, home / "quiet.wav")
    row = predicted(run, home).iloc[0]
    assert found["prob"] == pytest.approx({name: row[f"prob_{name}"] for name in found["prob"]}, abs=2e-5)
    read = load(folder).inputs.readers["sound"].read(base64.b64encode((home / "quiet.wav").read_bytes()).decode(), "")
    assert (read != np.rint(read)).any()


def test_a_picture_of_another_size_is_refused_where_predict_refuses_it(tmp_path: Path) -> None:
    for i in range(12):
        place = tmp_path / "images" / "train" / "ab"[i % 2]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(RNG.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(place / f"{i}.png")
    two = {"class_path": "sklearn.model_selection.StratifiedKFold", "init_args": {"n_splits": 2}}
    keys = {"data__root": str(tmp_path / "images"), "data__split": two}
    run = trained(tmp_path, "fit", "cifar10_lenet", trainer__max_epochs=1, **keys)
    folder = exported(run, samples=6)
    (home := tmp_path / "new").mkdir()
    Image.new("RGB", (48, 40)).save(home / "wide.png")
    with pytest.raises(UserError, match="3 × 40 × 48"):
        predicted(run, home)
    with pytest.raises(InputError, match="48×40 pixels, where the model was trained on 32×32"):
        load(folder).read_file((home / "wide.png").read_bytes())
    fine = io.BytesIO()
    Image.new("L", (32, 32)).save(fine, "PNG")
    assert load(folder).run([load(folder).read_file(fine.getvalue())])[0]["pred"] in ("a", "b")


def test_a_program_without_torch_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from lightning_base.runtime.model import _opened

    monkeypatch.setitem(sys.modules, "lightning_base.runtime.program", None)
    with pytest.raises(ExportError, match=r"model\.pt2: is torch's to run; install torch"):
        _opened(Path("model.pt2"), None, "cpu")


def test_a_folder_of_fits_is_taken_for_its_one_version(german: tuple[Any, Path], tmp_path: Path) -> None:
    keys: dict[str, Any] = {"trainer__max_epochs": 1}
    run = trained(tmp_path, "fit", "breast_cancer_mlp", **keys)
    version = Path(run.directory)
    assert Path(lb.load(version.parent).directory) == version
