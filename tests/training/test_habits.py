"""Claims about the overlays of configs/habits/: each lays over several tasks, and does what it says, exactly."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from sklearn.datasets import load_breast_cancer

import lightning_base as lb
from lightning_base.errors import UserError
from lightning_base.training.rate import valley
from tests.helpers import (
    CONFIGS,
    Run,
    assert_same_crossval,
    assert_same_weights,
    checkpoint,
    read_json,
    refused,
    weights,
)
from tests.support.forks import Forks
from tests.support.resumed import BASE, KILL, TIMED, assert_identical

HABITS = sorted(path.stem for path in (CONFIGS / "habits").glob("*.yaml"))
TASKS: dict[str, Mapping[str, Any]] = {
    "digits_cnn": {"model.network.init_args.widths": [8]},
    "breast_cancer_mlp": {},
    "linear_regression_gd": {"trainer.check_val_every_n_epoch": 1, "data.batch_size": 64},
}
TWO_FOLDS = {"data.split": {"class_path": "sklearn.model_selection.StratifiedKFold", "init_args": {"n_splits": 2}}}
SWA, SCHEDULE = "lightning_base.training.averaging.SWA", "lightning_base.tasks.schedules.WarmupCosine"
NOISE = [{"class_path": "lightning_base.augment.TableNoise", "init_args": {}}]
EVERY = {"class_path": "lightning.pytorch.callbacks.ModelCheckpoint", "init_args": {"save_top_k": -1}}


def trained(task: str, habit: str | None = None, name: str = "run", **changes: Any) -> Path:
    """The directory of fold 0 of a task, with a habit laid over it; two epochs unless it is said."""
    files = [CONFIGS / f"{task}.yaml", *([CONFIGS / "habits" / f"{habit}.yaml"] if habit else [])]
    given = {"trainer.max_epochs": 2, **TASKS.get(task, {}), **{k.replace("__", "."): v for k, v in changes.items()}}
    return lb.crossval(files, overrides=given, folds=[0], name=name, audit="off").directory / "fold_0"


def sgd(**more: Any) -> dict[str, Any]:
    return {"model.optimizer": {"class_path": "torch.optim.SGD", "init_args": {"lr": 0.01, **more}}}


def with_callback(habit: str, more: Mapping[str, Any]) -> list[Any]:
    """The callbacks of an overlay, and another."""
    given = yaml.safe_load((CONFIGS / "habits" / f"{habit}.yaml").read_text())["trainer"]["callbacks+"]
    return [*(given if isinstance(given, list) else [given]), more]


BEST = ("early_stopping", "best_checkpoint")
PAIRS = {
    **dict.fromkeys(("balanced", *BEST), ("digits_cnn", "breast_cancer_mlp")),
    **dict.fromkeys(("ema", "bf16"), ("digits_cnn", "linear_regression_gd")),
    "swa": ("digits_cnn",),  # of two epochs the last alone is averaged: it is BatchNorm's statistics that differ
    **dict.fromkeys(("clip_norm", "clip_value"), ("linear_regression_gd",)),  # digits' gradients are smaller
}


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Of each task the directory of fold 0 without any habit."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("plain"))
        return {task: trained(task, name=task).absolute() for task in TASKS}


@pytest.mark.parametrize("habit", [name for name in HABITS if name not in ("weighted", "lr_finder")])
def test_an_overlay_lays_over_two_tasks_and_scores_each_held_out_sample_once(
    work: Path, plain: Mapping[str, Path], habit: str
) -> None:
    for task in PAIRS.get(habit, ("breast_cancer_mlp", "linear_regression_gd")):
        fold = trained(task, habit, name=task)
        scored, before = (pd.read_parquet(path / "predictions.parquet") for path in (fold, plain[task]))
        assert scored["id"].tolist() == before["id"].tolist()
        assert scored["target"].tolist() == before["target"].tolist()
        assert not scored.equals(before), "it did nothing"
        result = read_json(fold / "result.json")
        assert result["trivial"] == read_json(plain[task] / "result.json")["trivial"]
        assert result["n_given"] == read_json(plain[task] / "result.json")["n_given"] or habit in BEST
        assert result["checkpoint"] == ("best.ckpt" if habit in BEST else "last.ckpt")
        assert ("chose nothing" in result["selection"]) == (habit in BEST)
        metric = "mse" if "linear" in task else "loss"
        again = lb.validate(fold / "checkpoints" / result["checkpoint"]).scores
        assert again[metric] == pytest.approx(result["metrics"][metric], rel=2e-5)


def test_the_command_line_takes_an_overlay_that_adds_to_lists(
    run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    overlays = (w for h in ("mixup", "ema", "best_checkpoint") for w in ("--config", CONFIGS / "habits" / f"{h}.yaml"))
    run("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", *overlays, "--trainer.fast_dev_run", 1)
    (work / "wrong.yaml").write_text("trainer:\n  calbacks+: []\n")
    words = ["crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", "--config", "wrong.yaml"]
    refused(capsys, words, "trainer.calbacks", "did you mean 'trainer.callbacks'")


def test_overlays_lie_over_one_another(work: Path) -> None:
    habits = [
        CONFIGS / "habits" / f"{name}.yaml" for name in ("ema", "early_stopping", "onecycle", "mixup", "balanced")
    ]
    found = lb.crossval([CONFIGS / "digits_cnn.yaml", *habits], overrides={"trainer.max_epochs": 2}, folds=[0])
    config = yaml.safe_load((found.directory / "config.yaml").read_text())
    kinds = [one["class_path"].rpartition(".")[2] for one in config["trainer"]["callbacks"]]
    assert kinds == ["EMA", "EarlyStopping", "ModelCheckpoint"]
    kept = checkpoint(found.directory / "fold_0", "best.ckpt")
    assert not torch.equal(*(kept[key]["network.head.3.weight"] for key in ("state_dict", "current_model_state")))


FIRST = "network.layers.1.weight"


def test_ema_is_the_average_of_the_weights_after_each_step(work: Path) -> None:
    steps = {**EVERY, "init_args": {"save_top_k": -1, "every_n_train_steps": 1, "filename": "{step}"}}
    fold = trained("breast_cancer_mlp", data__batch_size=100, trainer__callbacks=with_callback("ema", steps))
    after = [checkpoint(fold, f"step={n}.ckpt")["current_model_state"][FIRST].double() for n in range(1, 9)]
    mean = after[0]
    for n, new in enumerate(after[1:], start=1):
        kept = min(0.999, (1 + n) / (10 + n))
        mean = kept * mean + (1 - kept) * new
    torch.testing.assert_close(weights(fold)[FIRST].double(), mean, rtol=0, atol=1e-6)
    assert not torch.equal(weights(fold)[FIRST].double(), after[-1])


def test_swa_is_the_mean_of_the_last_epochs_with_statistics_of_its_own(work: Path) -> None:
    callbacks = with_callback("swa", {**EVERY, "init_args": {"save_top_k": -1, "filename": "{epoch}"}})
    normed: dict[str, Any] = {"trainer.max_epochs": 8, "data.batch_size": None, "trainer.callbacks": callbacks}
    normed |= {"model.network.init_args.batch_norm": True, "model.network.init_args.dropout": 0.0}
    fold = trained(
        "breast_cancer_mlp", **normed, trainer__max_epochs=8, data__batch_size=None, trainer__callbacks=callbacks
    )
    after = [checkpoint(fold, f"epoch={epoch}.ckpt")["current_model_state"] for epoch in (6, 7)]
    kept = weights(fold)
    for name in (FIRST, "network.layers.1.bias", "network.layers.4.weight"):
        torch.testing.assert_close(kept[name], (after[0][name] + after[1][name]) / 2)
    split = pd.read_parquet(fold.parent / "split.parquet").query("fold == 0 and role == 'train'")
    x = load_breast_cancer().data[split["id"].astype(int)]
    hidden = (
        torch.from_numpy((x - x.mean(axis=0)) / x.std(axis=0)).float() @ kept[FIRST].T + kept["network.layers.1.bias"]
    )
    torch.testing.assert_close(kept["network.layers.2.running_mean"], hidden.mean(dim=0), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(kept["network.layers.2.running_var"], hidden.var(dim=0), rtol=1e-3, atol=1e-3)
    assert lb.validate(fold / "checkpoints" / "last.ckpt").scores["loss"] == pytest.approx(
        read_json(fold / "result.json")["metrics"]["loss"], abs=1e-6
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"trainer.callbacks": SWA, "trainer.max_epochs": -1, "trainer.max_steps": 9},
            "max_epochs: SWA",
        ),
        (
            {
                "trainer.callbacks": {
                    "class_path": "lightning.pytorch.callbacks.EMAWeightAveraging",
                    "init_args": {"update_starting_at_step": 5},
                }
            },
            "untrained network until it starts",
        ),
        (
            {
                "trainer.callbacks": {
                    "class_path": "lightning.pytorch.callbacks.StochasticWeightAveraging",
                    "init_args": {"swa_lrs": 0.01},
                },
                "trainer.max_steps": 5,
            },
            "trainer.max_steps ends the training before max_epochs; take lightning_base.training.averaging.SWA",
        ),
        (
            {
                "model.scheduler": "lightning_base.tasks.schedules.OneCycle",
                "trainer.callbacks": {
                    "class_path": "lightning.pytorch.callbacks.GradientAccumulationScheduler",
                    "init_args": {"scheduling": {0: 2, 1: 1}},
                },
            },
            "give trainer.accumulate_grad_batches",
        ),
        (
            {
                "model.scheduler": "lightning_base.tasks.schedules.WarmupCosine",
                "trainer.max_epochs": -1,
                "trainer.max_time": "00:00:01:00",
            },
            "no end is set; give trainer.max_epochs",
        ),
        (
            {"model.scheduler": "lightning_base.tasks.schedules.WarmupCosine", "model.scheduler.init_args.warmup": 1.5},
            "model.scheduler.warmup: 1.5 is no share",
        ),
    ],
)
def test_what_an_average_or_a_schedule_cannot_be_of_is_refused(
    work: Path, options: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        lb.crossval(CONFIGS / "breast_cancer_mlp.yaml", overrides=options)
    assert not Path("runs").exists()


def cosine(step: int, total: int, warmup: int) -> float:
    """The share of the highest rate, by the formula in the paper's words."""
    if step < warmup:
        return (step + 1) / warmup
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


