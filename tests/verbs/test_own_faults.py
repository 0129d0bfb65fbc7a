"""Claims about the user's own code that has changed since a run, or that raises: one line, and no number of another."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from lightning.pytorch.callbacks import Callback
from sklearn.model_selection import KFold
from torch import Tensor, nn

import lightning_base as lb
from datamodules.arrays import Arrays
from lightning_base.augment.base import Augmentation
from lightning_base.cli.entry import main
from lightning_base.data import Samples, Source
from lightning_base.errors import ArtefactError, ConfigError, FoldsFailed
from lightning_base.tasks import Classification, Regression
from models.linear import Linear
from tests.helpers import CONFIGS, assert_one_line, refused
from tests.verbs.test_functions import CONFIG

QUICK: dict[str, Any] = {"max_epochs": 1, "accelerator": "cpu", "logger": False}
HERE = Path(__file__).name


class Net(nn.Module):
    """Logits (B, 3), times a factor."""

    factor = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(13, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.layer(x) * self.factor
        return logits


def wine() -> Arrays:
    return Arrays(source="wine", test_size=0.2, split=KFold(2, shuffle=True))


def test_what_predicts_is_the_network_that_was_trained_or_nothing(work: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = lb.fit(task=lambda: Classification(Net()), data=wine, trainer=QUICK, name="own")
    assert made is not None
    x = np.random.default_rng(0).normal(size=(4, 13)).astype(np.float32)
    before = made.predict(x)
    monkeypatch.setattr(Net, "factor", -1.0)  # as a cell that is run again with a change would
    for call in (lambda: made.predict(x), lambda: lb.predict(made, x), made.test, lambda: lb.validate(made)):
        with pytest.raises(ArtefactError, match="the function task, or a value that it takes with it, has changed"):
            call()
    monkeypatch.setattr(Net, "factor", 1.0)
    pd.testing.assert_frame_equal(made.predict(x), before)


class Breaks(Callback):
    """A mistake after the first epoch, while a file says so."""

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        if trainer.current_epoch == 1 and Path("break").exists():
            raise KeyError("lost")


def saved(name: str, shift: float, **options: Any) -> Path:
    x = np.random.default_rng(0).normal(size=(24, 13)).astype(np.float32)
    np.savez(f"{name}.npz", x=x + shift, y=np.arange(24) % 3)
    content = yaml.safe_load(yaml.safe_dump(CONFIG))
    content["trainer"] |= {"max_epochs": 2, "callbacks": [{"class_path": f"{__name__}.Breaks"}]}
    content["data"]["init_args"] |= {"source": f"{name}.npz", "test_size": None, **options}
    Path("own.yaml").write_text(yaml.safe_dump(content))
    return Path("own.yaml")


def test_a_fit_goes_on_with_the_same_data_alone(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("break").touch()
    assert main(["fit", "--config", str(saved("x", 0.0))]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"the training failed ({Path(__file__)}, line " in error
    assert "KeyError: 'lost'); the traceback stands in error.txt" in error
    home = Path("runs/own/fit")
    assert "KeyError" in (home / "version_0" / "error.txt").read_text()
    Path("break").unlink()
    begun = (home / "version_0" / "checkpoints" / "last.ckpt").read_bytes()
    saved("x", 1.0)  # other numbers, in the same file
    assert main(["fit", "--config", "own.yaml"]) == 0
    assert (
        "version_0 was broken off on other data, or other folds of it; a new version begins" in capsys.readouterr().out
    )
    assert (home / "version_1" / "result.json").is_file()
    assert (home / "version_0" / "checkpoints" / "last.ckpt").read_bytes() == begun
    (home / "version_1").rename(work / "elsewhere")
    saved("x", 0.0)
    assert main(["fit", "--config", "own.yaml"]) == 0
    assert "version_0: goes on from last.ckpt" in capsys.readouterr().out
    assert sorted(path.name for path in home.glob("version_*")) == ["version_0"]


class Scaled(Arrays):
    """Arrays whose option looks like a path, and is none of samples."""

    def __init__(self, scales: str = "", **options: Any) -> None:
        super().__init__(**options)
        self.scales = scales


class Noise(Augmentation):
    """Noise of a folder."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder

    def apply(self, batch: Any, draw: Any, context: Any) -> Any:
        """The batch as it is."""
        return batch


