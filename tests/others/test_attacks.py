"""What a module or a dataset of somebody else's might hide: targets among inputs, other orders, other types."""

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, LightningModule
from sklearn.metrics import accuracy_score
from sklearn.model_selection import KFold
from torch import Tensor, nn
from torch.utils.data import Dataset, TensorDataset

import lightning_base as lb
from lightning_base.data.collate_order import sorts
from lightning_base.data.items import item_hash
from lightning_base.errors import ConfigError, DataError
from lightning_base.samples.payload import hash_payload
from lightning_base.tasks import AnyModule, Classification
from lightning_base.tasks.probabilities import scale_of
from lightning_base.tasks.their_inputs import inputs_of
from lightning_base.tools.console import Note
from tests.helpers import read_json
from tests.others.plain import Net, Noisy, digits

CPU: dict[str, Any] = {"accelerator": "cpu", "logger": False, "max_epochs": 1}
NOISE = torch.randn(200, 5, generator=torch.Generator().manual_seed(0))
GUESSED = torch.randint(0, 3, (200,), generator=torch.Generator().manual_seed(1))


class Tells(LightningModule):
    """Adds the target to its logits wherever it is given one, as networks with a margin for training do."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(5, 3)

    def forward(self, x: Tensor, *others: Tensor, goal: Tensor | None = None) -> Any:
        told = [one for one in (*others, goal) if one is not None and not one.is_floating_point()]
        return self.layer(x) + sum(8 * F.one_hot(one, 3) for one in told)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        x, y = (batch["x"], batch["goal"]) if isinstance(batch, dict) else batch[:2]
        return F.cross_entropy(self(x), y)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.01)


class Items(Dataset[Any]):
    """Noise, its guessed class, and its number: a tuple, or a dictionary."""

    def __init__(self, named: bool) -> None:
        self.named = named

    def __len__(self) -> int:
        return len(NOISE)

    def __getitem__(self, i: int) -> Any:
        item = NOISE[i], int(GUESSED[i]), torch.tensor(float(i))
        return dict(zip(("x", "goal", "number"), item, strict=True)) if self.named else item


@pytest.mark.parametrize(
    ("named", "targets"), [(False, 1), (True, "goal"), (True, lambda item: item["goal"]), (False, GUESSED.tolist())]
)
def test_forward_is_never_given_the_targets(named: bool, targets: Any, work: Path) -> None:
    result = lb.crossval(
        module=Tells,
        dataset=Items(named),
        splitter=KFold(2),
        data={"targets": targets, "batch_size": 32},
        trainer=CPU,
        name="x",
    )
    assert result.metrics.loc["accuracy", "score"] < 0.5  # a third of it is chance
    pred = result.oof["pred"].astype(int)
    assert result.metrics.loc["accuracy", "score"] == pytest.approx(accuracy_score(GUESSED, pred), abs=1e-6)


def test_inputs_that_are_the_targets_by_another_name_are_refused(work: Path) -> None:
    class Hidden(Tells):
        def forward(self, x: Tensor, goal: Tensor) -> Any:  # type: ignore[override]
            return self.layer(x) + 8 * F.one_hot(goal, 3)

    with pytest.raises(ConfigError, match="would be given the targets themselves"):
        lb.crossval(
            module=Hidden,
            dataset=Items(named=True),
            splitter=KFold(2),
            data={"targets": lambda item: item["goal"], "batch_size": 32},
            trainer=CPU,
            name="x",
        )
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("x", "target", "args", "named"),
    [
        ((1, 2, 3), None, (1, 2), {}),
        ((1, 2, 3), 0, (2, 3), {}),
        ((1, 2, 3), -2, (1, 3), {}),
        ((1, 2, 3), len, (1,), {}),
        ({"x": 1, "goal": 2, "label": 3}, None, (), {"x": 1, "goal": 2}),
        ({"x": 1, "goal": 2, "label": 3}, "goal", (), {"x": 1}),
        ({"x": 1, "goal": 2}, len, (), {"x": 1}),
        ({"image": 1, "label": 3}, None, ({"image": 1},), {}),
    ],
)
def test_what_forward_is_given(x: Any, target: Any, args: Any, named: Any) -> None:
    assert inputs_of(Tells().forward, x, target) == (args, named)


class Sums(LightningModule):
    """Predicts the sum of each sequence, which is its length."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Parameter(torch.ones(()))

    def forward(self, x: Tensor) -> Any:
        return x.sum(dim=1) * self.one

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return (self(batch["x"]) * 0).sum()

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), 0.0)