@pytest.mark.parametrize(
    ("options", "steps", "total"),
    [
        ({}, 12, 36),
        ({"trainer.accumulate_grad_batches": 5}, 3, 9),
        ({"trainer.max_steps": 30}, 12, 30),
        ({"trainer.limit_train_batches": 4}, 4, 12),
    ],
)
def test_warm_up_and_cosine_follow_the_formula_over_all_steps(
    work: Path, options: Mapping[str, Any], steps: int, total: int
) -> None:
    more = {"trainer.max_epochs": 3, "data.batch_size": 32, "model.scheduler.init_args.warmup": 0.25}
    fold = trained("breast_cancer_mlp", "warmup_cosine", **more, **options)
    rates = pd.read_csv(fold / "metrics.csv")["lr"].dropna().to_numpy()
    ends = [min(steps * (epoch + 1), total - 1) for epoch in range(3)]
    assert rates == pytest.approx([0.001 * cosine(end, total, round(0.25 * total)) for end in ends], rel=1e-6)


def test_one_cycle_has_the_numbers_of_torchs(work: Path) -> None:
    fold = trained("breast_cancer_mlp", "onecycle", **sgd(momentum=0.9), trainer__max_epochs=3)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.01, momentum=0.9)
    theirs = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.01, total_steps=36)
    rates, momenta = [], []
    for _ in range(35):
        optimizer.step()
        theirs.step()
        rates.append(optimizer.param_groups[0]["lr"])
        momenta.append(optimizer.param_groups[0]["momentum"])
    logged = pd.read_csv(fold / "metrics.csv")["lr"].dropna().to_numpy()
    assert logged == pytest.approx([rates[11], rates[23], rates[34]], rel=1e-6)
    assert checkpoint(fold)["optimizer_states"][0]["param_groups"][0]["momentum"] == pytest.approx(momenta[34])


