"""Claims about the early check: it refuses nothing that the parser takes, speaks as it does, and needs no torch."""

import copy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lightning_base.cli import early
from lightning_base.errors import UserError
from lightning_base.verbs.opening import open_experiment
from tests.helpers import CONFIGS, environment, run_without

DIGITS = str(CONFIGS / "digits_cnn.yaml")
HEAVY = ("torch", "numpy", "pandas", "jsonargparse")
OURS = ("models.", "datamodules.", "lightning_base.")
OVERLAYS = sorted(CONFIGS.glob("*/*.yaml"))


@pytest.fixture
def at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the data that configurations name were there."""
    monkeypatch.setattr(early, "demand_data", lambda *_: None)


def refusal(check: Any, words: list[str]) -> str | None:
    """What is said against these words; None where they are taken."""
    try:
        check(words)
    except UserError as error:
        return str(error)
    return None


@pytest.mark.usefixtures("at_hand")
@pytest.mark.parametrize("config", sorted(path.name for path in CONFIGS.glob("*.yaml")))
def test_what_we_ship_is_never_refused(config: str) -> None:
    words = ["crossval", "--config", str(CONFIGS / config)]
    assert refusal(early.check, words) is None
    for overlay in OVERLAYS:
        said = refusal(early.check, [*words, "--config", str(overlay)])
        if config == "digits_gan.yaml" and overlay.stem in ("warmup_cosine", "onecycle"):
            assert said is not None  # a GAN has two schedulers, of epochs
            assert "did you mean 'generator_scheduler'?" in said
        else:
            assert said is None, overlay


def keys(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every path to a key of a nested mapping."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield (*path, key)
            yield from keys(value, (*path, key))


def value_at(node: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        node = node[key]
    return node


def must_be_seen(content: Any, path: tuple[str, ...]) -> bool:
    """Whether a mistyped key stands at the top, in the Trainer's options, or among those of a class that we ship."""
    if len(path) == 1 or path[:-1] == ("trainer",):
        return True
    if path[-2] != "init_args":
        return False
    return all(
        value_at(content, path[:i])["class_path"].startswith(OURS) for i in range(len(path)) if path[i] == "init_args"
    )


@pytest.mark.usefixtures("at_hand")
@pytest.mark.parametrize(
    "config",
    ["digits_cnn", *(pytest.param(c, marks=pytest.mark.slow) for c in ("cifar10_resnet", "german_credit_mlp"))],
)
def test_a_mistyped_key_is_refused_early_in_the_parsers_words(config: str, work: Path) -> None:
    content = yaml.safe_load((CONFIGS / f"{config}.yaml").read_text())
    for path in keys(content):
        mistyped = copy.deepcopy(content)
        parent = value_at(mistyped, path[:-1])
        parent[f"{path[-1]}q"] = parent.pop(path[-1])
        Path("typo.yaml").write_text(yaml.safe_dump(mistyped, sort_keys=False))
        words = ["crossval", "--config", "typo.yaml"]
        found, whole = refusal(early.check, words), refusal(open_experiment, words)
        assert (found is not None) or not must_be_seen(content, path), path
        if found is not None:
            assert whole is not None, path
            assert (found == whole) or isinstance(value_at(content, path), dict), path  # it may name what lies inside


SAME = {
    "a class of a shipped file": ["--model.network", "models.cnn.CNM"],
    "a task": ["--model", "lightning_base.tasks.Classificatio"],
    "a package": ["--model.network", "modelz.cnn.CNN"],
    "a network in the place of data": ["--config", "swapped.yaml"],
    "an option of the network": ["--model.network.widht", "3"],
    "the same, whole": ["--model.init_args.network.init_args.widht=3"],
    "an option of the data": ["--data.splt", "3"],
    "an option of the Trainer": ["--trainer.max_epoch", "3"],
    "an option of the verb": ["--fold", "[1]"],
    "a later file": ["--config", "later.yaml"],
    "a later file that is not there": ["--config", "latest.yaml"],
    "a file that is no YAML": ["--config", "broken.yaml"],
}


