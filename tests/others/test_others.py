"""A LightningModule and a Dataset that know nothing of this project are trained as they are, and scored by us."""

import os
import signal
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.demos.boring_classes import BoringModel, RandomDataset
from sklearn.metrics import accuracy_score, log_loss, r2_score
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold
from torch import nn
from torch.utils.data import DataLoader, IterableDataset, Subset, TensorDataset
from torchmetrics.classification import MulticlassCohenKappa

import lightning_base as lb
from lightning_base.auditing.gate import LeakWarning
from lightning_base.errors import ConfigError, DataError, Stopped
from lightning_base.tasks import AnyModule, Classification
from lightning_base.training.seeds import EpochSeed, derive_seed, seed_all
from tests.others.plain import Net, Noisy, Split, digits

pytestmark = pytest.mark.filterwarnings("ignore::lightning_base.tools.console.Note")

CPU = {"accelerator": "cpu", "logger": False}
FOLDS = StratifiedKFold(2, shuffle=True, random_state=0)


def test_it_is_the_same_as_a_loop_over_trainer_fit_written_by_hand(work: Path) -> None:
    """Weights bit for bit, and the predictions of held-out samples."""
    dataset = digits()
    result = lb.crossval(
        module=lambda: Net(dropout=0.2),
        dataset=dataset,
        splitter=FOLDS,
        data={"batch_size": 32},
        trainer={**CPU, "max_epochs": 2},
        name="ours",
    )
    targets = dataset.tensors[1].numpy()
    for fold, (train, held) in enumerate(FOLDS.split(np.zeros(len(targets)), targets)):
        seed = derive_seed(0, fold)
        seed_all(seed)
        net = Net(dropout=0.2)
        trainer = Trainer(
            **CPU,
            max_epochs=2,
            callbacks=[EpochSeed(seed)],
            num_sanity_val_steps=0,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
        )
        held_out = DataLoader(Subset(dataset, held.tolist()), batch_size=32, generator=torch.Generator())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of workers, and of steps to log
            train_on = DataLoader(dataset, sampler=Order(train, seed), batch_size=32, generator=torch.Generator())
            trainer.fit(net, train_on, held_out)
        kept = torch.load(f"runs/ours/crossval/fold_{fold}/checkpoints/last.ckpt", weights_only=True)["state_dict"]
        assert kept.keys() == net.state_dict().keys()
        assert all(torch.equal(value, net.state_dict()[name]) for name, value in kept.items())
        with torch.no_grad():
            by_hand = net.eval()(dataset.tensors[0][held]).double().softmax(dim=1).numpy()
        ours = result.oof[result.oof["fold"] == fold].set_index("id").loc[[f"{row:03d}" for row in held]]
        assert np.allclose(ours.filter(like="prob_"), by_hand, atol=1e-7)
    loaded = Net.load_from_checkpoint("runs/ours/crossval/fold_1/checkpoints/last.ckpt", dropout=0.2, weights_only=True)
    assert torch.equal(loaded.layers[1].weight, net.layers[1].weight)


class Order(torch.utils.data.Sampler[int]):
    """The rows of a fold in the order that every epoch of ours has."""

    def __init__(self, rows: Any, seed: int) -> None:
        self.rows, self.seed, self.epoch = rows, seed, 0

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Any:
        order = np.random.default_rng([self.seed, self.epoch]).permutation(self.rows)
        self.epoch += 1
        return iter(order.tolist())


