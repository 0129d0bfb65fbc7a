"""Claims about labels: suspects are wrong labels, corrections mend them, and what cannot be audited is named."""

import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from cleanlab.rank import get_label_quality_scores
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict, train_test_split

from datamodules.arrays import Arrays
from datamodules.table import Table
from lightning_base.auditing import pictures as show
from lightning_base.auditing.noise import CHANCE, chances, estimated
from lightning_base.auditing.wrong_labels import confident_learning, ranked, trusted
from lightning_base.cli.entry import main
from lightning_base.errors import UserError
from lightning_base.samples.samples import Samples
from lightning_base.tools.checksums import file_sum
from lightning_base.tools.files import write_json, write_parquet
from tests.helpers import CONFIGS, Run, crossval, read_json, refused, run_in

DIGITS = load_digits()
IDS = [f"{i:04d}" for i in range(1797)]
NOISE = 0.05


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run on the digits, 5 % of whose labels noisy.csv moves at random, and its audit."""
    work = tmp_path_factory.mktemp("noisy")
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(1797)[: round(NOISE * 1797)])
    moved = (DIGITS.target[rows] + rng.integers(1, 10, len(rows))) % 10
    pd.DataFrame({"id": [IDS[row] for row in rows], "target": moved}).to_csv(work / "noisy.csv", index=False)
    options = (
        *("--config", CONFIGS / "digits_cnn.yaml", "--trainer.max_epochs", 8, "--model.network.widths", [16, 32]),
        *("--data.split.n_splits", 3, "--data.labels", work / "noisy.csv", "--audit", "off"),
    )
    run_in(work, "crossval", *options)
    run_in(work, "audit", "--labels", crossval("digits_cnn"))
    return crossval("digits_cnn", work)


@pytest.fixture
def copy(noisy: Path, tmp_path: Path) -> Path:
    """A copy of its directory, to be changed."""
    return Path(shutil.copytree(noisy, tmp_path / "crossval"))


def given(labels: Path | None) -> Samples:
    return Arrays(source="digits", test_size=0.2, labels=str(labels) if labels else None).samples("pool")


def right(labels: Path | None) -> float:
    """The share of right labels in the pool."""
    table = given(labels).table
    return float((table["target"].to_numpy() == DIGITS.target[table["id"].astype(int)]).mean())


def simulated(kind: str, rate: float, inputs: slice = slice(None)) -> tuple[np.ndarray, np.ndarray]:
    """Labels of the digits made wrong, and logistic regression's held-out probabilities on some of the pixels."""
    rng, y = np.random.default_rng(0), DIGITS.target
    moved = {"pairs": np.array([6, 7, 7, 5, 9, 3, 0, 1, 3, 4])[y], "any": (y + rng.integers(1, 10, len(y))) % 10}
    given = np.where(rng.random(len(y)) < rate, moved.get(kind, y), y)
    model = LogisticRegression(C=0.01, max_iter=30)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return given, cross_val_predict(model, DIGITS.data[:, inputs], given, cv=3, method="predict_proba")


