"""Sizes that a configuration leaves out are what the data says; what contradicts it is refused before training."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.datasets import load_diabetes, load_digits
from torch import Tensor
from torchmetrics import R2Score

from lightning_base.preprocess import Several, Tokenizer, Vocabulary
from lightning_base.tasks import Classification
from lightning_base.training.network_parser import is_network
from models.cnn import CNN
from tests.helpers import CONFIGS, Run, crossval, refused

DIGITS = ("--config", CONFIGS / "digits_cnn.yaml", "--trainer.max_epochs", 1, "--trainer.logger", "false")
CANCER = ("--config", CONFIGS / "breast_cancer_mlp.yaml", "--trainer.max_epochs", 1, "--trainer.logger", "false")
ONE = ("--folds", "[0]")
OWN = """
from torch import nn
class Wide(nn.Module):
    def __init__(self, num_inputs: int, num_outputs: int = 7, width: int = 4):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(num_inputs, width), nn.Linear(width, num_outputs))
    def forward(self, x):
        return self.layers(x)
class Lazy(nn.Module):
    def __init__(self, num_outputs: int):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.LazyLinear(num_outputs))
    def forward(self, x):
        return self.layers(x)
class Wordy(Lazy):
    def __init__(self, vocabulary: int, num_outputs: int):
        super().__init__(num_outputs)
def without_saying(num_outputs: int = 3):
    return Lazy(num_outputs)
"""


def checkpoint(name: str) -> dict[str, Any]:
    """What fold 0 left."""
    found: dict[str, Any] = torch.load(crossval(name) / "fold_0" / "checkpoints" / "last.ckpt", weights_only=True)
    return found


def shapes(name: str) -> list[tuple[int, ...]]:
    """Shapes of fold 0's matrices, in their order."""
    held: dict[str, Tensor] = checkpoint(name)["state_dict"]
    return [tuple(value.shape) for key, value in held.items() if key.startswith("network.") and value.ndim > 1]


def test_what_the_data_says_trains_bit_for_bit_as_what_is_given(run: Run, work: Path) -> None:
    given = ("--model.network.in_channels", 1, "--model.network.num_outputs", 10)
    run("crossval", *DIGITS, *ONE, "--name", "left")
    run("crossval", *DIGITS, *ONE, *given, "--name", "given")
    one, other = (checkpoint(name)["state_dict"] for name in ("left", "given"))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[key], other[key]) for key in one)
    images = load_digits().images
    assert checkpoint("left")["lightning_base"]["sizes"] == {
        "network.in_channels": 1,
        "network.num_outputs": len(np.unique(load_digits().target)),
    }
    assert images.ndim == 3  # one channel


def test_another_network_is_one_line(run: Run, work: Path) -> None:
    for path in ("models.mlp.MLP", "models.linear.Linear"):  # their widths come from the first batch
        images = ("--model.network", path, "--name", f"images_{path.rpartition('.')[2]}")
        run("crossval", *DIGITS, *ONE, *images)  # in channels-last memory, as the CNN was
        run("crossval", *CANCER, *ONE, "--model.network", path, "--name", path.rpartition(".")[2])
    assert shapes("MLP") == [(32, 30), (2, 32)]
    assert shapes("Linear") == [(2, 30)]
    assert shapes("images_MLP") == [(128, 64), (10, 128)]
    assert shapes("images_Linear") == [(10, 64)]


@pytest.mark.parametrize(("network", "expected"), [("Wide", [(4, 30), (2, 4)]), ("Lazy", [(2, 30)])])
def test_an_own_network_is_given_what_its_constructor_has_and_the_file_has_not(
    network: str, expected: Sequence[tuple[int, ...]], own: Path, run: Run
) -> None:
    Path("wide.py").write_text(OWN)
    run("crossval", *CANCER, "--model.network", f"wide.{network}", "--data.split.n_splits", 2)
    assert shapes("breast_cancer_mlp") == expected
    run("test", "--ckpt_path", crossval("breast_cancer_mlp"))
    assert len(pd.read_parquet(crossval("breast_cancer_mlp") / "test.parquet")) == 114