def test_scores_are_those_of_its_predictions_and_what_it_logs_stands_beside_them(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = lb.crossval(
        module=Net,
        dataset=digits(),
        splitter=FOLDS,
        metrics=[MulticlassCohenKappa(num_classes=10)],
        data={"batch_size": 64},
        trainer={**CPU, "max_epochs": 3},
        name="scored",
        verbose=True,
    )
    oof = result.oof
    assert result.metrics.loc["accuracy", "score"] == pytest.approx(accuracy_score(oof["target"], oof["pred"]))
    loss = log_loss(oof["target"], oof.filter(like="prob_").to_numpy(), labels=range(10))
    assert result.metrics.loc["loss", "score"] == pytest.approx(loss)
    assert "cohen_kappa" in result.metrics.index
    logged = result.summary.logged
    assert logged is not None
    for fold in range(2):  # Lightning weighs batches by their size, so a mean over samples is what it logs
        assert logged["val_acc"][fold] == pytest.approx(result.summary.metrics["accuracy"].folds[fold], abs=1e-6)
    said = capsys.readouterr().out
    assert "as logged by the module" in said
    assert "is not accuracy" not in said


def test_what_it_logs_otherwise_than_its_predictions_score_is_told(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    class Batches(Net):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            x, y = batch
            self.log("val_acc", (self(x).argmax(dim=1) == y).float().mean(), batch_size=1)  # each batch counts as one

    run = lb.crossval(
        module=Batches,
        dataset=digits(),
        splitter=FOLDS,
        data={"batch_size": 64},
        trainer={**CPU, "max_epochs": 3},
        name="batches",
        verbose=True,
    )
    assert run.summary.logged is not None
    apart = np.abs(np.array(run.summary.logged["val_acc"]) - run.summary.metrics["accuracy"].folds)
    assert (apart > 1e-3).any()
    assert "! val_acc as logged is not accuracy as computed from predictions" in capsys.readouterr().out


class Stop(Callback):
    """Sends this process a signal after some steps, once."""

    def on_train_batch_end(self, trainer: Trainer, *_: Any) -> None:
        if os.environ.get("STOP_AFTER") == str(trainer.global_step):
            del os.environ["STOP_AFTER"]
            signal.raise_signal(signal.SIGTERM)


def test_items_drawn_at_random_are_the_same_in_any_process_and_after_a_signal(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(name: str, **more: Any) -> Any:
        return lb.crossval(
            module=lambda: Net(dropout=0.3),
            dataset=Noisy(),
            splitter=FOLDS,
            data={"batch_size": 16, **more},
            trainer=lambda: {**CPU, "max_epochs": 2, "callbacks": [Stop()]},
            name=name,
        ).oof

    whole = trained("whole")
    assert trained("processes", processes=2).equals(whole)
    monkeypatch.setenv("STOP_AFTER", "10")  # in the second epoch of the first fold
    with pytest.raises(Stopped):
        trained("stopped")
    assert trained("stopped").equals(whole)


def test_items_drawn_at_random_are_told_and_read_without_that_where_a_dataset_says_how(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {"module": Net, "dataset": Noisy(), "splitter": FOLDS, "trainer": {**CPU, "max_epochs": 1}}
    lb.crossval(**given, name="drawn", verbose=True)
    assert "held-out ones too" in capsys.readouterr().out
    result = lb.crossval(**given, data={"evaluated": digits(200)}, name="still", verbose=True)
    assert "held-out ones too" not in capsys.readouterr().out
    held = result.oof[result.oof["fold"] == 1]
    net = Net.load_from_checkpoint("runs/still/crossval/fold_1/checkpoints/last.ckpt", weights_only=True)
    with torch.no_grad():
        by_hand = net.eval()(digits(200).tensors[0][held["id"].astype(int).tolist()]).softmax(dim=1)
    assert np.allclose(held.filter(like="prob_"), by_hand, atol=1e-6)
    with pytest.raises(DataError, match="evaluated: 100 items for 200"):
        lb.crossval(**given, data={"evaluated": digits(100)}, name="fewer")


def test_a_data_module_that_divides_at_random_gives_each_fold_the_same_items(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given: dict[str, Any] = {"module": Net, "splitter": KFold(2), "trainer": {**CPU, "max_epochs": 2}}
    result = lb.crossval(**given, dataset=Split(), name="split", verbose=True)
    said = capsys.readouterr().out
    assert "its 50 validation samples are not read: folds hold out some of its 200 training samples" in said
    assert "audit" not in said  # no test sample is in the pool, though it is set up anew for each stage
    assert result.test().n == 50
    assert lb.crossval(**given, dataset=Split, name="split_each", audit="off").oof.equals(result.oof)


def test_groups_ids_and_targets_come_from_items(work: Path) -> None:
    found = digits(60)
    items = [{"image": x, "digit": int(y), "who": i // 6, "name": f"scan {i}"} for i, (x, y) in enumerate(found)]

    class Keyed(Net):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return nn.functional.cross_entropy(self(batch["image"]), batch["digit"])

        def predict_step(self, batch: Any, batch_idx: int) -> Any:
            return {"logits": self(batch["image"]), "features": batch["image"]}

    result = lb.crossval(
        module=Keyed,
        dataset=Listed(items),
        splitter=GroupKFold(3),
        groups=lambda item: item["who"],
        data={"targets": "digit", "ids": "name"},
        trainer={**CPU, "max_epochs": 1, "limit_val_batches": 0},
        name="keyed",
        audit="off",  # few of each class
    )
    assert set(result.oof["id"]) == {f"scan {i}" for i in range(60)}
    who = result.oof["id"].str.removeprefix("scan ").astype(int) // 6
    assert (who.groupby(who).count() == 6).all()
    assert result.oof.groupby(who)["fold"].nunique().max() == 1
    new = result.predict(Listed([{"image": x} for x, _ in Subset(digits(), [70, 71, 72])]))
    assert len(new) == 3
    assert set(new["pred"]) <= set(range(10))


class Listed(torch.utils.data.Dataset[Any]):
    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        return self.items[i]


def test_values_and_a_module_that_takes_its_own_steps(work: Path) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 4)).astype(np.float32)
    y = (x @ [1, 2, 0, -1] + 0.1 * rng.normal(size=90)).astype(np.float32)

    class Manual(Net):
        def __init__(self) -> None:
            super().__init__()
            self.layers, self.automatic_optimization = nn.Sequential(nn.Linear(4, 1)), False

        def training_step(self, batch: Any, batch_idx: int) -> None:
            optimizer: Any = self.optimizers()
            for _ in range(2):
                optimizer.zero_grad()
                self.manual_backward(nn.functional.mse_loss(self(batch[0])[:, 0], batch[1]))
                optimizer.step()

        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_mse", nn.functional.mse_loss(self(batch[0])[:, 0], batch[1]))

        def configure_optimizers(self) -> Any:
            return torch.optim.Adam(self.parameters(), lr=0.05)

    result = lb.crossval(
        module=Manual,
        dataset=TensorDataset(torch.from_numpy(x), torch.from_numpy(y)),
        splitter=KFold(3),
        data={"batch_size": 10},
        trainer={**CPU, "max_epochs": 4},
        name="manual",
    )
    assert result.metrics.loc["r2", "score"] == pytest.approx(r2_score(result.oof["target"], result.oof["pred"]))
    assert (result.folds["n_train"] == 60).all()
    assert result.metrics.loc["r2", "score"] > 0.5


def test_classes_from_one_probability_are_asked_for_and_then_scored(work: Path) -> None:
    x, y = digits(200).tensors
    two = TensorDataset(x, (y > 4).long())

    class One(Net):
        def forward(self, x: Any) -> Any:
            return super().forward(x)[:, 0].sigmoid()

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return nn.functional.binary_cross_entropy(self(batch[0]), batch[1].float())

        def validation_step(self, batch: Any, batch_idx: int) -> None: ...

    given: dict[str, Any] = {"dataset": two, "splitter": FOLDS, "trainer": {**CPU, "max_epochs": 1}}
    with pytest.raises(ConfigError, match="might be logits or probabilities"):
        lb.crossval(module=One, **given, name="asked")
    result = lb.crossval(module=lambda: AnyModule(One(), predicts="probabilities"), **given, name="told")
    assert ((result.oof["prob_1"] > 0.5) == result.oof["pred"]).all()
    net = One.load_from_checkpoint("runs/told/crossval/fold_0/checkpoints/last.ckpt", weights_only=True).eval()
    held = result.oof[result.oof["fold"] == 0]
    with torch.no_grad():
        assert np.allclose(held["prob_1"], net(x[held["id"].astype(int).tolist()]), atol=1e-6)


@pytest.mark.parametrize("kind", ["logits", "log_probabilities", "probabilities", "classes"])
def test_whatever_form_classes_are_predicted_in_the_scores_are_the_same(work: Path, kind: str) -> None:
    class Form(Net):
        def predict_step(self, batch: Any, batch_idx: int) -> Any:
            logits = self(batch[0])
            if kind == "classes":
                return logits.argmax(dim=1)
            made = {"log_probabilities": logits.log_softmax(dim=1), "probabilities": logits.softmax(dim=1)}
            return made.get(kind, logits)

    common: dict[str, Any] = {"dataset": digits(120), "splitter": FOLDS, "trainer": {**CPU, "max_epochs": 1}}
    plain = lb.crossval(module=Net, **common, name="plain")
    found = lb.crossval(module=Form, **common, name=kind)
    assert np.allclose(found.oof.filter(like="prob_"), plain.oof.filter(like="prob_"), atol=1e-6)
    new = TensorDataset(digits().tensors[0][200:204])
    alone = found.predict(TensorDataset(new.tensors[0][:1]))  # whose numbers alone tell no form
    assert np.allclose(alone.filter(like="prob_"), found.predict(new).filter(like="prob_").iloc[:1], atol=1e-6)


def test_a_module_without_targets_is_trained_and_what_it_logs_is_all_that_is_told(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    result = lb.crossval(
        module=BoringModel,
        dataset=RandomDataset(32, 20),
        splitter=KFold(2),
        trainer={**CPU, "max_epochs": 1},
        name="boring",
        verbose=True,
    )
    assert len(result.oof) == 20
    assert result.metrics.empty
    assert "no score: items have no target" in capsys.readouterr().out


def test_a_task_of_ours_takes_a_dataset_of_others(work: Path) -> None:
    def task() -> Classification:
        return Classification(nn.Sequential(nn.Flatten(), nn.Linear(64, 10)))

    trainer = {**CPU, "max_epochs": 2}
    split = {"split": FOLDS, "batch_size": 32, "normalize": "none"}
    x, y = digits().tensors
    ours = lb.crossval(task=task, x=x.numpy(), y=y.numpy(), data=split, trainer=trainer, name="arrays")
    theirs = lb.crossval(
        task=task, dataset=digits(), splitter=FOLDS, data={"batch_size": 32}, trainer=trainer, name="it"
    )
    assert np.allclose(theirs.oof.filter(like="prob_"), ours.oof.filter(like="prob_"), atol=1e-6)


def test_a_module_of_others_takes_data_of_ours(work: Path) -> None:
    x, y = digits(120).tensors
    result = lb.crossval(
        module=Net, x=x.numpy(), y=y.numpy(), data={"split": FOLDS}, trainer={**CPU, "max_epochs": 1}, name="pairs"
    )
    assert result.metrics.loc["accuracy", "score"] == pytest.approx((result.oof["target"] == result.oof["pred"]).mean())


def test_equal_items_on_both_sides_of_a_split_are_found(work: Path) -> None:
    x, y = digits(60).tensors
    twice = TensorDataset(torch.cat([x, x[:5]]), torch.cat([y, y[:5]]))
    with pytest.warns(LeakWarning, match="duplicate"):
        lb.crossval(module=Net, dataset=twice, splitter=KFold(2), trainer={**CPU, "max_epochs": 1}, name="twice")


class Endless(IterableDataset[Any]):
    def __iter__(self) -> Any:
        yield torch.zeros(8, 8), 0


def test_what_cannot_be_served_is_told_before_anything_is_written(work: Path) -> None:
    given: dict[str, Any] = {"splitter": FOLDS, "trainer": {**CPU, "max_epochs": 1}, "name": "wrong"}

    class Elsewhere(Net):
        def forward(self, x: Any, mask: Any) -> Any:
            return super().forward(x)

    class Wide(Net):
        def forward(self, x: Any) -> Any:
            return super().forward(x)[:, :7]

    x, y = digits(40).tensors
    for module, dataset, more, match in (
        (Net(), digits(40), {}, "every fold makes its own"),
        (Net, Endless(), {}, "no fold can be held out"),
        (Net, DataLoader(digits(40)), {}, "give its dataset: loader.dataset"),
        (Net, digits(40), {"data": {"batch_sizes": 3}}, "did you mean 'batch_size'"),
        (Net, digits(40), {"data": {"num_workers": 3}}, "did you mean 'processes'"),
        (Net, digits(40), {"splitter": 5}, "give a splitter, such as"),
        (Net, digits(40), {"splitter": GroupKFold(2)}, "from Python `groups=`"),
        (Net, digits(40), {"data": {"targets": "digit"}}, "targets 'digit' is not in item 0, a tuple"),
        (Net, digits(40), {"data": {"normalize": "standard"}}, "transforms do that"),
        (Net, digits(40), {"y": [1]}, "given beside dataset"),
        (Net, digits(40), {"task": lambda: Classification(nn.Linear(1, 1))}, "give one of them"),
        (Elsewhere, digits(40), {}, "give it a predict_step"),
        (Wide, digits(40), {}, "gives .16, 7., and the data has 10 classes"),
        (Net, TensorDataset(x, y - 3), {}, "below 0"),
        (Net, TensorDataset(x, torch.randint(2, 9, (40, 5))), {}, "no score is known"),
    ):
        with pytest.raises(lb.errors.UserError, match=match):
            lb.crossval(module=module, dataset=dataset, **(given | more))
    assert not Path("runs").exists()


def test_a_dataset_that_training_changes_is_refused(work: Path) -> None:
    class Spoils(Net):
        def training_step(self, batch: Any, batch_idx: int) -> Any:
            dataset.tensors[0].mul_(0.5)
            return super().training_step(batch, batch_idx)

    dataset = digits(60)
    with pytest.raises(lb.errors.UserError, match="is not what it was when it was read"):
        lb.crossval(module=Spoils, dataset=dataset, splitter=FOLDS, trainer={**CPU, "max_epochs": 1}, name="spoilt")


def test_a_collate_that_sorts_items_is_refused_where_predictions_would_be_others(work: Path) -> None:
    def by_target(items: Any) -> Any:
        return torch.utils.data.default_collate(sorted(items, key=lambda item: int(item[1])))

    with pytest.raises(lb.errors.UserError, match="in another order than it was given them"):
        lb.crossval(
            module=Net,
            dataset=Listed(list(digits(60))),
            splitter=FOLDS,
            data={"collate": by_target},
            trainer={**CPU, "max_epochs": 1},
            name="sorted",
        )


@pytest.mark.filterwarnings("ignore:Attribute 'activation' is an instance")
def test_hyperparameters_that_are_objects_and_layers_of_setup(work: Path) -> None:
    """Checkpoints are loaded with weights_only, whatever `save_hyperparameters` was given."""

    class Late(Net):
        def __init__(self, activation: nn.Module, width: int = 8) -> None:
            super().__init__(width)
            self.save_hyperparameters()

        def setup(self, stage: str) -> None:
            self.last = nn.Linear(10, 10)

        def forward(self, x: Any) -> Any:
            return self.last(super().forward(x))

    result = lb.crossval(
        module=lambda: Late(nn.ReLU()),
        dataset=digits(80),
        splitter=FOLDS,
        trainer={**CPU, "max_epochs": 1},
        name="late",
    )
    kept = torch.load("runs/late/crossval/fold_0/checkpoints/last.ckpt", weights_only=True)
    assert kept["hyper_parameters"] == {"width": 8, "dropout": 0.0}
    assert "last.weight" in kept["state_dict"]
    new = TensorDataset(digits().tensors[0][200:204])
    assert len(result.predict(new)) == 4
