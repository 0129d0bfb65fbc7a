"""The Python interface: the verbs as functions, from YAML, from objects and from what is in memory."""

import importlib
import pkgutil
import random
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import CSVLogger
from sklearn.datasets import load_wine
from sklearn.model_selection import GroupKFold, StratifiedKFold

import lightning_base as lb
from datamodules.arrays import Arrays
from lightning_base.auditing.gate import LeakWarning
from lightning_base.clean.cleaning import Cleaning
from lightning_base.cli.entry import main
from lightning_base.errors import ArtefactError, CheckpointError, ConfigError, DataError, FoldsFailed, UserError
from lightning_base.tasks import Classification
from lightning_base.verbs.results import CrossValidation
from models.mlp import MLP
from tests.helpers import assert_same_weights

TRAINER = {"max_epochs": 2, "accelerator": "cpu", "logger": False}
CONFIG = {
    "seed_everything": 3,
    "trainer": TRAINER,
    "model": {
        "class_path": "lightning_base.tasks.Classification",
        "init_args": {
            "network": {
                "class_path": "models.mlp.MLP",
                "init_args": {"num_inputs": 13, "num_outputs": 3, "hidden": [8], "dropout": 0.1},
            },
            "optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.1}},
        },
    },
    "data": {
        "class_path": "datamodules.arrays.Arrays",
        "init_args": {
            "source": "wine",
            "test_size": 0.2,
            "batch_size": 32,
            "split": {
                "class_path": "sklearn.model_selection.StratifiedKFold",
                "init_args": {"n_splits": 3, "shuffle": True},
            },
        },
    },
}


def task() -> Classification:
    """What CONFIG names."""
    network = MLP(13, 3, hidden=[8], dropout=0.1)
    return Classification(network, optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1))


def data() -> Arrays:
    """What CONFIG names."""
    return Arrays(source="wine", test_size=0.2, batch_size=32, split=StratifiedKFold(3, shuffle=True))


def from_objects(**changes: Any) -> CrossValidation:
    return lb.crossval(**{"task": task, "data": data, "trainer": TRAINER, "name": "objects", "seed": 3, **changes})


def wine() -> pd.DataFrame:
    """The wines as a table with names for its rows, a gap and a category."""
    bunch = load_wine(as_frame=True)
    frame = bunch.data.assign(region=np.where(bunch.data["hue"] > 1, "north", "south"), cultivar=bunch.target)
    frame.loc[5, "ash"] = np.nan
    return frame.set_index(pd.Index([f"wine {i}" for i in range(len(frame))]))


@pytest.fixture
def config(work: Path) -> Path:
    (work / "wine.yaml").write_text(yaml.safe_dump(CONFIG))
    return work / "wine.yaml"


def test_objects_a_file_and_the_command_line_give_identical_numbers(config: Path, work: Path) -> None:
    made, read = from_objects(), lb.crossval(config)
    assert main(["crossval", "--config", str(config), "--name", "shell"]) == 0
    told = lb.load(work / "runs" / "shell")
    assert isinstance(told, CrossValidation)
    for other in (read, told):
        pd.testing.assert_frame_equal(made.oof, other.oof, check_exact=True)
        pd.testing.assert_frame_equal(made.metrics, other.metrics, check_exact=True)
        assert_same_weights(made.directory / "fold_2", other.directory / "fold_2")
    assert made.oof["id"].is_unique
    right = made.oof["pred"] == made.oof["target"]
    assert made.metrics["mean"]["accuracy"] == pytest.approx(right.groupby(made.oof["fold"]).mean().mean())
    assert made.metrics["score"]["accuracy"] == pytest.approx(right.mean())
    assert made.metrics["trivial"]["accuracy"] == pytest.approx(made.oof["target"].value_counts(normalize=True).max())
    assert made.metrics["better"]["accuracy"] == "yes"