def test_an_own_default_gives_way_to_the_data_and_stands_where_it_is_given(
    own: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("wide.py").write_text(OWN)
    said = "gives logits of shape (2, 7), the data's 2 classes need (2, 2); set model.network.num_outputs to 2"
    refused(capsys, ["crossval", *CANCER, "--model.network", "wide.Wide", "--model.network.num_outputs", 7], said)
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("network", "said"),
    [
        ("wide.Wordy", "model.network.vocabulary: wide.Wordy needs it, and Classification with Arrays does not say it"),
        ("wide.without_saying", "a function must say that it gives one: def without_saying(…) -> torch.nn.Module"),
    ],
)
def test_what_nothing_says_is_asked_for(network: str, said: str, own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("wide.py").write_text(OWN)
    refused(capsys, ["crossval", *CANCER, "--model.network", network], said)


@pytest.mark.parametrize(
    ("config", "old", "new"),
    [
        ("breast_cancer_mlp", "num_classes", "num_outputs"),
        ("breast_cancer_mlp", "in_features", "num_inputs"),
        ("linear_regression_gd", "out_features", "num_outputs"),
        ("rt_polarity_bag", "num_words", "vocabulary"),
        ("multi30k_gru", "source_size", "vocabulary"),
        ("multi30k_gru", "target_size", "num_outputs"),
        ("tinyshakespeare", "size", "vocabulary"),
    ],
)
def test_an_earlier_name_of_a_size_is_refused_with_the_one_it_has_now(
    config: str, old: str, new: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["crossval", "--config", CONFIGS / f"{config}.yaml", f"--model.network.{old}", 3]
    refused(capsys, arguments, f"has no option '{old}'; did you mean '{new}'?")


def test_the_task_says_how_many_outputs_there_are(run: Run, work: Path) -> None:
    quantiles = ("--config", CONFIGS / "diabetes_quantiles.yaml", "--trainer.max_epochs", 1, *ONE)
    run("crossval", *quantiles, "--model.init_args.levels", "[0.1, 0.2, 0.5, 0.9]")
    assert shapes("diabetes_quantiles") == [(4, 10)]
    data = load_diabetes(as_frame=True)
    table = data.data.assign(one=data.target, two=data.target - 3, many="a b", id=range(len(data.target)))
    table.loc[::2, "many"] = "c"
    table.to_csv("t.csv", index=False)
    for name, task, target, n in (
        ("values", "Regression", "[one, two]", 2),
        ("value", "Regression", "one", 1),
    ):
        arguments = ["--data", "datamodules.table.Table", "--data.path", "t.csv", "--data.target", target]
        columns = [
            "--data.columns",
            "[age, bmi, bp]",
            "--data.ids",
            "id",
            "--data.split",
            "sklearn.model_selection.KFold",
        ]
        model = ["--model", f"lightning_base.tasks.{task}", "--model.network", "models.linear.Linear"]
        run("crossval", *arguments, *columns, *model, "--name", name, "--trainer.max_epochs", 1, *ONE)
        assert shapes(name) == [(n, 3)]


def words(work: Path) -> Path:
    """Texts of two classes, and a configuration for them."""
    for name, text in (("pos", "good fine splendid"), ("neg", "bad poor dull")):
        lines = [f"{text.split()[i % 3]} film number{i} indeed" for i in range(40)]
        (work / f"{name}.txt").write_text("\n".join(lines) + "\n")
    config = work / "words.yaml"
    config.write_text(
        "name: words\ntrainer: {accelerator: cpu, max_epochs: 1, logger: false}\n"
        "model:\n  class_path: lightning_base.tasks.Classification\n"
        "  init_args: {network: models.embedding_bag.EmbeddingBag}\n"
        "data:\n  class_path: datamodules.text.Text\n"
        "  init_args:\n    files: {neg: neg.txt, pos: pos.txt}\n    max_words: 50\n    batch_size: 16\n"
        "    clean: {near_duplicate: keep}\n"
        "    split: {class_path: sklearn.model_selection.StratifiedKFold, init_args: {n_splits: 2, shuffle: true}}\n"
    )
    return config


def test_a_vocabulary_has_the_most_words_there_may_be_so_that_folds_are_of_one_shape(run: Run, work: Path) -> None:
    config = words(work)
    run("crossval", "--config", config)
    found = [
        torch.load(crossval("words") / f"fold_{k}" / "checkpoints" / "last.ckpt", weights_only=True) for k in (0, 1)
    ]
    assert [tuple(one["state_dict"]["network.words.weight"].shape) for one in found] == [(50, 64)] * 2
    known = [one["Text"]["preprocess"]["words"] for one in found]
    assert known[0] != known[1]  # the folds' own words differ
    run("validate", "--ckpt_path", crossval("words") / "fold_1" / "checkpoints" / "last.ckpt")


def test_a_vocabulary_too_small_is_refused_though_a_batch_would_not_show_it(
    work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["crossval", "--config", words(work), "--model.network.vocabulary", 20]
    refused(capsys, arguments, "model.network.vocabulary: 20, and the data's texts have", "leave it out")


def test_preprocessing_says_the_most_tokens_there_may_be() -> None:
    assert Vocabulary(100).vocabulary == 100
    assert Tokenizer("words", size=300).vocabulary == 300
    assert Several({"a": Tokenizer("words", size=300), "b": Tokenizer("words", size=300)}).vocabulary == 300
    assert Several({"a": Tokenizer("words", size=300), "b": Tokenizer("words", size=40)}).vocabulary is None


def test_tasks_and_metrics_are_no_networks() -> None:
    assert [is_network(one) for one in (CNN, Classification, R2Score, len, dict)] == [True, False, False, False, False]