def test_folds_at_once_are_led_as_one_is(work: Path) -> None:
    one, other = (
        lb.crossval(
            [CONFIGS / f"{name}.yaml" for name in ("breast_cancer_mlp", "habits/onecycle", "habits/balanced")],
            overrides={
                **TWO_FOLDS,
                "trainer.max_epochs": 2,
                "model.network.init_args.dropout": 0.0,
                "data.augment": NOISE,
            },
            name=executor,
            executor=executor,
            audit="off",
        ).directory
        for executor in ("inline", "vectorized")
    )
    for fold in ("fold_0", "fold_1"):
        assert_same_weights(other / fold, one / fold, atol=1e-5)
        logs = [pd.read_csv(home / fold / "metrics.csv")["lr"].dropna().to_numpy() for home in (one, other)]
        np.testing.assert_allclose(*logs, rtol=1e-6)


@pytest.mark.parametrize(("habit", "moved"), [("clip_norm", 1.0), ("clip_value", 0.5)])
def test_a_clipped_step_is_as_long_as_it_may_be(work: Path, habit: str, moved: float) -> None:
    still = {"model.optimizer.init_args.momentum": 0.0, "model.optimizer.init_args.nesterov": False}
    one = {**still, "model.optimizer.init_args.lr": 1.0, "trainer.max_epochs": 1, "data.batch_size": None}
    plain, clipped = (trained("linear_regression_gd", h, name=str(h), **one) for h in (None, habit))
    nothing = {**one, "model.optimizer.init_args.lr": 1e-30}
    begun = weights(trained("linear_regression_gd", name="begun", **nothing))
    gradient, step = (
        torch.cat([(begun[name] - after[name]).flatten() for name in begun]) for after in map(weights, (plain, clipped))
    )
    expected = gradient * (moved / gradient.norm()) if habit == "clip_norm" else gradient.clamp(-moved, moved)
    torch.testing.assert_close(step, expected, rtol=1e-4, atol=1e-5)


