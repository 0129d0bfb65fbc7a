"""Claims about layers: frozen ones stay as they are, later ones learn from their epoch on, each at its own rate."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import OneCycleLR

import lightning_base as lb
from lightning_base.finetune.rates import factors, groups, layers, scaled
from lightning_base.tasks import Classification
from models.mlp import MLP
from tests.helpers import CONFIGS, Run, assert_same_weights, checkpoint, crossval, refused, weights
from tests.support.forks import Forks
from tests.support.resumed import BASE as TRAINED
from tests.support.resumed import FOLD, KILL, TIMED, assert_identical

BASE = (
    *("crossval", "--config", CONFIGS / "digits_cnn.yaml", "--trainer.max_epochs", 2, "--model.network.widths", "[8]"),
    *("--audit", "off", "--trainer.logger", "false", "--threads", 1, "--folds", "[0]"),
)
MLP_OF_DIGITS = (
    *("--model.network", "models.mlp.MLP", "--model.network.num_inputs", 64, "--model.network.num_outputs", 10),
    *("--model.network.hidden", "[8, 8]", "--model.network.dropout", 0),
)  # layers.1, layers.3, layers.5
LATER = ("--model.freeze", "stages", "--model.unfreeze", '{"1": "stages.[34]", "2": ["stages"]}')
RATES = ("--model.lr_scale", '{"stages": 0.3, "stages.3": 0.5}')
CYCLE = (
    *("--model.scheduler", "torch.optim.lr_scheduler.OneCycleLR", "--model.scheduler.max_lr", 0.01),
    *("--model.scheduler.total_steps", 4),
)


def test_layers_learn_from_their_epoch_on_and_not_before(work: Path, run: Run) -> None:
    torch.save(MLP(num_inputs=64, num_outputs=10, hidden=[8, 8]).state_dict(), "net.pt")
    base = (*BASE, *MLP_OF_DIGITS, "--model.init_from", "net.pt", "--model.l2", 0.01)
    names = list(torch.load("net.pt", weights_only=True))
    first, second = (name.rpartition(".")[0] for name in (names[0], names[2]))
    frozen = ("--model.freeze", f'["{first}", "{second}"]', "--model.unfreeze", f'{{"2": "{second}"}}')
    before = torch.load("net.pt", weights_only=True)
    for epochs, still in ((2, {first, second}), (3, {first})):
        options = ("--trainer.max_epochs", epochs, "--name", epochs, *(frozen if epochs == 3 else frozen[:2]))
        run(*base, *options)
        after = weights(crossval(str(epochs)) / "fold_0")
        for name in names:
            assert torch.equal(before[name], after[f"network.{name}"]) == (name.rpartition(".")[0] in still), name


def test_batch_norm_of_frozen_layers_keeps_its_statistics_and_that_of_others_does_not(work: Path, run: Run) -> None:
    run(*BASE, "--model.freeze", "stages.[01]")
    after = weights(crossval("digits_cnn") / "fold_0")
    assert torch.equal(after["network.stages.1.running_mean"], torch.zeros(8))
    assert torch.equal(after["network.stages.1.running_var"], torch.ones(8))
    assert int(after["network.stages.1.num_batches_tracked"]) == 0
    assert int(after["network.stages.4.num_batches_tracked"]) == 36  # two epochs of 18 batches
    state = checkpoint(crossval("digits_cnn") / "fold_0")["optimizer_states"][0]
    trained = {key for key in after if key.endswith(("weight", "bias"))}
    assert len(state["state"]) == len(trained) - 3  # no state, and so no decay, of the frozen ones


@pytest.mark.slow
def test_killed_and_resumed_a_training_that_unfreezes_layers_is_as_one_that_was_not(
    forks: Forks, work: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    options = (*TRAINED, *LATER, *RATES, *CYCLE, *TIMED, "--trainer.callbacks.every_n_steps", 5, *KILL)
    whole = tmp_path_factory.mktemp("whole")
    assert forks(whole, *options) == [0], (whole / "log").read_text()
    for kill in ("12:batch", "20:stepped", "36:renamed", "45:half"):
        assert forks(work, *options, KILL=f"0:{kill}") == [-9], kill
    assert forks(work, *options) == [0], (work / "log").read_text()
    assert_identical(work, whole)
    state = checkpoint(work / FOLD)["optimizer_states"][0]
    steps = sorted({int(one["step"]) for one in state["state"].values()})
    assert steps == [18, 36, 54]  # those that learned in one, two and three of three epochs


@pytest.mark.slow
def test_two_processes_unfreeze_as_one_does(forks: Forks, work: Path) -> None:
    options = (
        *("crossval", "--config", CONFIGS / "digits_cnn.yaml", "--folds", "[0]", "--audit", "off"),
        *("--trainer.logger", "false", "--trainer.max_epochs", 3, *MLP_OF_DIGITS),
        *("--model.freeze", "layers.1", "--model.unfreeze", '{"1": "layers.1"}', "--model.lr_scale", 0.5),
        *("--model.optimizer", "torch.optim.SGD", "--model.optimizer.lr", 0.1, "--model.l2", 0.01),
        *("--trainer.gradient_clip_val", 0.5, "--model.init", "kaiming_normal"),
    )
    for ranks, overlay in ((1, ()), (2, ("--config", CONFIGS / "strategy" / "ddp.yaml"))):
        home = work / str(ranks)
        home.mkdir()
        devices = ("--trainer.accelerator", "cpu", "--trainer.devices", ranks)
        assert forks(home, *options, *overlay, *devices, ranks=ranks) == [0] * ranks, (home / "log").read_text()
    assert_same_weights(work / "2" / FOLD, work / "1" / FOLD, atol=1e-5)


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, torch.optim.AdamW, torch.optim.RMSprop])
def test_a_factor_is_a_rate_of_its_own_under_a_scheduler_that_sets_rates(optimizer: Any) -> None:
    """Beside torch's own groups, with the rates of a schedule written out."""
    torch.manual_seed(0)
    x, y = torch.randn(32, 4), torch.randint(3, (32,))
    ours = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    theirs = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    theirs.load_state_dict(ours.state_dict())
    one = scaled(optimizer(groups(ours, ours, {"0": 0.25}), lr=0.1))
    other = optimizer([{"params": theirs[0].parameters()}, {"params": theirs[2].parameters()}], lr=0.1)
    schedule = OneCycleLR(one, max_lr=0.2, total_steps=6)
    for _ in range(5):
        assert len({group["lr"] for group in one.param_groups}) == 1
        other.param_groups[0]["lr"] = 0.25 * one.param_groups[0]["lr"]
        other.param_groups[1]["lr"] = one.param_groups[0]["lr"]
        for key in ("momentum", "betas"):  # which the schedule moves too
            if key in other.param_groups[0]:
                for group in other.param_groups:
                    group[key] = one.param_groups[0][key]
        for network, step in ((ours, one), (theirs, other)):
            step.zero_grad()
            nn.functional.cross_entropy(network(x), y).backward()
            step.step()
        schedule.step()
    for name, value in ours.state_dict().items():
        torch.testing.assert_close(value, theirs.state_dict()[name], rtol=1e-6, atol=1e-7)