class Lengths(Dataset[Any]):
    def __init__(self, turned: bool = False) -> None:
        lengths = np.random.default_rng(0).permutation(np.arange(1, 41))
        self.lengths = lengths[::-1] if turned else lengths

    def __len__(self) -> int:
        return 40

    def __getitem__(self, i: int) -> Any:
        n = int(self.lengths[i])
        return {"x": torch.ones(n), "goal": float(n)}


def padded(items: list[Any], key: Any = None) -> Any:
    items = sorted(items, key=key) if key else items
    x = nn.utils.rnn.pad_sequence([item["x"] for item in items], batch_first=True)
    return {"x": x, "goal": torch.tensor([item["goal"] for item in items])}


def by_length(items: list[Any]) -> Any:
    return padded(items, key=lambda item: -len(item["x"]))


def cross_validated(name: str, dataset: Any, **data: Any) -> Any:
    data = {"targets": lambda item: item["goal"], "batch_size": 8, **data}
    return lb.crossval(module=Sums, dataset=dataset, splitter=KFold(2), data=data, trainer=CPU, name=name)


def test_a_collate_that_sorts_is_refused_though_its_targets_are_not_found(work: Path) -> None:
    assert cross_validated("a", Lengths(), collate=padded).metrics.loc["mae", "score"] == 0
    with pytest.raises(DataError, match="in another order than it was given them"):
        cross_validated("b", Lengths(), collate=by_length)
    assert not Path("runs/b").exists()


def test_items_to_evaluate_on_in_another_order_are_refused(work: Path) -> None:
    with pytest.raises(DataError, match="the target of item 0 is not that"):
        cross_validated("a", Lengths(), collate=padded, evaluated=Lengths(turned=True))


@pytest.mark.parametrize(
    ("found", "turned", "said"),
    [
        ([torch.arange(3.0) * 2, torch.ones(3)], [torch.tensor([4.0, 2, 0]), torch.ones(3)], False),
        ([torch.arange(3.0) * 2], [torch.arange(3.0) * 2], True),
        ([torch.arange(3), torch.tensor([5, 6, 7])], [torch.arange(3), torch.tensor([7, 6, 5])], False),
        ([torch.arange(3)], [torch.arange(3)], False),  # places, not items
        ([torch.rand(3)], [torch.rand(3)], False),  # drawn anew: it shows no order
        (["a", "b", "c"], ["a", "b", "c"], True),
    ],
)
def test_how_an_order_of_its_own_is_seen(found: Any, turned: Any, said: bool) -> None:
    assert sorts(found, turned, 3) is said


def test_one_content_has_one_hash_in_any_type_and_as_a_sample_of_an_array() -> None:
    x = torch.rand(4, 3, generator=torch.Generator().manual_seed(0))
    hashes = hash_payload(x.numpy()).tolist()
    assert [item_hash(row) for row in x] == [item_hash(row.double()) for row in x] == hashes
    assert item_hash({"a": x[0]}) == item_hash({"a": x[0].double()}) != item_hash({"a": x[1]})
    assert item_hash((x[0], 1)) != item_hash((x[0], 2))


@pytest.mark.filterwarnings("ignore:Noisy")
@pytest.mark.parametrize("kind", ["float64", "arrays", "drawn"])
def test_first_weights_that_have_seen_the_held_out_samples_in_another_form(work: Path, kind: str) -> None:
    found = digits(200)
    x, y = found.tensors

    def task(init_from: str | None = None) -> Classification:
        return Classification(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)), init_from=init_from)

    lb.fit(task=task, dataset=found, data={"batch_size": 32}, trainer=CPU, name="before")
    source = "runs/before/fit/version_0"
    given: dict[str, Any] = {"trainer": CPU, "name": "after", "task": lambda: task(source), "splitter": KFold(2)}
    if kind == "drawn":
        with pytest.warns(Note, match="more cannot be known"):
            lb.crossval(dataset=Noisy(100), data={"batch_size": 32}, **given)
        report = read_json(Path("runs/after/crossval/fold_0/initial_weights.json"))
        assert "is not known" in report["trained_on"]
        return
    given |= (
        {"dataset": TensorDataset(x[-60:].double(), y[-60:]), "data": {"batch_size": 32}}
        if kind == "float64"
        else {"x": x[-60:].numpy(), "y": y[-60:].numpy()}
    )
    with pytest.raises(ConfigError, match=r"was trained on \d+ of the \d+ samples that fold 0 holds out"):
        lb.crossval(**given)


