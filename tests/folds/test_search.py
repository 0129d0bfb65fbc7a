"""Claims about nested cross-validation: the inner chooses, the outer scores, and neither sees what it must not."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_breast_cancer

from lightning_base.cli.entry import main
from lightning_base.training.seeds import derive_seed
from models.mlp import MLP
from tests.helpers import (
    CONFIGS,
    ROOT,
    Run,
    assert_same_weights,
    checkpoint,
    crossval,
    read_json,
    refused,
    run_in,
    weights,
)

SMALL = (
    *("--config", CONFIGS / "breast_cancer_mlp.yaml", "--trainer.max_epochs", 2, "--trainer.logger", "false"),
    *("--audit", "off", "--threads", 1),
)
OUTER = ("--data.split", "sklearn.model_selection.StratifiedKFold", "--data.split.n_splits", 3)
OUTER = (*OUTER, "--data.split.shuffle", "true")
SEARCH = ("--config", CONFIGS / "tune" / "optimizer.yaml", "--search.inner.n_splits", 2)
SEALING = ("--search.inner", "lightning_base.splitters.Ratio", "--search.inner.test", 0.2)
NESTED = ("crossval", *SMALL, *SEARCH, *OUTER)


@pytest.fixture(scope="module")
def nested(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished nested cross-validation: three folds, two inner folds, four candidates."""
    work = tmp_path_factory.mktemp("nested")
    run_in(work, *NESTED)
    return crossval("breast_cancer_mlp", work)


def write_arrays(path: str, ids: pd.Series | np.ndarray, **columns: np.ndarray) -> None:
    """These breast cancer samples as an .npz, in float32 as the shipped data set is; ids are row numbers."""
    data, rows = load_breast_cancer(), np.asarray(ids).astype(int)
    x = data.data[rows].astype(np.float32)
    np.savez(path, **{"x": x, "y": data.target[rows], "id": ids, "classes": data.target_names, **columns})


@pytest.mark.slow
def test_each_candidate_is_scored_as_by_a_crossval_of_the_training_part_alone(
    nested: Path, run: Run, work: Path
) -> None:
    split = pd.read_parquet(nested / "split.parquet")
    train = split.loc[(split["fold"] == 1) & (split["role"] == "train"), "id"]
    write_arrays("part.npz", train.to_numpy(dtype=str))
    lines = read_json(nested / "fold_1" / "search.json")["candidates"]
    assert len(lines) == 4
    for number, line in enumerate(lines):
        rate, l2 = line["values"]["model.optimizer.lr"], line["values"]["model.l2"]
        run(
            *("crossval", *SMALL, "--name", number, "--data.source", "part.npz", "--data.test_size", "null"),
            *("--model.optimizer.lr", rate, "--model.l2", l2),
            *("--seed_everything", derive_seed(0, 2, 1), *OUTER, "--data.split.n_splits", 2),
        )
        alone = crossval(str(number), work)
        metrics = read_json(alone / "summary.json")["metrics"]
        assert metrics["loss"]["folds"] == line["scores"]
        assert metrics["loss"]["mean"] == pytest.approx(line["mean"])
        for fold in (0, 1):
            inner = nested / "fold_1" / "inner" / f"candidate_{number}" / f"fold_{fold}"
            pd.testing.assert_frame_equal(
                *(pd.read_parquet(d / "predictions.parquet") for d in (inner, alone / f"fold_{fold}"))
            )


def test_a_fold_is_what_its_best_candidate_gives(nested: Path, run: Run, work: Path) -> None:
    for fold in range(3):
        search = read_json(nested / f"fold_{fold}" / "search.json")
        best = min(search["candidates"], key=lambda line: np.mean(line["scores"]))["values"]
        assert search["values"] == best == read_json(nested / f"fold_{fold}" / "result.json")["chosen"]
        options = ("--model.optimizer.lr", best["model.optimizer.lr"], "--model.l2", best["model.l2"])
        run("crossval", *SMALL, *OUTER, *options, "--name", fold, "--folds", f"[{fold}]")
        alone = crossval(str(fold), work) / f"fold_{fold}"
        assert_same_weights(alone, nested / f"fold_{fold}")
        assert (
            read_json(alone / "result.json")["metrics"] == read_json(nested / f"fold_{fold}" / "result.json")["metrics"]
        )