@pytest.mark.parametrize("what", ["option", "augmentation", "place"])
def test_only_where_a_shipped_data_module_reads_samples_may_change(
    what: str, work: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("noise/street", "noise/cafe"):
        Path(name).mkdir(parents=True)
    for name in "ab":
        saved(name, 0.0)
    key = {"option": "data.scales", "augmentation": "data.augment.folder", "place": "data.source"}[what]
    was, now = ("noise/street", "noise/cafe") if what == "augmentation" else ("a.npz", "b.npz")
    options: dict[str, Any] = {"folds": "[0]", "trainer.max_epochs": 1, key: was}
    if what == "option":
        content = yaml.safe_load(Path("own.yaml").read_text())
        content["data"]["class_path"] = f"{__name__}.Scaled"
        Path("own.yaml").write_text(yaml.safe_dump(content))
    elif what == "augmentation":
        augment = [{"class_path": f"{__name__}.Noise", "init_args": {"folder": was}}]
        saved("a", 0.0, augment=augment)
        del options[key]
    words = ["crossval", "--config", "own.yaml", *(f"--{key}={value}" for key, value in options.items())]
    assert main(words) == 0, capsys.readouterr().err
    text = Path("own.yaml").read_text().replace(was, now) if what == "augmentation" else Path("own.yaml").read_text()
    Path("own.yaml").write_text(text)
    again = [word.replace(was, now) for word in words]
    if what == "place":
        assert main(again) == 0
    else:
        refused(capsys, again, "holds another experiment", "augment" if what == "augmentation" else "scales", now)


class Raises(nn.Module):
    """A network with a mistake in it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(10, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.missing(x)  # type: ignore[no-any-return,operator]


class Spoils(Noise):
    """A mistake in an augmentation."""

    def apply(self, batch: Any, draw: Any, context: Any) -> Any:
        """See Augmentation."""
        raise KeyError("x")


class Halves(KFold):  # type: ignore[misc]
    """A mistake in a splitter."""

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Any:
        """See KFold."""
        raise LookupError("no halves")


class Lost(Arrays):
    """A mistake in a data module."""

    def dataset(self, source: Source) -> Samples:
        """See BaseDataModule."""
        raise KeyError(source)


def optimizer(parameters: Any) -> Any:
    raise AttributeError("no such rate")


def task(network: type[nn.Module] | None = None, **options: Any) -> Any:
    return lambda: Regression(network() if network else Linear(10), **options)


def diabetes(kind: type[Arrays] = Arrays, **options: Any) -> Any:
    return lambda: kind(source="diabetes", **options)


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "a network": ({"task": task(Raises)}, r"model\.network: Raises .*AttributeError: 'Raises' object has no attribute"),
    "an augmentation": ({"data": diabetes(augment=[Spoils("x")])}, r"data\.augment: Spoils .*KeyError: 'x'"),
    "a splitter": ({"data": diabetes(split=Halves(2))}, r"data\.split: Halves .*LookupError: no halves"),
    "a data module": ({"data": diabetes(Lost)}, r"data: Lost fails: .*KeyError: 'pool'"),
    "an optimizer": ({"task": task(optimizer=optimizer)}, r"model\.optimizer .*AttributeError: no such rate"),
    "a function": ({"task": lambda: dict[str, Any]()["x"]}, r"task: the function raises KeyError: 'x'"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_own_code_that_raises_is_one_line_with_its_place_and_writes_nothing(what: str, work: Path) -> None:
    changes, message = FAULTS[what]
    for verb in (lb.fit, lb.crossval):
        with pytest.raises(ConfigError, match=message) as error:
            verb(**{"task": task(), "data": diabetes(), "trainer": QUICK, "name": "own", **changes})
        assert "\n" not in str(error.value)
        assert f"{HERE}, line " in str(error.value)
    assert not (work / "runs").exists()


def test_a_callback_that_raises_while_training_fails_the_fit_in_one_line(work: Path) -> None:
    Path("break").touch()
    with pytest.raises(FoldsFailed, match=r"KeyError: 'lost'\); the traceback stands in error\.txt"):
        lb.fit(task=task(), data=diabetes(), trainer={**QUICK, "max_epochs": 2, "callbacks": [Breaks()]}, name="own")


def test_an_option_that_a_class_cannot_take_names_the_class(work: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert_one_line(
        main(["fit", "--config", str(CONFIGS / "breast_cancer_mlp.yaml"), "--model.network.hidden", "null"]),
        capsys,
        "the experiment cannot be built: MLP: ",
    )
    assert not list(work.iterdir())
