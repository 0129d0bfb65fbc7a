"""Claims about `models.X` and `datamodules.X`: yours come first, ours behind, an installed package is left alone."""

import importlib
import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_base.cli.entry import main
from tests.helpers import CONFIGS, ROOT, environment, refused

NETWORK = "from torch import nn\nclass MyNet(nn.Linear):\n    pass\n"


def write(path: Path, text: str = "") -> None:
    """A file, and its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def install(work: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package `models` that is none of ours, found before the checkout."""
    site = work / "env" / "site-packages"
    write(site / "models" / "__init__.py", "name = 'foreign'\n")
    write(site / "models" / "cnn.py", "name = 'foreign'\n")
    monkeypatch.setattr(sys, "path", [sys.path[0], str(site), *sys.path[1:]])
    return site


@pytest.mark.parametrize("files", ["a plain folder", "a package", "a file"])
def test_yours_are_found_and_ours_behind_them(files: str, own: Path) -> None:
    if files == "a file":
        write(own / "models.py", NETWORK)
    else:
        write(own / "models" / "mine.py", NETWORK)
    if files == "a package":
        write(own / "models" / "__init__.py", "from models.mine import MyNet\nfrom models.cnn import CNN\n")
    mine = importlib.import_module("models" if files == "a file" else "models.mine")
    assert Path(mine.__file__ or "").is_relative_to(own)
    assert mine.MyNet(2, 1).out_features == 1
    cnn = importlib.import_module("models.cnn")
    assert cnn.__file__ == str(ROOT / "models" / "cnn.py")
    if files == "a package":
        assert sys.modules["models"].CNN is cnn.CNN


def test_a_file_of_yours_takes_the_place_of_ours_and_of_no_other(own: Path) -> None:
    write(own / "models" / "resnet.py", NETWORK)
    resnet, centre = importlib.import_module("models.resnet"), importlib.import_module("models.centre")
    ours = importlib.import_module("lightning_base.models.resnet")
    assert not hasattr(resnet, "BasicBlock")
    assert resnet is not ours
    assert centre.BasicBlock is ours.BasicBlock


def test_a_file_that_is_added_later_is_found(own: Path) -> None:
    importlib.import_module("models.cnn")
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("models.mine")
    write(own / "models" / "mine.py", NETWORK)
    importlib.invalidate_caches()
    mine = importlib.import_module("models.mine")
    write(own / "models" / "mine.py", NETWORK + "changed = True\n")
    assert importlib.reload(mine).changed


def test_ours_are_one_module_under_both_names(own: Path) -> None:
    long, short = (importlib.import_module(f"{at}datamodules.arrays") for at in ("lightning_base.", ""))
    assert long is short
    assert importlib.reload(short) is long
    assert pickle.loads(pickle.dumps(short.Arrays)) is long.Arrays  # noqa: S301


def test_an_installed_package_of_that_name_is_left_alone_and_ours_answer_below_lightning_base(
    own: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    site = install(own, monkeypatch)
    command = ["crossval", "--config", "digits.yaml", "--print_config"]
    demo = (CONFIGS / "digits_cnn.yaml").read_text()
    write(own / "digits.yaml", demo)
    refused(capsys, command, "models.cnn has no class 'CNN'", str(site), "write lightning_base.models.cnn")
    write(own / "digits.yaml", demo.replace("models.cnn.CNN", "models.lenet.LeNet"))
    refused(capsys, command, "no module 'models.lenet'", str(site), "write lightning_base.models.lenet")
    assert importlib.import_module("models").name == importlib.import_module("models.cnn").name == "foreign"
    write(own / "digits.yaml", demo.replace("models.cnn.CNN", "lightning_base.models.cnn.CNN"))
    assert main(command) == 0
    assert "class_path: lightning_base.models.cnn.CNN" in capsys.readouterr().out
    centre = importlib.import_module("lightning_base.models.centre")
    assert centre.BasicBlock.__module__ == "lightning_base.models.resnet"


def test_a_plain_folder_of_yours_comes_before_an_installed_package(own: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(own, monkeypatch)
    write(own / "models" / "mine.py", NETWORK)
    assert importlib.import_module("models.mine").__file__ == str(own / "models" / "mine.py")
    assert importlib.import_module("models.cnn").__file__ == str(ROOT / "models" / "cnn.py")


def test_a_class_that_a_file_of_yours_hides_is_named_with_the_mend(
    own: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(own / "models" / "cnn.py", NETWORK)
    command = ["crossval", "--config", str(CONFIGS / "digits_cnn.yaml")]
    refused(capsys, command, "no class 'CNN'", str(own / "models" / "cnn.py"), "is lightning_base.models.cnn")


@pytest.mark.parametrize("init", [True, False])
def test_what_was_imported_before_lightning_base_gets_ours_behind_it(init: bool, work: Path) -> None:
    write(work / "models" / "mine.py", "x = 1\n")
    if init:
        write(work / "models" / "__init__.py")
    code = (
        "import models, importlib.util as u\n"
        "import lightning_base\n"
        f"assert u.find_spec('models.mine').origin.startswith({str(work)!r})\n"
        f"assert u.find_spec('models.cnn').origin == {str(ROOT / 'models' / 'cnn.py')!r}\n"
        "import models.mine, sys\n"
        "assert 'torch' not in sys.modules"
    )
    path = os.pathsep.join([str(work), str(ROOT)])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment(PYTHONPATH=path),
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