def test_each_sample_is_scored_once_and_inner_checkpoints_are_gone(nested: Path) -> None:
    oof, summary = pd.read_parquet(nested / "oof.parquet"), read_json(nested / "summary.json")
    assert oof["id"].is_unique
    assert len(oof) == summary["n"] == 455
    assert summary["chosen"] == [read_json(nested / f"fold_{fold}" / "search.json")["values"] for fold in range(3)]
    inner = sorted(nested.glob("fold_*/inner/candidate_*/fold_*"))
    assert len(inner) == 3 * 4 * 2
    for directory in inner:
        assert (directory / "result.json").is_file()
        held_out = set(pd.read_parquet(nested / directory.parents[2].name / "predictions.parquet")["id"])
        assert not held_out & set(pd.read_parquet(directory / "predictions.parquet")["id"])
        assert not (directory / "checkpoints").exists()


@pytest.mark.slow
def test_another_held_out_part_changes_nothing_that_is_chosen_or_trained(run: Run, work: Path) -> None:
    """The samples held out are replaced by noise with wrong labels: the search, and the weights, are bit-identical.

    One of the candidates diverges, and so is not chosen.
    """
    data, rng = load_breast_cancer(), np.random.default_rng(0)
    ids = np.array([f"{row:03d}" for row in range(569)])
    fold = rng.integers(0, 3, 569)
    held_out = fold == 0
    other = {"x": data.data.astype(np.float32), "y": data.target.copy()}
    other["x"][held_out] = rng.normal(scale=1e6, size=(held_out.sum(), 30))
    other["y"][held_out] = 1 - other["y"][held_out]
    found = []
    for name, columns in (("true", {}), ("other", other)):
        write_arrays(f"{name}.npz", ids, fold=fold, **columns)
        run(
            *("crossval", *SMALL, *SEARCH, "--name", name, "--data.source", f"{name}.npz", "--folds", "[0]"),
            *("--data.test_size", "null", "--data.split", "lightning_base.splitters.FoldColumn"),
            *("--trainer.max_epochs", 1, "--search.grid", '{"model.optimizer.lr": [1e30, 0.1]}'),
            *("--model.optimizer", "torch.optim.SGD"),
        )
        found.append(crossval(name, work) / "fold_0")
    true, changed = found
    assert read_json(true / "search.json")["candidates"] == read_json(changed / "search.json")["candidates"]
    assert read_json(true / "search.json")["n"] == (~held_out).sum()
    assert read_json(true / "search.json")["candidates"][0]["scores"] == [None, None]
    assert read_json(true / "result.json")["chosen"] == {"model.optimizer.lr": 0.1}
    assert_same_weights(true, changed)
    scores = [read_json(directory / "result.json")["metrics"]["accuracy"] for directory in found]
    assert scores[0] > 0.8 > scores[1]