def test_layer_by_layer_each_has_the_factor_once_more_than_the_next() -> None:
    network = nn.Sequential(
        nn.Linear(2, 2), nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2)), nn.ReLU(), nn.Linear(2, 2)
    )
    assert [names[0] for names in layers(network)] == ["0.weight", "1.0.weight", "1.1.weight", "3.weight"]
    found = factors(network, 0.5)
    assert [found[name] for name in ("0.bias", "1.0.bias", "1.1.bias", "3.bias")] == [0.125, 0.25, 0.5, 1.0]


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (("--model.freeze", "stage"), ("model.freeze: 'stage' names no layer", "did you mean 'stages'?")),
        (("--model.freeze", "[stages, head]"), ("model.freeze: no layer is left to learn",)),
        (
            ("--model.freeze", "stages", "--model.unfreeze", '{"1": "head"}'),
            ("model.unfreeze.1: 'head' is not frozen",),
        ),
        (("--model.freeze", "stages", "--model.unfreeze", '{"2": "stages"}'), ("epoch 2 does not come",)),
        (("--model.unfreeze", '{"1": "stages"}'), ("model.unfreeze: nothing is frozen",)),
        (("--model.lr_scale", '{"stages.*": 0.1, "stages.0": 0.2}'), ("stages.*", "stages.0", "0.1 and 0.2")),
        (("--model.lr_scale", '{"haed": 0.1}'), ("model.lr_scale: 'haed'", "did you mean 'head'?")),
        (("--model.lr_scale", 0), ("model.lr_scale: 0.0 is no factor above 0", "model.freeze")),
        (("--model.optimizer", "torch.optim.LBFGS", "--model.lr_scale", 0.5), ("LBFGS", "parameter")),
        (
            (
                "--model.freeze",
                "stages",
                "--trainer.callbacks+",
                "lightning.pytorch.callbacks.StochasticWeightAveraging",
            ),
            ("model.freeze: StochasticWeightAveraging",),
        ),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_is_written(
    options: tuple[object, ...], parts: tuple[str, ...], work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if "StochasticWeightAveraging" in str(options[-1]):
        options = (*options, "--trainer.callbacks.swa_lrs", 0.1)
    refused(capsys, [*BASE, *options], *parts)
    assert not Path("runs").exists()


def test_folds_at_once_are_refused_what_differs_from_layer_to_layer(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    base = ("crossval", "--config", CONFIGS / "breast_cancer_mlp.yaml", "--audit", "off", "--executor", "vectorized")
    refused(capsys, [*base, "--model.lr_scale", 0.5], "--executor vectorized: model.lr_scale", "--executor inline")


def test_first_weights_are_drawn_by_the_scheme_from_the_fold_s_seed(work: Path, run: Run) -> None:
    """Frozen, they can be looked at when the training is over."""
    options = (
        "--folds",
        "[0, 1]",
        "--model.init",
        "orthogonal",
        "--model.freeze",
        "stages",
        "--model.optimizer.lr",
        1e-9,
    )
    run(*BASE, *options)
    run(*BASE, *options, "--name", "again", "--folds", "[0]")
    zero, one, again = (
        weights(crossval(name) / fold)
        for name, fold in (("digits_cnn", "fold_0"), ("digits_cnn", "fold_1"), ("again", "fold_0"))
    )
    drawn = zero["network.stages.3.weight"].flatten(1)  # (8, 72)
    torch.testing.assert_close(drawn @ drawn.T, torch.eye(8), rtol=0, atol=1e-5)
    assert torch.equal(zero["network.stages.3.weight"], again["network.stages.3.weight"])
    assert not torch.equal(zero["network.stages.3.weight"], one["network.stages.3.weight"])
    assert torch.equal(zero["network.stages.4.weight"], torch.ones(8))  # norm layers are kept
    assert float(zero["network.head.3.bias"].abs().max()) < 1e-6


@pytest.mark.parametrize(
    ("scheme", "std"),
    [
        ("kaiming_normal", np.sqrt(2 / 64)),
        ("kaiming_uniform", np.sqrt(2 / 64)),
        ("xavier_normal", np.sqrt(2 / (64 + 512))),
        ("xavier_uniform", np.sqrt(2 / (64 + 512))),
        ("trunc_normal", 0.02 * 0.8796),  # of a normal cut at two deviations
        ("normal", 0.02),
    ],
)
def test_schemes_have_the_deviations_of_their_papers(scheme: Any, std: float, work: Path) -> None:
    x, y = np.random.default_rng(0).normal(size=(60, 64)).astype(np.float32), np.arange(60) % 3
    result = lb.fit(
        task=lambda: Classification(
            nn.Sequential(nn.Linear(64, 512), nn.ReLU(), nn.Linear(512, 3)), init=scheme, freeze="0"
        ),
        x=x,
        y=y,
        trainer={"max_epochs": 1, "logger": False},
        audit="off",
        name=scheme,
    )
    assert result is not None
    found = weights(result.directory)["network.0.weight"]
    assert float(found.std()) == pytest.approx(std, rel=0.02)
    assert abs(float(found.mean())) < std / 50


def test_a_search_may_try_rates_and_schemes(work: Path, run: Run) -> None:
    run(
        *BASE,
        *("--search.grid", '{"model.lr_scale": [null, {"stages": 0.1}], "model.init": [null, "orthogonal"]}'),
        *("--search.metric", "loss", "--search.inner", "sklearn.model_selection.KFold", "--search.inner.n_splits", 2),
    )
    assert (crossval("digits_cnn") / "fold_0" / "search.json").is_file()


def test_so_many_of_each_class_are_the_pool_whatever_the_seed_and_the_test_samples_stay(work: Path, run: Run) -> None:
    few = ("--data.per_class", 20)
    run(*BASE)
    run(*BASE, *few, "--name", "few")
    run(*BASE, *few, "--name", "seed", "--seed_everything", 7)
    all_, some, other = (pd.read_parquet(crossval(name) / "split.parquet") for name in ("digits_cnn", "few", "seed"))
    ids = {name: set(t["id"][t["role"] != "test"]) for name, t in (("all", all_), ("few", some), ("seed", other))}
    assert len(ids["few"]) == 200
    assert ids["few"] == ids["seed"]
    assert ids["few"] < ids["all"]
    assert set(all_["id"][all_["role"] == "test"]) == set(some["id"][some["role"] == "test"])