@pytest.mark.parametrize("case", SAME)
def test_the_early_check_says_what_the_parser_says(case: str, work: Path) -> None:
    Path("later.yaml").write_text("model: {init_args: {network: {init_args: {widht: 3}}}}\n")
    Path("broken.yaml").write_text("model: [1, 2\n")
    Path("swapped.yaml").write_text("data: {class_path: models.cnn.CNN}\n")
    words = ["crossval", "--config", DIGITS, *SAME[case]]
    found = refusal(early.check, words)
    assert found is not None
    assert found.split("; did you mean")[0] == (refusal(open_experiment, words) or "").split("; did you mean")[0]


TAKEN = {
    "a class by its short name": ["--model.network", "CNN"],
    "an empty key": ["--config", "empty.yaml"],
    "a class that goes over another": ["--model.network", "models.mlp.MLP", "--model.network.num_inputs", "64"],
    "an option of the executor": ["--executor", "slurm", "--slurm.partition", "x"],
    "a dotted key in a file": ["--config", "dotted.yaml"],
    "a scheduler": ["--model.scheduler", "torch.optim.lr_scheduler.StepLR", "--model.scheduler.step_size", "3"],
    "a callback": ["--trainer.callbacks+=lightning.pytorch.callbacks.EarlyStopping", "--trainer.callbacks.monitor=x"],
    "keywords": ["--model.network.dict_kwargs.widht", "3"],
}


def test_the_saved_configuration_of_python_objects_has_a_parser_of_its_own(work: Path) -> None:
    Path("config.yaml").write_text("name: x\nobjects: {task: some.function}\n")
    assert refusal(early.check, ["test", "--config", "config.yaml", "--ckpt_path", "x"]) is None


@pytest.mark.parametrize("case", TAKEN)
def test_what_the_parser_takes_is_not_refused(case: str, work: Path) -> None:
    Path("empty.yaml").write_text("trainr: {}\n")
    Path("dotted.yaml").write_text("trainer.max_epochs: 3\n")
    words = ["crossval", "--config", DIGITS, *TAKEN[case]]
    assert refusal(open_experiment, words) is None
    assert refusal(early.check, words) is None


OWN = """
from torch import Tensor, nn
from torch.nn import *

class Net(nn.Module):
    def __init__(self, width: int = 64) -> None:
        super().__init__()

class Wider(Net):
    def __init__(self, deep: bool = False, **kwargs: int) -> None:
        super().__init__(**kwargs)

@str
class Odd(nn.Module):
    def __init__(self, width: int = 64) -> None: ...

class Free(nn.Module):
    def __init__(self, **kwargs: int) -> None:
        self.made = nn.Linear(**kwargs)
"""


@pytest.fixture
def own(work: Path) -> Path:
    """A working directory with a network and data of its own, and a file that stands before one of ours."""
    for folder in ("models", "datamodules"):
        Path(folder).mkdir()
    Path("datamodules/__init__.py").touch()  # and models/ without: either is a package
    Path("models/mine.py").write_text(OWN)
    Path("models/cnn.py").write_text(OWN.replace("width", "widht").replace("Net", "CNN"))
    Path("datamodules/mine.py").write_text(
        "from dataclasses import dataclass\nfrom lightning_base.data import BaseDataModule\n"
        "@dataclass(kw_only=True, eq=False)\nclass Mine(BaseDataModule):\n    folder: str = 'data'\n"
    )
    for name, piece in PIECES.items():
        Path(f"{name}.yaml").write_text(yaml.safe_dump(piece))
    Path("plain.yaml").write_text("model: {class_path: lightning_base.tasks.Classification}\ndata: {}\n")
    return work