@pytest.mark.parametrize("kind", ["pairs", "any"])
@pytest.mark.parametrize("rate", [0.05, 0.2])
def test_proposed_labels_are_right_more_often_than_not(kind: str, rate: float) -> None:
    given, prob = simulated(kind, rate)
    noise, truth = estimated(given, prob), DIGITS.target
    wrong = given != truth
    assert 0.25 * rate < noise.share < wrong.mean() + 0.02
    assert not noise.weak
    proposed = chances(given, prob, noise) >= CHANCE
    right = prob.argmax(axis=1)[proposed] == truth[proposed]
    assert right.mean() > 0.7
    assert right.sum() > 0.3 * wrong.sum()
    names = [str(digit) for digit in range(10)]
    table = ranked(pd.Series(IDS), given, prob, names, confident_learning()(given, prob), np.zeros(len(given)))
    first = table["id"].astype(int)[: wrong.sum() // 2]
    assert wrong[first].mean() > 3 * wrong.mean()


@pytest.mark.parametrize("rate", [0.0, 0.1])
def test_a_weak_model_corrects_nothing_and_says_that_its_suspects_are_not_to_be_trusted(rate: float) -> None:
    given, prob = simulated("any", rate, slice(16, 24))  # eight pixels
    accuracy = (prob.argmax(axis=1) == DIGITS.target).mean()
    noise = estimated(given, prob)
    assert accuracy < 0.65
    assert confident_learning()(given, prob).mean() > 0.15
    assert not chances(given, prob, noise).any()
    assert "not to be trusted" in trusted(noise)[1]


def test_a_good_model_on_right_labels_corrects_nothing() -> None:
    given, prob = simulated("none", 0.0)
    assert (prob.argmax(axis=1) == given).mean() > 0.9
    noise = estimated(given, prob)
    assert noise.share < 0.01
    assert not chances(given, prob, noise).any()


@pytest.mark.slow
def test_suspects_are_wrong_labels_far_more_often_than_others(noisy: Path) -> None:
    table = pd.read_parquet(noisy / "label_issues.parquet")
    truth = DIGITS.target[table["id"].astype(int)].astype(str)
    wrong = table["given"].to_numpy() != truth
    issue = table["issue"].to_numpy()
    assert abs(wrong.mean() - NOISE) < 0.015
    assert wrong[issue].mean() > 10 * NOISE
    assert wrong[issue].sum() > 0.7 * wrong.sum()
    assert wrong[: wrong.sum() // 2].mean() > 0.8
    assert (table["suggested"].to_numpy() == truth)[issue & wrong].mean() > 0.9


def test_labels_are_ranked_by_their_held_out_probability_over_its_mean_in_the_class(noisy: Path) -> None:
    table, oof = pd.read_parquet(noisy / "label_issues.parquet"), pd.read_parquet(noisy / "oof.parquet")
    assert table["rank"].tolist() == list(range(1, len(oof) + 1))
    oof = oof.set_index("id").reindex(table["id"])
    assert table["given"].tolist() == oof["target"].astype(str).tolist()
    expected = [oof[f"prob_{c}"].iloc[i] for i, c in enumerate(oof["target"])]
    np.testing.assert_allclose(table["self_confidence"], expected, rtol=1e-6)
    prob = oof.filter(like="prob_").to_numpy()
    own = pd.Series(get_label_quality_scores(oof["target"].to_numpy(), prob, method="self_confidence"))
    mean = own.groupby(oof["target"].to_numpy()).transform("mean")
    np.testing.assert_allclose(table["quality"], own / mean, rtol=1e-5)
    margin = get_label_quality_scores(oof["target"].to_numpy(), prob, method="normalized_margin")
    np.testing.assert_allclose((1 + table["margin"]) / 2, margin, atol=1e-6)  # cleanlab's is scaled to 0…1
    most = oof.filter(like="prob_").idxmax(axis=1).str.removeprefix("prob_")
    assert table["suggested"].tolist() == most.tolist()
    assert table["issue"].is_monotonic_decreasing
    assert all(part["quality"].is_monotonic_increasing for _, part in table.groupby("issue"))
    assert (table["given"] != table["suggested"])[table["issue"]].all()


def test_corrections_fed_back_raise_the_share_of_right_labels(noisy: Path) -> None:
    before, after = right(noisy.parents[2] / "noisy.csv"), right(noisy / "labels.csv")
    assert right(None) == 1
    assert before < 1 - NOISE + 0.01
    assert after > 1 - NOISE / 2
    rows, earlier = (pd.read_csv(p, dtype=str) for p in (noisy / "labels.csv", noisy.parents[2] / "noisy.csv"))
    clear = pd.read_parquet(noisy / "label_issues.parquet").query(f"chance >= {CHANCE}")
    assert rows["id"].is_unique
    assert set(rows["id"]) == set(earlier["id"]) | set(clear["id"])
    assert dict(zip(clear["id"], clear["suggested"], strict=True)).items() <= dict(rows.to_numpy()).items()


def test_corrections_move_no_sample_into_the_sealed_share(noisy: Path) -> None:
    _, sealed = train_test_split(np.arange(1797), test_size=0.2, random_state=0, stratify=DIGITS.target)
    split = pd.read_parquet(noisy / "split.parquet")
    assert sorted(split["id"][split["role"] == "test"].astype(int)) == sorted(sealed)


def test_the_picture_shows_the_first_suspects(noisy: Path) -> None:
    first = pd.read_parquet(noisy / "label_issues.parquet").head(10)
    with Image.open(noisy / "label_issues.png") as picture:
        pixels = np.asarray(picture)
    left, top, gap, lines = 120, show.LINE + 6, 6, 4
    for place, name in enumerate(first["id"]):
        y, x = top + place // 8 * (96 + lines * show.LINE + gap), left + place % 8 * (96 + gap)
        expected = np.kron(DIGITS.images[int(name)] / 16, np.ones((12, 12)))
        assert np.abs(pixels[y : y + 96, x : x + 96] / 255 - expected[:, :, None]).max() < 0.01


def test_the_terminal_lists_twenty_and_asks_for_a_look(
    copy: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (copy / "labels.csv").unlink()
    assert main(["audit", "--labels", str(copy)]) == 0
    shown = capsys.readouterr().out
    first = pd.read_parquet(copy / "label_issues.parquet").head(21)
    assert all(f"│ {name} │" in shown for name in first["id"][:20])
    assert f"│ {first['id'][20]} │" not in shown
    assert "Northcutt et al. 2021" in shown
    assert "look at each" in shown
    assert "no leaks" not in shown


def test_a_persons_changes_to_the_corrections_are_kept(
    copy: Path, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, proposed = copy / "labels.csv", (copy / "labels.csv").read_text()
    path.write_text(proposed.rpartition("\n")[0].rpartition("\n")[0] + "\n")
    changed = path.read_text()
    assert main(["audit", "--labels", str(copy)]) == 0
    assert path.read_text() == changed != proposed
    assert "kept as it is" in capsys.readouterr().out
    path.unlink()
    assert main(["audit", "--labels", str(copy)]) == 0
    assert path.read_text() == proposed


def test_beginning_anew_does_not_delete_the_labels_it_would_use(
    noisy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(noisy.parent.parent.parent)
    path = "runs/digits_cnn/crossval/labels.csv"
    options = ["crossval", "--config", "runs/digits_cnn/crossval/config.yaml", "--data.labels", path]
    refused(capsys, [*options, "--overwrite", "true"], "which would be deleted; give another --name")
    assert Path(path).is_file()


def test_repeats_are_averaged_and_tables_have_no_picture(run: Run, work: Path) -> None:
    run(
        *("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", "--trainer.max_epochs", 1, "--audit", "off"),
        *("--data.split", "sklearn.model_selection.RepeatedStratifiedKFold", "--data.split.n_splits", 2),
        *("--data.split.n_repeats", 2),
    )
    directory = work / "runs" / "breast_cancer_mlp" / "crossval"
    run("audit", "--labels", directory)
    table, oof = pd.read_parquet(directory / "label_issues.parquet"), pd.read_parquet(directory / "oof.parquet")
    assert len(oof) == 2 * len(table)
    own = oof.assign(own=np.where(oof["target"] == 1, oof["prob_1"], oof["prob_0"]).astype(float))
    expected = own.pivot(index="id", columns="repeat", values="own").mean(axis=1)
    np.testing.assert_allclose(table["self_confidence"], expected.reindex(table["id"]), rtol=1e-6)
    assert not (directory / "label_issues.png").exists()


def test_a_regression_has_no_labels_to_clean(run: Run, work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("crossval", "--config", CONFIGS / "linear_regression_gd.yaml", "--trainer.max_epochs", 1)
    refused(capsys, ["audit", "--labels", "runs/linear_regression_gd/crossval"], "is not a classifier's")
    (work / "labels.csv").write_text("id,target\n000,1\n")
    with pytest.raises(UserError, match=r"data\.labels: diabetes has no class"):
        Arrays(source="diabetes", labels="labels.csv").samples("pool")


def diverged(directory: Path) -> None:
    oof = pd.read_parquet(directory / "oof.parquet")
    oof.loc[3, "prob_4"] = np.nan
    write_parquet(directory / "oof.parquet", oof)
    summary = read_json(directory / "summary.json")
    write_json(directory / "summary.json", {**summary, "oof_sum": file_sum(directory / "oof.parquet")})


WRONG: dict[str, tuple[Callable[[Path], object], list[str], str]] = {
    "a fold unfinished": (lambda d: (d / "fold_1" / "result.json").unlink(), [], "unfinished: fold_1"),
    "no summary": (lambda d: (d / "summary.json").unlink(), [], "run crossval to its end"),
    "damaged": (lambda d: (d / "oof.parquet").write_text("text"), [], "cannot be read"),
    "diverged": (diverged, [], "no finite probabilities"),
    "no configuration": (lambda d: (d / "config.yaml").unlink(), [], "no crossval directory"),
    "other samples": (lambda d: None, ["--data.source", "iris", "--data.labels", "null"], "was trained on other data"),
    "other labels": (lambda d: None, ["--data.labels", "null"], "was trained on other data"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_audited_is_named_and_nothing_is_written(
    copy: Path, work: Path, capsys: pytest.CaptureFixture[str], case: str
) -> None:
    change, options, message = WRONG[case]
    for name in ("labels.csv", "label_issues.parquet", "label_issues.png"):
        (copy / name).unlink()
    change(copy)
    refused(capsys, ["audit", "--labels", copy, *options], message)
    assert not list(copy.glob("label*"))


def test_without_cleanlab_the_installation_is_told(
    noisy: Path, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("cleanlab", "cleanlab.filter"):
        monkeypatch.setitem(sys.modules, name, None)  # type: ignore[arg-type]
    refused(capsys, ["audit", "--labels", noisy], "pip install 'cleanlab>=2.8'")


def test_a_label_takes_the_place_of_a_missing_one(work: Path) -> None:
    (work / "data.csv").write_text("a,kind\n1,x\n2,y\n3,\n4,x\n5,y\n")
    with pytest.raises(UserError, match="no target"):
        Table(path="data.csv", target="kind").samples("pool")
    ids = Table(path="data.csv", target="kind").dataset("pool").table["id"].tolist()
    (work / "labels.csv").write_text(f"id,target\n{ids[2]},y\n{ids[0]},y\n")
    pool = Table(path="data.csv", target="kind", labels="labels.csv").samples("pool")
    assert [pool.classes[c] for c in pool.table["target"]] == ["y", "y", "y", "x", "y"]
    (work / "labels.csv").write_text("id,target\n77,y\n")
    with pytest.raises(UserError, match=r"labels\.csv: row 1 \(id '77'\): no such sample in .*data\.csv"):
        Table(path="data.csv", target="kind", labels="labels.csv").samples("pool")