def test_rows_of_0_and_1_are_labels_whatever_type_they_have(work: Path) -> None:
    x, y = digits().tensors
    labels = torch.stack([y % 2 == 0, y > 4, y % 3 == 0], dim=1)

    class Labels(Net):
        def __init__(self) -> None:
            super().__init__()
            self.layers[-1] = nn.Linear(32, 3)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return F.binary_cross_entropy_with_logits(self(batch[0]), batch[1].float())

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            """Nothing."""

    found = [
        lb.crossval(
            module=Labels,
            dataset=TensorDataset(x, labels.to(kind)),
            splitter=KFold(2),
            data={"batch_size": 32},
            trainer=CPU,
            name=str(kind).removeprefix("torch."),
        ).metrics["score"]
        for kind in (torch.float32, torch.int64)
    ]
    assert "auroc" in found[0]
    assert found[0].to_dict() == found[1].to_dict()


class Swaps(Net):
    """Predicts with other weights than it trains."""

    def on_predict_start(self) -> None:
        self.kept = self.layers[-1].bias.detach().clone()
        self.layers[-1].bias.data[3] += 1e3

    def on_predict_end(self) -> None:
        self.layers[-1].bias.data.copy_(self.kept)


def test_its_own_hooks_of_prediction_run(work: Path) -> None:
    with pytest.warns(Note, match="val_acc as logged is not accuracy"):
        result = lb.crossval(
            module=Swaps, dataset=digits(), splitter=KFold(2), data={"batch_size": 32}, trainer=CPU, name="x"
        )
    assert (result.oof["pred"].astype(int) == 3).all()
    state = torch.load("runs/x/crossval/fold_0/checkpoints/last.ckpt", weights_only=True)["state_dict"]
    assert float(state["layers.4.bias"].abs().max()) < 10


class Killed(Callback):
    """Ends the process once a training has ended."""

    def on_predict_start(self, trainer: Any, pl_module: Any) -> None:
        os.kill(os.getpid(), signal.SIGKILL)


def test_what_was_logged_outlives_a_kill_after_the_training(work: Path) -> None:
    def run(*callbacks: Any) -> Any:
        return lb.fit(
            module=Net,
            dataset=digits(),
            data={"batch_size": 32},
            trainer={**CPU, "callbacks": list(callbacks)},
            name="x",
        )

    if (child := os.fork()) == 0:
        try:
            run(Killed())
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    run()
    (record,) = Path("runs").rglob("result.json")
    logged = read_json(record)["logged"]
    assert set(logged) >= {"train_loss", "val_acc"}
    assert all(np.isfinite(value) for value in logged.values())


@pytest.mark.parametrize(
    ("values", "each", "kind"),
    [
        (torch.rand(8, 3).softmax(1), False, "probabilities"),
        (torch.rand(8, 3), False, None),  # a sigmoid of each class, or logits
        (100 * torch.rand(8, 3).softmax(1), False, None),  # in hundredths
        (torch.randn(8, 3), False, "logits"),
        (torch.rand(8, 1), True, None),
    ],
)
def test_what_numbers_are(values: Tensor, each: bool, kind: str | None) -> None:
    assert scale_of(values, each) == kind


def test_one_logit_is_told_from_a_probability_by_far_larger_inputs(work: Path) -> None:
    x, y = digits().tensors

    class One(Net):
        def __init__(self, sure: bool) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(64, 1))
            nn.init.constant_(self.layers[1].weight, 1e-3)
            nn.init.constant_(self.layers[1].bias, 0.5)
            self.sure = sure

        def forward(self, x: Tensor) -> Any:
            z = self.layers(x)[:, 0]
            return z.sigmoid() if self.sure else z

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return F.binary_cross_entropy_with_logits(self.layers(batch[0])[:, 0], batch[1].float())

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            """Nothing."""

    data = TensorDataset(x, (y > 4).long())
    given: dict[str, Any] = {"dataset": data, "splitter": KFold(2), "data": {"batch_size": 32}, "trainer": CPU}
    logits = lb.crossval(module=lambda: One(sure=False), name="a", **given)
    with pytest.raises(ConfigError, match="which might be logits or probabilities"):
        lb.crossval(module=lambda: One(sure=True), name="b", **given)
    told = lb.crossval(module=lambda: AnyModule(One(sure=True), predicts="probabilities"), name="c", **given)
    assert logits.metrics["score"].to_dict() == pytest.approx(told.metrics["score"].to_dict(), abs=1e-5)


def test_text_classes_are_numbered_by_name_and_that_is_said(work: Path) -> None:
    class Named(Dataset[Any]):
        def __len__(self) -> int:
            return 120

        def __getitem__(self, i: int) -> Any:
            x, y = digits(120)[i]
            return x, ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"][int(y)]

    with pytest.warns(Note, match="classes are numbered by their names: 0 eight, 1 five"):
        lb.crossval(module=Tenth, dataset=Named(), splitter=KFold(2), data={"batch_size": 32}, trainer=CPU, name="x")


class Tenth(Net):
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return self(batch[0]).square().mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Nothing."""