REFUSED = {
    "a network's option": (
        ["--model.network", "models.mine.Net", "--model.network.widht", "3"],
        "did you mean 'width'",
    ),
    "what its base takes": (["--model.network", "models.mine.Wider", "--model.network.widht", "3"], "'width'"),
    "data's option": (["--data", "datamodules.mine.Mine", "--data.foldr", "3"], "did you mean 'folder'"),
    "a base's option": (["--data", "datamodules.mine.Mine", "--data.splt", "3"], "did you mean 'split'"),
    "a class": (["--data", "datamodules.mine.Mein"], "datamodules.mine has no class 'Mein'; did you mean 'Mine'"),
    "a file": (
        ["--data", "datamodules.mien.Mine"],
        "no file datamodules/mien.py, here or among those that are shipped; did you mean 'mine'",
    ),
    "an own file before ours": (["--model.network", "models.cnn.CNN", "--model.network.width", "3"], "'widht'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_an_own_class_is_known_from_its_source(case: str, own: Path) -> None:
    options, mend = REFUSED[case]
    done = run_without(HEAVY, "crossval", "--config", "plain.yaml", *options)
    assert done.returncode == 2, done.stderr
    assert mend in done.stderr


PIECES = {  # pieces of a file that go over what the file before says
    "dotted_class": {"model.init_args.network.class_path": "models.mine.Net"},
    "dotted_name": {"model.init_args.network": "models.mine.Net"},
    "dotted_data": {"data.class_path": "datamodules.mine.Mine"},
    "dotted_inside": {"model": {"init_args.network": "models.mine.Net"}},
    "dotted_deeper": {"model": {"init_args": {"network.class_path": "models.mine.Net"}}},
    "keywords": {"model": {"init_args": {"network": {"class_path": "models.mine.Net", "dict_kwargs": {"foo": 3}}}}},
    "dotted_source": {"data.init_args.source": "plain.yaml"},
    "other": {"data": {"class_path": "datamodules.mine.Mine", "init_args": {"folder": "x"}}},
    "base": {
        "model": {
            "class_path": "lightning_base.tasks.Classification",
            "init_args": {"network": {"class_path": "models.mlp.MLP"}},
        },
        "data": {"class_path": "datamodules.arrays.Arrays", "init_args": {"source": "d/none.npz"}},
    },
}


def over(*pieces: str) -> list[str]:
    """The words for these pieces after the base, whose file of arrays is not there."""
    return [word for piece in ("base", *pieces) for word in ("--config", f"{piece}.yaml")]


HERE = ["--data.source", "plain.yaml"]
TAKEN_OF_OWN = [
    [*over("dotted_class"), *HERE, "--model.network.width", "5"],
    [*over("dotted_name"), *HERE, "--model.network.width", "5"],
    [*over("dotted_inside"), *HERE, "--model.network.width", "5"],
    [*over("dotted_deeper"), *HERE, "--model.network.width", "5"],
    [*over("keywords"), *HERE, "--model.network.width", "5"],
    [*over("dotted_data"), "--data.folder", "x"],
    [*over("dotted_data", "other"), "--data.folder", "x"],
    over("dotted_source"),
    [*over(), "--data.init_args", '{"source": "plain.yaml"}'],
    [*over(), "--data.init_args={source: plain.yaml}"],
    [*over(), *HERE, "--model.init_args", '{"network": "models.mine.Net"}', "--model.network.width", "5"],
    [*over(), *HERE, "--model", "{class_path: models.mine.Free}", "--model.network.width", "5"],
    ["--model.network", "models.mine.Net", "--model.network.width", "3"],
    ["--model.network", "models.mine.Wider", "--model.network.width", "3", "--model.network.deep", "true"],
    ["--model.network", "models.mine.Odd", "--model.network.widht", "3"],  # a decorator may change what it takes
    ["--model.network", "models.mine.Free", "--model.network.widht", "3"],
    ["--model.network", "models.mine.Linear", "--model.network.widht", "3"],  # what * brings is not known
    ["--model.network", "models.cnn.CNN", "--model.network.widht", "3"],
    ["--data", "datamodules.mine.Mine", "--data.folder", "x", "--data.batch_size", "3"],
]


def test_of_an_own_class_nothing_is_refused_that_it_may_take(own: Path) -> None:
    code = (
        "from lightning_base.cli.early import check\n"
        f"for options in {TAKEN_OF_OWN!r}: check(['crossval', '--config', 'plain.yaml', *options])"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)


@pytest.mark.parametrize(
    "words",
    [
        ["crosval"],
        ["crossval"],
        ["crossval", "--config", "nope.yaml"],
        ["crossval", "--config", DIGITS, "--trainr.max_epochs", "3"],
        ["fit", "--config", DIGITS, "--trainer.max_epoch", "3"],
        ["fit", "--config", DIGITS, "--data.splt", "3"],
        ["list", "network"],
    ],
)
def test_a_mistake_is_told_without_torch(words: list[str], work: Path) -> None:
    done = run_without(HEAVY, *words)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