@pytest.mark.slow
def test_a_worker_killed_in_an_inner_fold_loses_nothing(
    nested: Path, run: Run, preloaded: None, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # the worker finds KillInner there
    (work / "kill").touch()
    run(*NESTED, "--trainer.callbacks+", "tests.support.faults.KillInner", "--executor", "process", "--jobs", 1)
    again = crossval("breast_cancer_mlp", work)
    assert not (work / "kill").exists()
    assert read_json(again / "fold_1" / "inner" / "candidate_2" / "fold_1" / "result.json")["resumed"]
    for fold in range(3):
        one, other = again / f"fold_{fold}", nested / f"fold_{fold}"
        assert read_json(one / "search.json")["candidates"] == read_json(other / "search.json")["candidates"]
        assert_same_weights(one, other)
    assert read_json(again / "summary.json")["metrics"] == read_json(nested / "summary.json")["metrics"]


def test_a_finished_search_is_not_run_again(nested: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(nested.parent.parent.parent)
    before = {path: path.stat().st_mtime_ns for path in nested.glob("fold_*/inner/*/*/result.json")}
    weights_before, result = weights(nested / "fold_2"), nested / "fold_2" / "result.json"
    metrics = read_json(result)["metrics"]
    result.unlink()
    assert main([*map(str, NESTED)]) == 0
    assert {path: path.stat().st_mtime_ns for path in nested.glob("fold_*/inner/*/*/result.json")} == before
    assert read_json(result)["metrics"] == metrics
    assert all(torch.equal(value, weights_before[name]) for name, value in weights(nested / "fold_2").items())


@pytest.mark.slow
def test_the_ensemble_takes_each_fold_with_the_network_it_chose(run: Run, work: Path) -> None:
    """Where fold 0 trains, classes are a parity: only a hidden layer tells them; where fold 1 trains, a sign."""
    rng = np.random.default_rng(0)
    x = rng.uniform(0.2, 1, size=(500, 2)) * rng.choice([-1, 1], size=(500, 2))
    parity = np.arange(500) < 300
    y = np.where(parity, x[:, 0] * x[:, 1] > 0, x[:, 0] > 0).astype(int)
    fold = np.where(parity, 1, 0)  # fold 0 holds the signs out, and so trains on the parities
    np.savez("own.npz", x=x, y=y, fold=fold, x_test=x[::7], y_test=y[::7])
    run(
        *("crossval", *SMALL, *SEARCH, "--data.source", "own.npz", "--data.test_size", "null"),
        *("--data.split", "lightning_base.splitters.FoldColumn", "--model.network.num_inputs", 2),
        *("--search.grid", '{"model.network.hidden": [[], [32]]}', "--search.metric", "accuracy"),
        *("--data.batch_size", 4, "--model.optimizer.lr", 0.02, "--model.network.dropout", 0),
    )
    directory = crossval("breast_cancer_mlp", work)
    chosen = [values["model.network.hidden"] for values in read_json(directory / "summary.json")["chosen"]]
    assert chosen == [[32], []]  # as good as the hidden layer on signs, and the first
    run("test", "--ckpt_path", directory)
    members = []
    for number, hidden in enumerate(chosen):
        content = checkpoint(directory / f"fold_{number}")
        network = MLP(2, 2, hidden)
        network.load_state_dict({k.removeprefix("network."): v for k, v in content["state_dict"].items()})
        fitted = content["Arrays"]["preprocess"]
        z = (torch.tensor(x[::7], dtype=torch.float32) - fitted["mean"]) / fitted["std"]
        members.append(torch.softmax(network(z), dim=1).detach())
    mean = pd.read_parquet(directory / "test.parquet").filter(like="prob_")
    np.testing.assert_allclose(mean, (members[0] + members[1]) / 2, atol=1e-5)
    run("validate", "--ckpt_path", directory / "fold_1" / "checkpoints" / "last.ckpt")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--search.grid", '{"model.optimizer.lrr": [0.1]}'], "(model.optimizer.lrr=0.1): model.optimizer.lrr: "),
        (["--search.grid", '{"model.l2": [0, "much"]}'], "(model.l2=much): model.l2: Expected a float; got much"),
        (["--search.grid", '{"model.l2": [0, -1]}'], "(model.l2=-1): the experiment cannot be built: model.l2: -1.0"),
        (["--search.grid", '{"model.network.num_inputs": [30, 7]}'], "(model.network.num_inputs=7): model.network: "),
        (["--search.grid", '{"data.test_seed": [0, 1]}'], "(data.test_seed=1): it changes which samples there are"),
        (["--search.grid", '{"name": ["a"]}'], "search.grid: 'name' cannot be tuned"),
        (["--search.grid", '{"model.l2": []}'], "search.grid: model.l2 has no values"),
        (["--search.grid", "{}"], "search.grid: names no key"),
        (["--search.metric", "acuracy"], "search.metric: no metric 'acuracy', the task has"),
        (["--search.inner.n_splits", 200], "search.inner, in the training part of fold 0: data.split: Str"),
        ([*SEALING, "--data.test_size", "null"], "search.inner, in the training part of fold 0: it names test samples"),
        (["--executor", "vectorized"], "--executor vectorized: a search trains each fold by itself"),
    ],
)  # fmt: skip
def test_a_mistake_in_the_search_is_one_line_before_anything_is_written(
    work: Path, capsys: pytest.CaptureFixture[str], options: list[object], message: str
) -> None:
    refused(capsys, [*NESTED, *options], message)
    assert list(work.iterdir()) == []


def test_fit_says_that_it_does_not_search(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, ["fit", *SMALL[:-2], *SEARCH], "search: fit does not search; take crossval")
    assert list(work.iterdir()) == []