def test_every_verb_works_when_every_module_is_imported(config: Path, work: Path) -> None:
    for module in pkgutil.walk_packages(lb.__path__, "lightning_base."):
        if module.name != "lightning_base.__main__":
            importlib.import_module(module.name)
    assert all(callable(getattr(lb, verb)) for verb in lb.__all__)
    assert lb.prepare(config).samples == {"pool": 142, "test": 36}
    assert lb.audit(config) == []
    run = lb.fit(config, overrides={"trainer.max_epochs": 3})
    assert run is not None
    found = lb.validate(run)
    assert {name: found.scores[name] for name in run.result.metrics} == pytest.approx(run.result.metrics)
    assert (found.metrics["low"] <= found.metrics["high"]).sum() >= 5
    assert len(run.predictions) == run.result.n_val == found.n
    one, two = lb.crossval(config), lb.crossval(config, name="longer", overrides={"trainer.max_epochs": 6})
    compared = lb.compare(one, two.directory, metric="accuracy", rope=0.05)
    [test] = compared.tests
    assert (test.rope, test.mean_b) == (0.05, two.metrics["mean"]["accuracy"])
    assert compared.table.loc[0, "mean_b"] == test.mean_b
    assert "P(better)" in repr(lb.compare([one, two]))
    assert compared.table.loc[0, "low"] <= compared.table.loc[0, "difference"] <= compared.table.loc[0, "high"]
    sealed = one.test()
    assert sealed.n == 36
    assert set(sealed.predictions["id"]).isdisjoint(one.oof["id"])
    assert lb.load("runs/wine/crossval").metrics.equals(one.metrics)
    with pytest.raises(ArtefactError, match="name one of"):
        lb.load("runs/wine")
    x = load_wine().data[:4].astype(np.float32) + np.float32(0.25)  # new ones
    members = [lb.predict(one.directory / f"fold_{k}" / "checkpoints" / "last.ckpt", x) for k in range(3)]
    prob = [f"prob_{name}" for name in one.summary.classes]
    mean = np.mean([member[prob].to_numpy() for member in members], axis=0)
    np.testing.assert_allclose(lb.predict(one, x)[prob].to_numpy(), mean, atol=1e-6)


def test_a_dataframe_in_gives_a_dataframe_out(work: Path) -> None:
    frame = wine()
    made = lb.crossval(
        task=lambda: Classification(MLP(15, 3, hidden=[8])),
        x=frame,
        y="cultivar",
        data={"split": StratifiedKFold(3), "test_size": 0.2, "batch_size": 32},
        trainer=TRAINER,
        name="table",
    )
    assert set(made.oof["id"]) < set(frame.index)
    sealed = made.test().predictions.set_index("id")
    again = made.predict(frame.drop(columns="cultivar").loc[sealed.index])
    assert list(again.index) == list(sealed.index)
    names = sorted(frame["cultivar"].unique())
    assert again["pred"].astype(str).tolist() == sealed["pred_class"].tolist()
    for c, name in enumerate(names):
        np.testing.assert_array_equal(again[f"prob_{name}"], sealed[f"prob_{c}"])
    with pytest.raises(UserError, match="no column 'ash'"):
        made.predict(frame.drop(columns="ash"))


def test_groups_in_memory_stay_together(work: Path) -> None:
    x, groups = load_wine().data, np.arange(178) // 4
    made = lb.crossval(
        task=lambda: Classification(MLP(13, 3, hidden=[4])),
        x=x,
        y=load_wine().target,
        groups=groups,
        data={"split": GroupKFold(3), "normalize": "standard"},
        trainer={**TRAINER, "max_epochs": 1},
        name="groups",
        audit="off",
    )
    assert (made.oof.assign(group=groups[made.oof["id"].astype(int)]).groupby("group")["fold"].nunique() == 1).all()


