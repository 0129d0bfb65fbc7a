"""Claims about run folders that others have had their hands on: nothing of theirs is obeyed, or scored as the run's."""

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from lightning_base.cli.entry import main
from lightning_base.tools.locks import hold
from lightning_base.training.checkpoint import write
from tests.helpers import checkpoint, crossval, read_json, refused, run_in

FOLDS = {"class_path": "sklearn.model_selection.StratifiedKFold", "init_args": {"n_splits": 3, "shuffle": True}}
SEARCH = {"grid": {"model.optimizer.lr": [0.01, 0.02]}, "metric": "accuracy"}
INNER = {"class_path": "sklearn.model_selection.StratifiedKFold", "init_args": {"n_splits": 2}}


def config(**data: object) -> dict[str, object]:
    """A classifier of the rows of table.csv."""
    network = {"class_path": "models.mlp.MLP", "init_args": {"num_outputs": 2, "hidden": [4]}}
    table = {"path": "table.csv", "target": "y", "ids": "id", "test_size": 0.25, "split": FOLDS}
    adam = {"class_path": "torch.optim.Adam", "init_args": {"lr": 0.01}}
    return {
        "trainer": {"max_epochs": 2, "accelerator": "cpu", "logger": False, "enable_progress_bar": False},
        "audit": "off",
        "model": {
            "class_path": "lightning_base.tasks.Classification",
            "init_args": {"network": network, "optimizer": adam},
        },
        "data": {"class_path": "datamodules.table.Table", "init_args": {**table, **data}},
    }


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(120, 3)).round(4), columns=["a", "b", "c"])
    frame.insert(0, "id", [f"r{row:03d}" for row in range(120)])
    return frame.assign(y=np.where(frame["a"] + rng.normal(size=120) > 0, "yes", "no"))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with a run, one of other settings, one with a search, on one split."""
    work = tmp_path_factory.mktemp("own")
    table().to_csv(work / "table.csv", index=False)
    (work / "own.yaml").write_text(yaml.safe_dump(config()))
    (work / "search.yaml").write_text(yaml.safe_dump(config() | {"search": SEARCH | {"inner": INNER}}))
    run_in(work, "crossval", "--config", "own.yaml", "--name", "a", "--refit", "true")
    run_in(work, "crossval", "--config", "own.yaml", "--name", "b", "--model.optimizer.lr", 0.5)
    run_in(work, "crossval", "--config", "search.yaml", "--name", "nested")
    return work


@pytest.fixture
def home(runs: Path, work: Path) -> Path:
    """A copy of it, to be changed."""
    shutil.copytree(runs, work, dirs_exist_ok=True)
    return crossval("a")


def test_the_search_of_a_foreign_folder_is_not_obeyed(
    home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("evilmod.py").write_text("from models.mlp import MLP\nopen('PWNED', 'w').close()\nclass E(MLP): pass\n")
    monkeypatch.setattr(sys, "path", [str(Path.cwd()), *sys.path])
    nested = crossval("nested")
    for values in ({"model.network.class_path": "evilmod.E"}, {"model.network.activation": "tanh"}):
        for folder, file in ((home, "own.yaml"), (nested, "search.yaml")):
            (folder / "fold_1" / "search.json").write_text(json.dumps({"values": values}))
            for verb, path in (("test", folder), ("predict", folder), ("validate", folder / "fold_1")):
                words = [verb, "--ckpt_path", path, "--config", file, "--data.predict", "table.csv"]
                refused(capsys, words, "fold_1/search.json", "search")
    assert not Path("PWNED").exists()
    assert "evilmod" not in sys.modules


def test_a_search_serves_with_its_own_configuration_and_with_its_folds(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nested = crossval("nested")
    fold = nested / "fold_0"
    scores = []
    for words in (("--ckpt_path", fold, "--config", "search.yaml"), ("--ckpt_path", fold)):
        assert main(["validate", *map(str, words)]) == 0
        scores.append(capsys.readouterr().out.split("metric")[1])
    assert scores[0] == scores[1]
    assert main(["test", "--ckpt_path", str(nested)]) == 0
    assert read_json(nested / "test.json")["members"] == 3


def spoil(home: Path, what: str) -> str:
    """Puts something of another fold or another run into fold_1; the file that is to be named."""
    fold, other = home / "fold_1", crossval("b") / "fold_1"
    if what == "another fold":
        shutil.rmtree(fold)
        shutil.copytree(home / "fold_2", fold)
        return "fold_1/result.json: it is of fold 2"
    if what == "another run's fold":
        shutil.rmtree(fold)
        shutil.copytree(other, fold)
        return "fold_1/result.json: it is of another experiment"
    if what == "another run's predictions":
        shutil.copy(other / "predictions.parquet", fold)
        return "fold_1/predictions.parquet"
    if what == "another fold's predictions":
        shutil.copy(home / "fold_2" / "predictions.parquet", fold)
        return "fold_1/predictions.parquet"
    if what == "another run's checkpoint":
        shutil.copy(other / "checkpoints" / "last.ckpt", fold / "checkpoints")
        return "fold_1/checkpoints/last.ckpt"
    shutil.copy(crossval("b") / "oof.parquet", home)
    return "oof.parquet"


REFUSED_BY = {
    "another fold": {"crossval", "test", "compare"},
    "another run's fold": {"crossval", "test", "compare"},
    "another run's predictions": {"crossval", "test", "compare"},
    "another fold's predictions": {"crossval", "test", "compare"},
    "another run's checkpoint": {"test"},
    "another run's oof": {"compare", "audit"},
}


@pytest.mark.parametrize("what", REFUSED_BY)
def test_what_is_another_folds_or_another_runs_is_not_taken(
    what: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    named = spoil(home, what)
    oof = (home / "oof.parquet").read_bytes()
    words = {
        "crossval": ["crossval", "--config", "own.yaml", "--name", "a"],
        "test": ["test", "--ckpt_path", home],
        "compare": ["compare", home, crossval("b")],
        "audit": ["audit", "--labels", home],
    }
    for verb in sorted(REFUSED_BY[what]):
        refused(capsys, words[verb], named)
    assert (home / "oof.parquet").read_bytes() == oof
    assert not (home / "test.json").exists()


def test_a_fold_that_is_deleted_is_trained_again_and_the_numbers_are_the_same(home: Path) -> None:
    before, oof = read_json(home / "summary.json")["metrics"], pd.read_parquet(home / "oof.parquet")
    shutil.rmtree(home / "fold_1")
    assert main(["crossval", "--config", "own.yaml", "--name", "a"]) == 0
    assert read_json(home / "summary.json")["metrics"] == before
    pd.testing.assert_frame_equal(pd.read_parquet(home / "oof.parquet"), oof)


def test_an_earlier_versions_folders_are_read_and_it_is_said(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for file in (*home.glob("fold_*/result.json"), home / "identity.json", home / "summary.json"):
        content = read_json(file)
        for key in ("experiment", "predictions_sum", "checkpoint_sum", "oof_sum", "sealed_fingerprint"):
            content.pop(key, None)
        if file.name == "result.json":
            content.pop("data_fingerprint")
        file.write_text(json.dumps(content))
    for fold in home.glob("fold_*"):
        content = checkpoint(fold)
        del content["lightning_base"]["settings"]
        del content["Table"]["sealed"]
        write(content, fold / "checkpoints" / "last.ckpt")
    capsys.readouterr()
    assert main(["crossval", "--config", "own.yaml", "--name", "a"]) == 0
    assert "an earlier version wrote fold 0: whether it is of these settings" in capsys.readouterr().out
    assert main(["test", "--ckpt_path", str(home)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    for what in ("the settings of its network", "the content of the sealed test samples"):
        assert said.count(f"an earlier version wrote the checkpoint: whether {what}") == 1, said


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [("activation: relu", "activation: tanh", "model.network.activation"), ("c\n", "c\n", "data.impute")],
)
def test_another_network_or_another_reading_is_not_scored_with_a_runs_weights(
    old: str, new: str, key: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    option = f"--{key}={'tanh' if 'activation' in key else 'zero'}"
    asked = (("test", home), ("test", home / "refit"), ("validate", home / "fold_0"), ("predict", home))
    for verb, path in asked:
        more = ["--data.predict", "table.csv"] if verb == "predict" else []
        refused(capsys, [verb, "--ckpt_path", path, option, *more], f"was trained with {key} ", "train again")
    if "activation" in key:
        saved = home / "config.yaml"
        saved.write_text(saved.read_text().replace(old, new))
        refused(capsys, ["test", "--ckpt_path", home], f"{key} 'relu', and the configuration has 'tanh'")
        refused(capsys, ["crossval", "--config", saved], "config.yaml: it was changed after the run had begun")
    assert not list(home.rglob("test.json"))


def test_what_changes_no_prediction_may_be_given_anew(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.move("table.csv", "moved.csv")
    given = ("--data.path", "moved.csv", "--data.eval_batch_size", 7, "--model.optimizer.lr", 3)
    capsys.readouterr()
    assert main(["validate", "--ckpt_path", str(home / "fold_0"), *map(str, given)]) == 0
    assert main(["test", "--ckpt_path", str(home), *map(str, given), "--trainer.precision", "64-true"]) == 0
    assert "earlier version" not in capsys.readouterr().out
    lines = pd.read_csv("moved.csv")
    lines.drop(columns="y").to_csv("new.csv", index=False)
    assert main(["predict", "--ckpt_path", str(home), "--data.path", "moved.csv", "--data.predict", "new.csv"]) == 0


def change(sealed: set[str]) -> None:
    frame = pd.read_csv("table.csv")
    frame.loc[frame["id"].isin(sealed), "a"] *= 100
    frame.to_csv("table.csv", index=False)


def test_sealed_samples_that_changed_after_training_are_not_scored_and_no_read_is_forgotten(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = pd.read_parquet(home / "split.parquet")
    sealed = set(split["id"][split["role"] == "test"])
    assert main(["test", "--ckpt_path", str(home)]) == 0
    first = read_json(home / "test.json")
    kept = Path("table.csv").read_bytes()
    change(sealed)
    for path in (home, home / "refit", home / "fold_0"):
        refused(capsys, ["test", "--ckpt_path", path], "the sealed test samples are not those that were sealed when")
    refused(capsys, ["crossval", "--config", "own.yaml", "--name", "a"], "the content of the sealed test samples has")
    assert read_json(home / "test.json") == first
    Path("table.csv").write_bytes(kept)
    assert main(["test", "--ckpt_path", str(home)]) == 0
    assert "were read 2 times" in capsys.readouterr().out
    assert len(read_json(home / "test.json")["reads"]) == 2


def test_a_test_source_that_changes_keeps_the_record_of_earlier_reads(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = pd.read_csv("table.csv")
    frame[:100].to_csv("pool.csv", index=False)
    frame[100:].to_csv("sealed.csv", index=False)
    data = ("--data.path", "pool.csv", "--data.test_path", "sealed.csv", "--data.test_size", "null")
    assert main(["crossval", "--config", "own.yaml", "--name", "own_test", *data]) == 0
    path = crossval("own_test")
    assert main(["test", "--ckpt_path", str(path)]) == 0
    frame[100:].assign(a=frame["a"][100:] * 100).to_csv("sealed.csv", index=False)
    capsys.readouterr()
    assert main(["test", "--ckpt_path", str(path)]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "read 2 times for this run (1 of them as other samples, or with other content)" in said
    assert len(read_json(path / "test.json")["reads"]) == 2


def test_corrections_of_sealed_samples_count_for_nothing_and_are_said(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split, frame = pd.read_parquet(home / "split.parquet"), pd.read_csv("table.csv").set_index("id")
    sealed = split["id"][split["role"] == "test"]
    assert main(["test", "--ckpt_path", str(home)]) == 0
    before = pd.read_parquet(home / "test.parquet")
    predicted = before.set_index("id")["pred"].map({0: "no", 1: "yes"})
    predicted.rename("target").reset_index().to_csv("labels.csv", index=False)  # the answers that the model gives
    capsys.readouterr()
    assert main(["test", "--ckpt_path", str(home), "--data.labels", "labels.csv"]) == 0
    wrong = int((predicted != frame["y"].reindex(predicted.index)).sum())
    assert 0 < wrong < len(sealed)
    said = " ".join(capsys.readouterr().out.split())
    assert f"data.labels: {wrong} of its targets are of sealed test samples" in said
    pd.testing.assert_frame_equal(pd.read_parquet(home / "test.parquet"), before)


def test_a_folder_in_a_files_place_is_told_before_training(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["crossval", "--config", "own.yaml", "--name", "c"]
    for place in ("summary.json", "oof.parquet", "fold_0/result.json", "refit/config.yaml"):
        (crossval("c") / place).mkdir(parents=True)
        refused(capsys, words, f"c/crossval/{place}: a folder stands where a file is written")
        assert not list(crossval("c").rglob("*.ckpt"))
        assert not (crossval("c") / "config.yaml").exists()
        shutil.rmtree("runs/c")
    crossval("c").mkdir(parents=True)
    (crossval("c") / "fold_1").write_text("")
    refused(capsys, words, "c/crossval/fold_1: a file stands where a folder is made")
    (home / "test.json").mkdir()
    refused(capsys, ["test", "--ckpt_path", home], "test.json: a folder stands where a file is written")
    assert not (home / "test.parquet").exists()


def test_a_refit_that_runs_is_not_deleted(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["crossval", "--config", "own.yaml", "--name", "a", "--overwrite", "true"]
    with hold(home / "refit" / ".lock"):
        refused(capsys, words, "--overwrite: a process trains refit")
    assert (home / "refit" / "result.json").is_file()


def test_another_runs_refit_is_made_anew(home: Path) -> None:
    weights = checkpoint(home / "refit")["state_dict"]
    path = home / "refit" / "result.json"
    path.write_text(json.dumps(read_json(path) | {"experiment": "0" * 64}))
    words = ["crossval", "--config", "own.yaml", "--name", "a", "--refit", "true"]
    before = path.read_text()
    assert main(words) == 0
    assert path.read_text() != before
    again = checkpoint(home / "refit")["state_dict"]
    assert all((again[name] == weights[name]).all() for name in weights)
    before = path.read_text()
    assert main(words) == 0
    assert path.read_text() == before


def test_a_result_names_no_checkpoint_outside_of_its_folder(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = home / "fold_0" / "result.json"
    there = "../../../../b/crossval/fold_0/checkpoints/last.ckpt"
    path.write_text(json.dumps(read_json(path) | {"checkpoint": there}))
    refused(capsys, ["test", "--ckpt_path", home], "fold_0/result.json: 'checkpoint' is", "no plain name")


def test_a_test_source_beside_a_sealed_share_is_refused(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table().to_csv("table.csv", index=False)
    table().to_csv("test.csv", index=False)
    for folder in ("train", "test"):
        for name in ("yes", "no"):
            (Path("texts") / folder / name).mkdir(parents=True)
            (Path("texts") / folder / name / "1.txt").write_text(name)
    pd.DataFrame({"user": [1, 2], "item": [1, 2], "rating": [3.0, 4.0]}).to_csv("ratings.csv", index=False)
    ratings = {"class_path": "datamodules.ratings.Ratings", "init_args": {"path": "ratings.csv"}}
    of_ratings = ratings["init_args"] | {"test_path": "ratings.csv", "test_size": 0.5}  # type: ignore[operator]
    texts = {"class_path": "datamodules.text.Text", "init_args": {"path": "texts", "test_size": 0.5}}
    for data, named in (
        (config(test_path="test.csv")["data"], "data.test_path (test.csv)"),
        (ratings | {"init_args": of_ratings}, "data.test_path (ratings.csv)"),
        (texts, "texts/test"),
    ):
        Path("both.yaml").write_text(yaml.safe_dump(config() | {"data": data, "name": "both"}))
        refused(capsys, ["crossval", "--config", "both.yaml"], "data.test_size seals test samples, and", named)
    ratio = {"class_path": "lightning_base.splitters.Ratio", "init_args": {"val": 0.2, "test": 0.2}}
    data = config(test_path="test.csv", test_size=None, split=ratio)["data"]
    Path("both.yaml").write_text(yaml.safe_dump(config() | {"data": data, "name": "both"}))
    refused(capsys, ["fit", "--config", "both.yaml"], "data.split seals test samples, and data.test_path (test.csv)")
    assert not Path("runs").exists()
