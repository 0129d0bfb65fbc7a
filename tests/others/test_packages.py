"""Networks, datasets and modules of other packages, as they are installed, are cross-validated unchanged."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from lightning.pytorch import LightningModule
from lightning.pytorch.demos.boring_classes import BoringDataModule, BoringModel
from sklearn.metrics import accuracy_score
from sklearn.model_selection import KFold, StratifiedKFold
from torch import nn
from torch.utils.data import Dataset
from torchmetrics.classification import MulticlassAccuracy
from torchvision import models, transforms
from torchvision.datasets import FakeData

import lightning_base as lb
from tests.helpers import Run

pytestmark = pytest.mark.filterwarnings("ignore::lightning_base.tools.console.Note")

CPU = {"accelerator": "cpu", "logger": False, "max_epochs": 1}


class Vision(LightningModule):
    """As examples of torchmetrics and Lightning are: a metric inside, a schedule that asks how many steps there are."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network, self.accuracy = network, MulticlassAccuracy(3, average="micro")

    def forward(self, x: Any) -> Any:
        return self.network(x)

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return nn.functional.cross_entropy(self(batch[0]), batch[1])

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.accuracy(self(batch[0]), batch[1])
        self.log("val_acc", self.accuracy)

    def configure_optimizers(self) -> Any:
        optimizer = torch.optim.SGD(self.parameters(), 0.01)
        steps = int(self.trainer.estimated_stepping_batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def fake(n: int = 30) -> FakeData:
    drawn = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToTensor()])
    return FakeData(n, (3, 32, 32), 3, drawn)


def scored(network: Any, name: str) -> None:
    """Trains two folds of fake images, and holds the score to predictions, and to what the module logs."""
    result = lb.crossval(
        module=lambda: Vision(network()),
        dataset=fake(),
        splitter=StratifiedKFold(2),
        data={"batch_size": 10},
        trainer=CPU,
        name=name,
        audit="off",  # few of each class
    )
    assert len(result.oof) == 30
    assert result.metrics.loc["accuracy", "score"] == pytest.approx(
        accuracy_score(result.oof["target"], result.oof["pred"])
    )
    assert result.summary.logged is not None
    assert result.summary.logged["val_acc"] == pytest.approx(result.summary.metrics["accuracy"].folds, abs=1e-6)


def test_networks_of_torchvision(work: Path) -> None:
    scored(lambda: models.mobilenet_v3_small(num_classes=3), "torchvision")


def test_networks_of_timm(work: Path) -> None:
    timm = pytest.importorskip("timm", reason="timm is not installed")
    scored(lambda: timm.create_model("mobilenetv3_small_050", num_classes=3), "timm")


class Texts(Dataset[Any]):
    def __init__(self) -> None:
        drawn = np.random.default_rng(0)
        self.words = torch.from_numpy(drawn.integers(1, 50, (40, 12)))
        self.labels = torch.from_numpy(drawn.integers(0, 2, 40))

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, i: int) -> Any:
        return {"input_ids": self.words[i], "attention_mask": torch.ones_like(self.words[i]), "labels": self.labels[i]}


def test_classifiers_of_transformers(work: Path) -> None:
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")

    class Bert(LightningModule):
        def __init__(self) -> None:
            super().__init__()
            size = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
            config = transformers.BertConfig(**size, intermediate_size=16, num_labels=2)
            self.network = transformers.BertForSequenceClassification(config)

        def forward(self, **batch: Any) -> Any:
            return self.network(**batch)

        def training_step(self, batch: Any, batch_idx: int) -> Any:
            return self(**batch).loss

        def configure_optimizers(self) -> Any:
            return torch.optim.AdamW(self.parameters(), lr=1e-3)

    result = lb.crossval(
        module=Bert, dataset=Texts(), splitter=KFold(2), data={"batch_size": 8}, trainer=CPU, name="bert"
    )
    logits = []
    for fold in (0, 1):
        net = Bert()
        kept = torch.load(f"runs/bert/crossval/fold_{fold}/checkpoints/last.ckpt", weights_only=True)
        net.load_state_dict(kept["state_dict"])
        rows = result.oof.index[result.oof["fold"] == fold].to_numpy().tolist()
        with torch.no_grad():
            logits.append((rows, net.eval()(input_ids=Texts().words[rows]).logits.softmax(dim=1)[:, 1].numpy()))
    for rows, by_hand in logits:
        assert np.allclose(result.oof["prob_1"].iloc[rows], by_hand, atol=1e-6)


def test_lightnings_own_demo_with_its_data_module(work: Path) -> None:
    result = lb.crossval(module=BoringModel, dataset=BoringDataModule(), splitter=KFold(2), trainer=CPU, name="boring")
    assert len(result.oof) == 64
    assert set(result.summary.logged or {}) <= {"train_loss", "val_loss", "x"}


def test_class_paths_of_packages_alone(work: Path, run: Run) -> None:
    """A demo's module and torchvision's dataset, with no file of one's own."""
    transform = {"class_path": "torchvision.transforms.ToTensor"}
    config = {
        "trainer": CPU,
        "model": {
            "class_path": "tests.others.test_packages.Vision",
            "init_args": {"network": {"class_path": "torchvision.models.MobileNetV2", "init_args": {"num_classes": 3}}},
        },
        "data": {
            "class_path": "torchvision.datasets.FakeData",
            "init_args": {"size": 20, "image_size": [3, 32, 32], "num_classes": 3, "transform": transform},
            "split": {"class_path": "sklearn.model_selection.KFold", "init_args": {"n_splits": 2}},
            "batch_size": 5,
        },
    }
    (work / "packages.yaml").write_text(yaml.safe_dump(config))
    run("crossval", "--config", "packages.yaml", "--audit", "off")
    assert len(lb.load("runs/packages/crossval").oof) == 20
