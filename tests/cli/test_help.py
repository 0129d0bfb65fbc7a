"""Claims about help and lists: short, one's own first, true to the code, and without torch."""

import json
import subprocess
from dataclasses import fields
from inspect import signature
from pathlib import Path

import pytest
from lightning.pytorch import Trainer

from datamodules.table import Table
from lightning_base.augment import __all__ as augmentations
from lightning_base.cli import signatures
from lightning_base.cli.described import TABLE, table
from lightning_base.cli.entry import VERBS, main
from lightning_base.data import BaseDataModule
from tests.helpers import CONFIGS, ROOT, run_without

HEAVY = ("torch", "numpy", "pandas", "jsonargparse")


def lines(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """What a command prints."""
    capsys.readouterr()
    assert main(list(words)) == 0
    return capsys.readouterr().out.splitlines()


def entries(shown: list[str]) -> list[str]:
    """The options that stand one below the other in a help."""
    return [line.split()[0] for line in shown if line[:2] == "  " and line[2] != " "]


def test_the_committed_table_of_signatures_is_what_the_code_says() -> None:
    committed, fresh = json.loads(TABLE.read_text(encoding="utf-8")), json.loads(signatures.text())
    if committed["lightning"] != fresh["lightning"]:  # it is made with one version; under others nobody takes its word
        for table in (committed, fresh):
            del table["lightning"], table["shared"]["Trainer"], table["verbs"]
    assert committed == fresh, "run: python -m lightning_base.cli.signatures"


@pytest.mark.parametrize("verb", VERBS)
def test_a_verbs_help_is_short_and_has_its_own_options_first(
    verb: str, work: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    shown = lines(capsys, verb, "--help")
    classes = ("  lightning_base.", "  models.", "  datamodules.")  # one line each
    assert len([line for line in shown if not line.startswith(classes)]) <= 45
    options = [line.split()[0].removeprefix("--") for line in shown if line.startswith("  --")]
    declared = [option.name for option in table().verbs[verb].options]
    assert set(declared) <= set(options)
    own = [option.name for option in table().verbs[verb].options if option.owner != "every verb"]
    assert options[: len(own)] == own
    assert any("datamodules.table.Table" in line for line in shown)
    assert any(line.startswith("  models.cnn.CNN ") for line in shown) == (verb not in ("prepare", "audit"))


def test_help_on_the_trainer_has_every_option_of_lightnings(capsys: pytest.CaptureFixture[str]) -> None:
    shown = entries(lines(capsys, "fit", "--help", "trainer"))
    assert shown == [name for name in signature(Trainer.__init__).parameters if name != "self"]


@pytest.mark.parametrize("words", [["--data.help", "datamodules.table.Table"], ["--help", "Table"]])
def test_help_on_a_class_explains_each_option_and_has_its_own_first(
    words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = lines(capsys, "fit", *words)
    assert len(shown) < 175  # at 80 columns
    names = entries(shown)
    inherited = [field.name for field in fields(BaseDataModule)]
    assert names == [field.name for field in fields(Table) if field.name not in inherited] + inherited
    assert all(option.help for option in table().classes["datamodules.table.Table"].options)


def test_no_option_of_what_we_ship_is_left_to_another_page() -> None:
    for one in table().classes.values():
        for option in one.options:
            assert one.part or option.help, (one.path, option.name)
            assert "BaseModule" not in option.help


def test_the_list_has_all_that_we_ship(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    shown = " ".join(lines(capsys, "list"))
    for folder in ("models", "datamodules"):
        for file in Path(folder).glob("[!_]*.py"):
            assert f" {folder}.{file.stem}." in shown
    for file in CONFIGS.rglob("*.yaml"):
        assert f" {file.relative_to(ROOT)} " in shown
    operations = set(augmentations) - {"Augmentation", "Context", "Draw", "augment"}
    assert all(f" lightning_base.augment.{name} " in shown for name in operations)


def test_lists_and_help_show_the_working_directorys_own_classes_without_importing_them(work: Path) -> None:
    for folder in ("models", "datamodules"):
        Path(folder).mkdir()
        Path(folder, "__init__.py").touch()
    Path("models/mine.py").write_text(
        'from torch import nn\nraise SystemError\nclass Net(nn.Module):\n    """Mine."""\n\n'
        '    def __init__(self, width: int = 64) -> None:\n        """."""\n'
    )
    listed = run_without(HEAVY, "list", "networks").stdout
    assert "models.mine.Net" in listed
    assert "Mine." in listed
    assert "models.mlp.MLP" in listed
    shown: subprocess.CompletedProcess[str] = run_without(HEAVY, "crossval", "--help", "models.mine.Net")
    assert "width  int, default 64" in shown.stdout


@pytest.mark.parametrize(
    "words",
    [["list"], ["crossval", "--help"], ["fit", "--help", "trainer"], ["fit", "--model.help", "models.cnn.CNN"]],
)
def test_help_needs_no_torch(words: list[str], work: Path) -> None:
    done = run_without(HEAVY, *words)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


def test_a_class_of_another_library_is_asked_itself(capsys: pytest.CaptureFixture[str]) -> None:
    shown = lines(capsys, "fit", "--help", "torch.optim.RMSprop")
    assert any(line.startswith("  momentum  float, default 0") for line in shown)
