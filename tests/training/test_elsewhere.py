"""Networks of torchvision, timm and transformers by class path: a head that fits, weights of files, exact scores."""

import os
import urllib.error
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from safetensors.torch import save_file
from sklearn.metrics import accuracy_score, f1_score, log_loss
from torch import Tensor, nn
from torchvision.models import mobilenet_v2, resnet18, squeezenet1_1, vit_b_16

import lightning_base as lb
from lightning_base.errors import CheckpointError
from lightning_base.tasks import Classification
from lightning_base.tasks.head import new_head, new_stem
from lightning_base.tasks.network import outputs
from lightning_base.training.weights import load_weights, read_weights
from tests.helpers import CONFIGS, Run, crossval, read_json, refused
from tests.training.test_sizes import words

DIGITS = ("--config", CONFIGS / "digits_cnn.yaml", "--trainer.max_epochs", 1, "--trainer.logger", "false")
DIGITS += ("--trainer.limit_train_batches", 4)  # nothing here is of what they learn
TWO = ("--data.split.n_splits", 2)
RESNET = "torchvision.models.resnet18"
BERT = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def state(name: str) -> dict[str, Tensor]:
    """The network's state that fold 0 ended with."""
    found = torch.load(crossval(name) / "fold_0" / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"]
    return {key.removeprefix("network."): value for key, value in found.items()}


def scores_are_scikit_learns(name: str) -> None:
    """The summary's scores are those of the out-of-fold predictions, each sample once."""
    oof = pd.read_parquet(crossval(name) / "oof.parquet")
    prob = oof[[column for column in oof if column.startswith("prob_")]].to_numpy()
    assert oof["id"].is_unique
    metrics = read_json(crossval(name) / "summary.json")["metrics"]
    assert metrics["accuracy"]["score"] == pytest.approx(accuracy_score(oof["target"], prob.argmax(axis=1)), abs=1e-6)
    assert metrics["f1"]["score"] == pytest.approx(
        f1_score(oof["target"], prob.argmax(axis=1), average="macro"), abs=1e-6
    )
    assert metrics["loss"]["score"] == pytest.approx(log_loss(oof["target"], prob), rel=1e-5)


@pytest.mark.parametrize(
    ("network", "head", "stem"),
    [("resnet18", "fc", "conv1"), ("mobilenet_v2", "classifier.1", "features.0.0")],
)
def test_a_torchvision_network_gets_a_head_for_the_classes_and_takes_the_channels(
    network: str, head: str, stem: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run("crossval", *DIGITS, *TWO, "--model.network", f"torchvision.models.{network}")
    said = capsys.readouterr().out
    assert f"new head {head}: 1000 → 10 outputs" in said
    assert f"first layer {stem}: 3 → 1 channels" in said
    found = state("digits_cnn")
    assert (found[f"{head}.weight"].shape[0], found[f"{stem}.weight"].shape[1]) == (10, 1)
    scores_are_scikit_learns("digits_cnn")
    run("test", "--ckpt_path", crossval("digits_cnn"))
    assert len(pd.read_parquet(crossval("digits_cnn") / "test.parquet")) == 360


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_weights_of_a_file_are_where_training_begins_and_what_is_new_is_told(
    ending: str, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(7)
    given = {name: value for name, value in mobilenet_v2().state_dict().items() if not name.startswith("classifier")}
    file = f"trunk.{ending}"
    save_file(given, file) if ending == "safetensors" else torch.save({"state_dict": given, "epoch": 3}, file)
    slow = ("--model.optimizer.lr", 1e-30)
    network = ("--model.network", "torchvision.models.mobilenet_v2", "--model.network.weights", file)
    run("crossval", *DIGITS, *network, *slow, "--folds", "[0]")
    said = " ".join(capsys.readouterr().out.split())
    assert f"weights: 312 of 314 tensors from {file}, not in it or of another shape: classifier.1.weight" in said
    found = state("digits_cnn")
    assert torch.equal(found["features.5.conv.0.0.weight"], given["features.5.conv.0.0.weight"])
    summed = given["features.0.0.weight"].sum(dim=1, keepdim=True)
    assert torch.allclose(found["features.0.0.weight"], summed)
    Path(file).unlink()
    run("validate", "--ckpt_path", crossval("digits_cnn") / "fold_0" / "checkpoints" / "last.ckpt")  # needs it no more


class Code:
    """What runs code where it is loaded as pickle does it."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


def test_a_file_of_weights_runs_no_code_and_is_refused_where_nothing_in_it_fits(work: Path) -> None:
    torch.save({"weight": Code()}, "bad.pt")
    with pytest.raises(CheckpointError, match=r"bad\.pt cannot be read as weights alone"):
        read_weights("bad.pt")
    assert not Path("ran").exists()
    Path("text.safetensors").write_text("no weights")
    with pytest.raises(CheckpointError, match=r"text\.safetensors cannot be read as weights alone"):
        read_weights("text.safetensors")
    torch.save([torch.zeros(2)], "list.pt")
    with pytest.raises(CheckpointError, match=r"list\.pt holds no tensors by name"):
        read_weights("list.pt")
    save_file({"other.weight": torch.zeros(2)}, "other.safetensors")
    with pytest.raises(CheckpointError, match=r"none of the 1 tensors in other\.safetensors fits Linear"):
        load_weights(nn.Linear(2, 2), "other.safetensors")


REFUSED: dict[str, tuple[Sequence[object], str]] = {
    "weights that are none": (
        ("--model.network.weights", "DEFAUL"),
        "has no weights 'DEFAUL'; take one of IMAGENET1K_V1",
    ),
    "no file": (("--model.network.weights", "no.pt"), "model.network.weights: no file no.pt"),
    "another number of classes": (
        ("--model.network.num_classes", 5),
        "gives logits of shape (2, 5), the data's 10 classes need (2, 10); set model.network.num_classes to 10",
    ),
    "a network that is kept": (("--model.head", "keep"), "to have 3 channels, but got 1 channels instead"),
    "an option that is handed on": (("--model.network.wide", 3), "is given as dict_kwargs: {wide: …}"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_mistake_is_one_line_before_anything_is_written(
    case: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, said = REFUSED[case]
    refused(capsys, ["crossval", *DIGITS, "--model.network", RESNET, *arguments], said)
    assert not list(work.iterdir())


def test_weights_that_cannot_be_downloaded_are_one_line(
    work: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no network here")

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", offline)
    arguments = ["crossval", *DIGITS, "--model.network", RESNET, "--model.network.weights", "ResNet18_Weights.DEFAULT"]
    refused(capsys, arguments, "cannot be downloaded (<urlopen error no network here>)", "a file's path")


def test_a_network_that_a_function_makes_gets_a_head_too(work: Path) -> None:
    result = lb.crossval(
        task=lambda: Classification(squeezenet1_1()),
        x=torch.rand(24, 3, 32, 32).numpy(),
        y=["a", "b", "c"] * 8,
        data={"batch_size": 8},
        trainer={"max_epochs": 1, "accelerator": "cpu", "logger": False},
        folds=[0],
        name="squeezed",
    )
    assert result is not None
    assert state("squeezed")["classifier.1.weight"].shape == (3, 512, 1, 1)


def test_the_last_layer_is_replaced_and_all_others_stay() -> None:
    network = vit_b_16(image_size=32, num_classes=7)
    before = {name: value for name, value in network.state_dict().items() if "heads" not in name}
    assert new_head(network, 7) == ""
    assert new_head(network, 4) == "new head heads.head: 7 → 4 outputs"
    assert network.eval()(torch.rand(2, 3, 32, 32)).shape == (2, 4)
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in before.items())


def test_one_channel_gives_what_equal_channels_gave() -> None:
    network = resnet18().eval()
    x = torch.rand(2, 1, 32, 32)
    expected = network(x.expand(-1, 3, -1, -1)).detach()
    assert new_stem(network, 1).startswith("first layer conv1: 3 → 1 channels")
    assert torch.allclose(network(x), expected, atol=1e-4)


def test_a_timm_network_is_built_by_its_factory_and_takes_what_it_hands_on(
    run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("timm", reason="timm is an extra of its own: pip install lightning-base[timm]")
    Path("timm.yaml").write_text(
        "model:\n  class_path: lightning_base.tasks.Classification\n  init_args:\n    network:\n"
        "      class_path: timm.create_model\n      init_args: {model_name: test_resnet}\n"
        "      dict_kwargs: {drop_rate: 0.1}\n"
    )
    run("crossval", *DIGITS, "--config", "timm.yaml", *TWO)
    assert "new head fc: 1000 → 10 outputs" in capsys.readouterr().out
    assert state("digits_cnn")["fc.weight"].shape[0] == 10
    scores_are_scikit_learns("digits_cnn")


def bert(work: Path) -> Path:
    """A tiny BERT by its configuration."""
    path = work / "bert.yaml"
    path.write_text(
        "model:\n  class_path: lightning_base.tasks.Classification\n  init_args:\n    network:\n"
        f"      class_path: transformers.BertForSequenceClassification\n      init_args: {{config: {BERT}}}\n"
    )
    return path


def test_a_transformers_classifier_has_the_datas_words_and_classes(
    run: Run, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("transformers", reason="transformers is an extra of its own: lightning-base[transformers]")
    run("crossval", "--config", words(work), "--config", bert(work))
    assert "BertForSequenceClassification with" in capsys.readouterr().out
    found = state("words")
    assert found["bert.embeddings.word_embeddings.weight"].shape == (50, 16)
    assert found["classifier.weight"].shape == (2, 16)
    scores_are_scikit_learns("words")
    Path("new.csv").write_text("id,text\na,a good film\nb,dull\n")
    run("predict", "--ckpt_path", crossval("words"), "--data.predict", "new.csv")
    assert len(pd.read_parquet(crossval("words") / "ensemble.parquet")) == 2


def test_padding_changes_no_logit_of_a_transformers_network() -> None:
    transformers = pytest.importorskip("transformers", reason="an extra of its own: lightning-base[transformers]")
    torch.manual_seed(0)
    network = transformers.BertForSequenceClassification(transformers.BertConfig(vocab_size=20, **BERT)).eval()
    x = torch.tensor([[5, 6, 7], [8, 9, 0], [0, 0, 0]])
    further = torch.cat([x, torch.zeros(3, 4, dtype=torch.int64)], dim=1)
    found = outputs(network, x, torch.tensor([3, 2, 0]), lambda t: t)
    assert found.shape == (3, 2)
    assert torch.isfinite(found).all()
    assert torch.allclose(outputs(network, further, None, lambda t: t)[:2], found[:2], atol=1e-6)
    alone = network(input_ids=x[1:2, :2], attention_mask=torch.ones(1, 2, dtype=torch.int64)).logits
    assert torch.allclose(alone, found[1:2], atol=1e-6)


@pytest.mark.parametrize("network", ["shufflenet_v2_x0_5", "swin_t"])  # which take layers as arguments
def test_networks_keep_the_layers_that_they_take_by_default(network: str, run: Run) -> None:
    run("fit", *DIGITS, "--model.network", f"torchvision.models.{network}", "--trainer.fast_dev_run", 1)


def test_auxiliary_outputs_are_no_head() -> None:
    class Segments(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.classifier = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 21, 1))
            self.aux_classifier = nn.Sequential(nn.Conv2d(4, 21, 1))

    network = Segments()
    assert new_head(network, 5).startswith("new head classifier.1: 21 → 5 outputs (auxiliary")
    assert network.aux_classifier[0].out_channels == 21