def test_bfloat16_leaves_the_weights_float32(work: Path) -> None:
    plain, half = (trained("digits_cnn", habit, name=str(habit)) for habit in (None, "bf16"))
    assert {value.dtype for name, value in weights(half).items() if "tracked" not in name} == {torch.float32}
    losses = [read_json(fold / "result.json")["metrics"]["loss"] for fold in (plain, half)]
    assert losses[0] != losses[1]
    assert losses[0] == pytest.approx(losses[1], rel=0.1)


def test_the_rate_is_found_in_the_middle_of_the_longest_fall_on_the_training_part(work: Path) -> None:
    rates = list(np.geomspace(1e-6, 1, 61))
    falls = [1.0] * 20 + list(np.linspace(1, 0.2, 21)) + list(np.linspace(0.3, 9, 20))
    assert valley(rates, falls) == pytest.approx(1e-3, rel=0.3)
    assert valley(rates, [1.0] * 61) is None
    fold = trained("breast_cancer_mlp", "lr_finder")
    result = read_json(fold / "result.json")
    assert result["learning_rate"] == read_json(fold / "learning_rate.json")["lr"]
    assert 1e-4 < result["learning_rate"] < 1e-1
    given = trained("breast_cancer_mlp", name="given", **{"model.optimizer.init_args.lr": result["learning_rate"]})
    assert_same_weights(fold, given)


def test_a_rate_is_found_for_what_is_laid_over_the_steps_of_a_training(work: Path) -> None:
    cycle = {"class_path": "lightning_base.tasks.schedules.OneCycle", "init_args": {"rise": 0.5, "start": 0.5}}
    shrink = {"class_path": "lightning_base.augment.Shrink", "init_args": {"size": 6}}
    more = {"model.scheduler": cycle, "data.augment": [shrink]}
    fold = trained("digits_cnn", "lr_finder", **more)
    found = read_json(fold / "learning_rate.json")["lr"]
    given = trained("digits_cnn", name="given", **more, **{"model.optimizer.init_args.lr": found})
    assert_same_weights(fold, given)
    alone = trained("digits_cnn", "lr_finder", name="alone")
    assert read_json(alone / "learning_rate.json")["lr"] == found, "the search knows of neither"


LONGER = {"ema": "digits_cnn", "best_checkpoint": "breast_cancer_mlp"}


@pytest.mark.parametrize("habit", LONGER)
def test_a_run_that_is_trained_longer_is_one_that_was_trained_so_long(work: Path, habit: str) -> None:
    files = [CONFIGS / f"{LONGER[habit]}.yaml", CONFIGS / "habits" / f"{habit}.yaml"]

    def run(name: str, epochs: int, **more: Any) -> Path:
        options = {**TASKS[LONGER[habit]], **TWO_FOLDS, "trainer.max_epochs": epochs}
        return lb.crossval(files, overrides=options, name=name, audit="off", **more).directory

    whole, short = run("whole", 3), run("run", 1)
    lb.load(short).test()
    with pytest.raises(UserError, match=r"longer=True goes on to them, else give another name"):
        run("run", 3)
    run("run", 1, longer=True)  # no epoch more: the run that is there
    assert_same_crossval(run("run", 3, longer=True), whole)
    assert read_json(short / "test.json").keys() <= {"reads", "data_fingerprint", "data_fingerprints"}
    assert not [*short.glob("test.parquet")]
    with pytest.raises(UserError, match=r"trainer\.max_epochs was 3, is now 2; give more epochs"):
        run("run", 2, longer=True)