def test_nothing_is_printed_and_random_states_stay(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    expected = random.random(), np.random.rand(), torch.rand(())  # noqa: NPY002
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    from_objects(folds=[0])
    assert (random.random(), np.random.rand(), torch.rand(())) == expected  # noqa: NPY002
    assert capfd.readouterr() == ("", "")
    from_objects(folds=[1], verbose=True)
    assert "fold 1 (2 of 3)" in capfd.readouterr().out


def test_leaks_are_warnings_where_nothing_is_printed(work: Path) -> None:
    x = np.repeat(load_wine().data, 2, axis=0)
    with pytest.warns(LeakWarning, match="duplicate") as warned:
        lb.crossval(
            task=task,
            x=x,
            y=np.repeat(load_wine().target, 2),
            trainer=TRAINER,
            name="leak",
            folds=[0],
        )
    assert {warning.filename for warning in warned} == {__file__}


def test_a_call_repeated_keeps_what_is_done_and_other_objects_are_refused(work: Path) -> None:
    first = from_objects()
    before = (first.directory / "fold_0" / "result.json").stat().st_mtime_ns
    assert from_objects().metrics.equals(first.metrics)
    assert (first.directory / "fold_0" / "result.json").stat().st_mtime_ns == before
    with pytest.raises(ArtefactError, match="the function task"):
        from_objects(task=lambda: Classification(MLP(13, 3, hidden=[9])))
    with pytest.raises(ArtefactError, match="the function data"):
        from_objects(data=lambda: Arrays(source="wine", test_size=0.2, batch_size=16))
    with pytest.raises(ArtefactError, match=r"trainer\.max_epochs was 2, is now 3"):
        from_objects(trainer={**TRAINER, "max_epochs": 3})
    generator = np.random.default_rng(0)
    unknowable = {"task": lambda: (generator, task())[1], "name": "unknowable", "folds": [0]}
    from_objects(**unknowable)
    with pytest.raises(ConfigError, match=r"Generator.*overwrite=True"):
        from_objects(**unknowable)
    assert list(from_objects(**unknowable, overwrite=True).folds["state"]) == ["done", "pending", "pending"]


def test_callbacks_are_each_folds_own(work: Path) -> None:
    made = from_objects(
        trainer={**TRAINER, "callbacks": [EarlyStopping("val_loss", patience=1, min_delta=9)]}, name="a"
    )
    assert list(made.folds["epochs"]) == [2, 2, 2]  # a callback that all shared would stop later folds at once


@pytest.mark.slow
def test_processes_import_what_they_train(work: Path, preloaded: None) -> None:
    here, there = from_objects(threads=1), from_objects(name="there", executor="process", jobs=2, threads=1)
    pd.testing.assert_frame_equal(here.oof, there.oof, check_exact=True)
    loaded = lb.load(there.directory)
    x = load_wine().data[:3].astype(np.float32) + np.float32(0.25)  # new ones
    pd.testing.assert_frame_equal(loaded.predict(x), here.predict(x))
    assert main(["test", "--ckpt_path", str(there.directory)]) == 0


class Interrupts(Callback):
    def on_train_epoch_end(self, *_: Any) -> None:
        raise KeyboardInterrupt


class Fails(Callback):
    def on_train_epoch_end(self, *_: Any) -> None:
        raise RuntimeError("no")


def test_an_interrupt_is_one_and_a_failed_fold_is_said(work: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        from_objects(trainer={**TRAINER, "callbacks": [Interrupts()]})
    with pytest.raises(FoldsFailed, match="fold 0"):
        from_objects(trainer={**TRAINER, "callbacks": [Fails()]}, name="fails", folds=[0])
    states = lb.load("runs/fails").folds["state"]
    assert list(states) == ["failed", "pending", "pending"]
    with pytest.raises(ArtefactError, match="not all folds are done"):
        _ = lb.load("runs/fails").metrics


NETWORK = MLP(13, 3)
CSV = CSVLogger("logs")


@pytest.mark.parametrize(
    ("changes", "kind", "part"),
    [
        ({"task": lambda: Classification(NETWORK)}, ConfigError, "gives the same network each time"),
        ({"task": Classification(NETWORK)}, ConfigError, "task: a Classification is given"),
        ({"task": None}, ConfigError, "task: missing"),
        ({"data": None}, ConfigError, "nothing to run"),
        ({"name": None}, ConfigError, "name: missing"),
        ({"name": "a/b"}, ConfigError, "plain name of a folder"),
        ({"task": lambda: NETWORK}, ConfigError, "gives a MLP, not a BaseModule"),
        ({"task": lambda: MLP(1 // 0, 3)}, ConfigError, "raises ZeroDivisionError"),
        ({"data": lambda: Arrays(source="whine")}, ConfigError, "did you mean 'wine'?"),
        ({"data": lambda: Arrays(source="whine.npz")}, ConfigError, "no file whine.npz"),
        ({"data": {"split": None}}, ConfigError, "give x, or a function"),
        ({"x": np.zeros((3, 2)), "y": [0, 1, 1]}, ConfigError, "a function is given and x too"),
        ({"data": None, "x": np.zeros((3, 2)), "y": [0, 1]}, DataError, "y: shape (2,) where x has 3 rows"),
        ({"trainer": {"max_epoch": 3}}, ConfigError, "did you mean 'trainer.max_epochs'?"),
        ({"trainer": {"logger": CSV}}, ConfigError, "trainer=lambda: dict(logger=…)"),
        ({"config": "wine.yaml"}, ConfigError, "task: given beside a config"),
        ({"task": lambda: task(), "executor": "process"}, ConfigError, "task is no function of an importable module"),
        ({"folds": [7]}, ConfigError, "fold 7 does not exist"),
    ],
)
def test_a_mistake_is_one_line_of_its_kind_and_writes_nothing(
    changes: dict[str, Any], kind: type[UserError], part: str, work: Path
) -> None:
    with pytest.raises(kind) as error:
        from_objects(**changes)
    assert part in str(error.value)
    assert "\n" not in str(error.value)
    assert not (work / "runs").exists()


@pytest.mark.parametrize(
    ("call", "kind", "part"),
    [
        (lambda: lb.crossval("nope.yaml"), ConfigError, "no file"),
        (lambda: lb.crossval("wine.yaml", overrides={"trainer.max_epoch": 3}), ConfigError, "did you mean"),
        (lambda: lb.crossval("wine.yaml", overrides={"data.source": np.zeros(2)}), ConfigError, "plain values"),
        (lambda: lb.test("nope"), ArtefactError, "nope: no such file or directory"),
        (lambda: lb.test("wine.yaml", config="wine.yaml"), CheckpointError, "cannot be loaded as a checkpoint"),
        (lambda: lb.test("wine.yaml"), ConfigError, "no config.yaml stands beside it"),
        (lambda: lb.predict(None), ConfigError, "no run"),
        (lambda: lb.load("nope"), ArtefactError, "is no run's directory"),
        (lambda: lb.compare("nope", "neither"), ArtefactError, "is no crossval directory"),
        (lambda: lb.compare("nope", "neither", rope=-1), ConfigError, "rope: -1 is no width"),
        (lambda: lb.compare("nope", "neither", rope="x"), ConfigError, "rope: 'x' is no width"),
        (lambda: lb.compare("nope", "neither", rope=None), ConfigError, "rope: None is no width"),
        (lambda: lb.compare("nope", "neither", metric=3), ConfigError, "metric: 3 is no name"),
        (lambda: lb.compare(None, "neither"), ConfigError, "runs: None is no path"),
        (lambda: lb.load(3), ConfigError, "directory: a int is no path"),
        (lambda: lb.test(3), ConfigError, "run: a int is no path"),
        (lambda: lb.predict(["a"]), ConfigError, "run: a list is no path"),
        (lambda: lb.validate("wine.yaml", overrides=[1]), ConfigError, "overrides: a list"),
        (lambda: lb.fit("wine.yaml", ckpt_path=3), ConfigError, "ckpt_path: a int is no path"),
        (lambda: lb.crossval(3), ConfigError, "config: 3 is no path of a YAML file"),
        (lambda: lb.crossval([]), ConfigError, "config: an empty list"),
        (lambda: lb.crossval("."), ConfigError, "config: . is a directory"),
        (lambda: lb.crossval("nope.yaml"), ConfigError, "config: no file"),
        (lambda: lb.crossval("wine.yaml", folds=[9]), ConfigError, "folds: fold 9 does not exist"),
    ],
)
def test_a_mistake_in_a_call_is_one_line_of_its_kind(
    call: Callable[[], Any], kind: type[UserError], part: str, config: Path
) -> None:
    with pytest.raises(kind) as error:
        call()
    assert part in str(error.value)
    assert not re.search(r"\n|(^|[ (])--", str(error.value))


def shared() -> dict[str, dict[str, Any]]:
    """Functions that give one thing to all folds, each in its own way."""
    module, norm, stop = data(), torch.nn.BatchNorm1d(13, affine=False), EarlyStopping("val_loss")
    return {
        "the same data module": {"data": lambda: module},
        "the same network": {"task": lambda: Classification(torch.nn.Sequential(norm, torch.nn.Linear(13, 3)))},
        "the same object": {"trainer": lambda: {**TRAINER, "callbacks": [stop]}},
    }


@pytest.mark.parametrize("what", shared())
def test_what_folds_would_share_is_refused(what: str, work: Path) -> None:
    with pytest.raises(ConfigError, match=f"gives {what} each time"):
        from_objects(**shared()[what])
    assert not (work / "runs").exists()


def test_samples_that_cleaning_leaves_out_get_no_prediction_and_the_others_keep_theirs(work: Path) -> None:
    frame, made = table_run()
    new = frame.drop(columns="cultivar").iloc[::-1].copy()
    new["magnesium"] += 0.25  # no sample that was trained on
    expected = made.predict(new)
    new.iloc[5, 0] = np.inf
    with pytest.warns(UserWarning, match="1 of 178 samples were left out by cleaning"):
        found = made.predict(new)
    assert list(found.index) == list(new.index) == list(expected.index)
    assert found.iloc[5][["pred", "prob_0"]].isna().all()
    rest = found.index != found.index[5]
    columns = ["prob_0", "prob_1", "prob_2"]
    pd.testing.assert_frame_equal(found.loc[rest, columns], expected.loc[rest, columns])


def table_run(**changes: Any) -> tuple[pd.DataFrame, CrossValidation]:
    frame = wine()
    options = {"split": StratifiedKFold(3), "test_size": 0.2, "clean": Cleaning(non_finite="drop")}
    made = lb.crossval(
        task=lambda: Classification(MLP(15, 3, hidden=[4])),
        x=frame,
        y="cultivar",
        data=options,
        trainer={**TRAINER, "max_epochs": 1},
        name="cleaned",
        **changes,
    )
    return frame, made


def test_sealed_samples_that_have_changed_are_not_scored_and_reads_outlive_an_overwrite(work: Path) -> None:
    frame, made = table_run()
    assert len(made.test().reads) == 1
    with pytest.warns(LeakWarning, match="were read 1 time before"):
        frame, again = table_run(overwrite=True)
    with pytest.raises(ArtefactError, match="a later run has taken the directory"):
        _ = made.metrics
    with pytest.warns(UserWarning, match="read 2 times"):
        assert len(again.test().reads) == 2
    frame.iloc[:, 0] *= 2
    with pytest.raises(ArtefactError, match="has changed since the run"):
        again.test()


def test_threads_wait_for_each_other(work: Path) -> None:
    alone = from_objects(name="alone", folds=[0]).folds.loc[0, "loss"]
    with ThreadPoolExecutor(3) as pool:
        made = pool.map(lambda i: from_objects(name=f"t{i}", folds=[0]).folds.loc[0, "loss"], range(3))
        assert list(made) == [alone] * 3


def test_what_a_config_says_of_seed_and_audit_holds_unless_it_is_given(config: Path) -> None:
    saved = {
        "none": lb.crossval(config, name="none", folds=[0]),
        "both": lb.crossval(config, name="both", folds=[0], seed=0, audit="off"),
    }
    told = {key: yaml.safe_load((run.directory / "config.yaml").read_text()) for key, run in saved.items()}
    assert {key: (one["seed_everything"], one["audit"]) for key, one in told.items()} == {
        "none": (3, "warn"),
        "both": (0, "off"),
    }


def test_a_network_that_takes_its_width_from_the_data_trains_alone_as_with_others_and_predicts(config: Path) -> None:
    key = "model.network.init_args.num_inputs"
    whole = lb.crossval(config, overrides={key: None}, folds=[0, 1])
    alone = lb.crossval(config, overrides={key: None}, folds=[1], name="alone")
    assert_same_weights(whole.directory / "fold_1", alone.directory / "fold_1")
    kept = whole.directory / "fold_1" / "checkpoints" / "last.ckpt"
    held_out = pd.read_parquet(whole.directory / "fold_1" / "predictions.parquet")
    scored = lb.validate(kept).predictions.set_index("id").loc[held_out["id"]]
    np.testing.assert_array_equal(scored["prob_2"], held_out["prob_2"])
    assert len(lb.predict(kept, load_wine().data[:4].astype(np.float32) + 0.25)) == 4
    with pytest.raises(ConfigError, match=r"has 13 numbers: set model\.network\.num_inputs to that, or leave it out"):
        lb.crossval(config, overrides={key: 12}, name="wrong")


def test_a_lazy_network_and_another_directory(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = from_objects(task=lambda: Classification(torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(3))))
    (work / "elsewhere").mkdir()
    monkeypatch.chdir(work / "elsewhere")
    assert made.finished
    assert len(made.oof) == 142


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"folds": [True]}, "folds: True is no whole number"),
        ({"folds": 1}, "give such as [0, 2]"),
        ({"seed": -1}, "seed: -1"),
        ({"name": 5}, "name: 5"),
        ({"overrides": ["a"]}, "overrides: a list"),
        ({"trainer": 5}, "trainer: a int is given"),
        ({"trainer": lambda: None}, "trainer: the function gives a NoneType"),
        ({"executor": "proces"}, "did you mean 'process'?"),
        ({"data": {"batchsize": 3}, "x": np.zeros((3, 13)), "y": [0, 1, 2]}, "did you mean 'batch_size'?"),
        ({"data": {"impute": "meen"}, "x": np.zeros((3, 13)), "y": [0, 1, 2]}, "data.impute: 'meen' is none of mean"),
        ({"data": lambda: Arrays(source="wine", drop_last="false")}, "data.drop_last: 'false' is neither"),
        ({"data": lambda: Arrays(source="wine", clean=Cleaning(duplicate="dropp"))}, "did you mean 'drop'?"),
        ({"data": lambda: Arrays(source=3)}, "data.source: 3 is given; give text"),
        ({"data": lambda: 3}, "data: the function gives a int, not a BaseDataModule"),
        ({"data": Arrays}, "data: the function raises TypeError"),
        ({"task": Classification}, "task: the function raises TypeError"),
        ({"task": lambda: 3}, "task: the function gives a int, not a BaseModule"),
        ({"task": lambda: Classification(MLP)}, "model.network: the class MLP is given; give a network"),
        ({"task": lambda: Classification(MLP(13, 3), class_weights=3)}, "model.class_weights: 3 is neither"),
        ({"task": lambda: Classification(MLP(13, 3), l2="x")}, "model.l2: 'x' is no number"),
        ({"trainer": {"max_epochs": "x"}}, "trainer.max_epochs: Expected an int; got x"),
        ({"trainer": {"callbacks": 3}}, "trainer.callbacks: a list is expected"),
        ({"overrides": {"nosuch.key": 1}}, "nosuch: no such key"),
        ({"overrides": {3: 1}}, "overrides: 3 is no dotted key"),
        ({"overrides": {"": 1}}, "overrides: '' is no dotted key"),
        (
            {"overrides": {"folds": [0]}},
            "overrides: 'folds' is no key of a configuration but an argument; give folds=…",
        ),
        (
            {"overrides": {"data.batch_size": 3}},
            "overrides: data.batch_size is of a configuration; here a function makes",
        ),
        ({"overrides": {"help": 1}}, "overrides: 'help' is no key"),
        ({"overwrite": "x"}, "overwrite: 'x' is neither True nor False"),
        ({"refit": None}, "refit: None is neither True nor False"),
        ({"verbose": 1}, "verbose: 1 is neither True nor False"),
        ({"jobs": "x", "executor": "process"}, "jobs: 'x' is no whole number from 1"),
        ({"jobs": 2}, "jobs is for executor='process', not inline"),
        ({"threads": 1.5}, "threads: 1.5 is no whole number from 1"),
        ({"slurm": {}, "executor": "slurm"}, "slurm: a dict is given; give lightning_base.distributed.slurm.Slurm(…)"),
        ({"name": "a\nb"}, "name: 'a\\nb' holds control characters"),
        ({"name": "n" * 300}, "is longer than 200 bytes"),
    ],
)
def test_an_argument_of_another_kind_is_one_line(changes: dict[str, Any], part: str, work: Path) -> None:
    with pytest.raises(ConfigError) as error:
        from_objects(**changes)
    assert part in str(error.value)
    assert not re.search(r"\n|(^|[ (])--", str(error.value))
    assert not (work / "runs").exists()