def test_a_run_whose_length_matters_is_not_trained_longer_and_stays_as_it_was(work: Path) -> None:
    for habit, said in (("onecycle", "OneCycle leads the learning rate"), ("swa", "SWA averages the last epochs")):
        files = [CONFIGS / "breast_cancer_mlp.yaml", CONFIGS / "habits" / f"{habit}.yaml"]
        options = {**TWO_FOLDS, "trainer.max_epochs": 1}
        home = lb.crossval(files, overrides=options, name=habit, audit="off").directory
        kept = (home / "summary.json").read_text()
        with pytest.raises(UserError, match=said):
            lb.crossval(files, overrides={**options, "trainer.max_epochs": 2}, name=habit, longer=True, audit="off")
        assert (home / "summary.json").read_text() == kept
    fit = lb.fit(files[:1], overrides={"model.scheduler": SCHEDULE, "trainer.max_epochs": 1}, name="fit")
    assert fit is not None
    longer = {"model.scheduler": SCHEDULE, "trainer.max_epochs": 2}
    with pytest.raises(UserError, match="laid over 12 steps in the checkpoint, and is over 24 now"):
        lb.fit(files[:1], overrides=longer, name="fit", ckpt_path=fit.directory / "checkpoints" / "last.ckpt")


def test_a_fit_goes_on_from_the_checkpoint_of_a_shorter_one(work: Path) -> None:
    whole, short = (
        lb.fit(CONFIGS / "breast_cancer_mlp.yaml", overrides={"trainer.max_epochs": epochs}, name=f"of_{epochs}")
        for epochs in (3, 1)
    )
    assert whole is not None
    assert short is not None
    on = lb.fit(
        CONFIGS / "breast_cancer_mlp.yaml",
        overrides={"trainer.max_epochs": 3},
        name="on",
        ckpt_path=short.directory / "checkpoints" / "last.ckpt",
    )
    assert on is not None
    assert_same_weights(on.directory, whole.directory)


KILLED = {
    "ema, one cycle, balanced": (("ema", "onecycle", "balanced"), ["7:stepped", "20:validation", "40:backward"]),
    "swa with BatchNorm, warm-up and cosine": (("swa", "warmup_cosine"), ["30:half", "44:batch", "54:predict"]),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLED)
def test_a_kill_changes_nothing_with(forks: Forks, tmp_path: Path, name: str) -> None:
    habits, kills = KILLED[name]
    overlays = (word for habit in habits for word in ("--config", CONFIGS / "habits" / f"{habit}.yaml"))
    options = (*BASE, *overlays, *TIMED, "--trainer.callbacks.every_n_steps", 4, *KILL)
    for part in ("whole", "killed"):
        (tmp_path / part).mkdir()
    assert forks(tmp_path / "whole", *options) == [0], (tmp_path / "whole" / "log").read_text()
    for kill in kills:
        assert forks(tmp_path / "killed", *options, KILL=f"0:{kill}") == [-9], kill
    assert forks(tmp_path / "killed", *options) == [0], (tmp_path / "killed" / "log").read_text()
    assert_identical(tmp_path / "killed", tmp_path / "whole")


@pytest.mark.slow
def test_two_processes_average_and_draw_as_one(forks: Forks, tmp_path: Path) -> None:
    overlays = (w for h in ("swa", "onecycle", "balanced") for w in ("--config", CONFIGS / "habits" / f"{h}.yaml"))
    options = (
        *("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", *overlays, "--folds", "[0]", "--audit", "off"),
        *("--trainer.max_epochs", 4, "--model.network.dropout", 0, "--trainer.logger", "false"),
    )
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
    assert forks(tmp_path / "one", *options) == [0], (tmp_path / "one" / "log").read_text()
    two = ("--trainer.devices", 2, "--trainer.strategy", "ddp")
    assert forks(tmp_path / "two", *options, *two, ranks=2) == [0, 0], (tmp_path / "two" / "log").read_text()
    one, other = (tmp_path / part / "runs" / "breast_cancer_mlp" / "crossval" / "fold_0" for part in ("one", "two"))
    assert_same_weights(other, one, atol=1e-5)
