"""Claims about the built wheel: it is whole, and trains in an environment and a folder with nothing else of ours."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers import CONFIGS, ROOT, crossval, read_json

pytestmark = pytest.mark.slow
Installed = Callable[..., str]


def build(root: Path, to: Path, target: str) -> Path:
    """The archive that a source tree gives."""
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(to), "--target", target]
    subprocess.run(command, cwd=root, check=True, capture_output=True)
    return next(path for path in to.iterdir() if path.suffix in (".gz", ".whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout."""
    return build(ROOT, tmp_path_factory.mktemp("wheel"), "wheel")


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """Runs a program of an environment in which the wheel is installed, in an empty folder; gives what it said.

    The environment borrows other people's packages from this one, whose link to the checkout it does not follow.
    """
    home, work = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("work")
    venv.create(home, symlinks=True)
    python = home / "bin" / "python"
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, str(wheel)], check=True, capture_output=True)
    (site / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}

    def program(name: str, *arguments: object) -> str:
        command = [str(home / "bin" / name), *map(str, arguments)]
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    code = "import lightning_base as lb, pathlib, sys; print(lb.__file__, pathlib.Path.cwd(), *sys.path[1:], sep='\\n')"
    file, folder, *path = program("python", "-c", code).splitlines()
    assert Path(file).is_relative_to(site)
    assert Path(folder) == work.resolve()
    assert str(ROOT) not in path
    program("lightning-base", "init")
    return program


def test_the_source_archive_gives_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(build(ROOT, tmp_path / "source", "sdist")) as archive:
        archive.extractall(tmp_path, filter="data")
    again = build(tmp_path / "lightning_base-0.1.0", tmp_path / "again", "wheel")
    assert again.read_bytes() == wheel.read_bytes()


def test_the_wheel_holds_all_that_is_shipped_and_an_editable_one_copies_nothing(wheel: Path, tmp_path: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for folder, place in {
        **{part: f"lightning_base/{part}" for part in ("models", "datamodules")},
        **{part: f"lightning_base/shipped/{part}" for part in ("configs", "launch", "workspace")},
    }.items():
        files = [path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*") if path.is_file()]
        expected = {f"{place}/{file.as_posix()}" for file in files if "__pycache__" not in file.parts}
        assert len(expected) > 1
        assert expected == {name for name in names if name.startswith(f"{place}/")}
    assert {f"lightning_base/serving/page/{name}" for name in ("index.html", "app.js", "style.css")} <= names
    assert {name.partition("/")[0] for name in names} == {"lightning_base", "lightning_base-0.1.0.dist-info"}
    editable = zipfile.ZipFile(build(ROOT, tmp_path, "wheel:editable")).namelist()
    assert [name for name in editable if ".dist-info/" not in name] == ["_lightning_base.pth"]


def test_the_demo_trains_in_processes_of_their_own(installed: Installed) -> None:
    short = ("--trainer.max_epochs", 2, "--data.split.n_splits", 2, "--model.network.widths", "[8]", "--threads", 1)
    installed("lightning-base", "crossval", "--config", "configs/digits_cnn.yaml", "--executor", "process", *short)
    work = Path(installed("python", "-c", "import os; print(os.getcwd())").strip())
    summary = read_json(crossval("digits_cnn", work) / "summary.json")
    assert (summary["n"], summary["k"]) == (1437, 2)
    assert "class_path: models.cnn.CNN" in (crossval("digits_cnn", work) / "config.yaml").read_text()


def test_the_tests_of_a_workspace_pass(installed: Installed) -> None:
    assert "3 passed" in installed("python", "-m", "pytest", "-p", "no:cacheprovider")


def test_a_program_trains_what_is_its_own(installed: Installed) -> None:
    code = """
import lightning_base as lb
short = {"trainer.max_epochs": 2, "data.split.n_splits": 2, "name": "program"}
assert lb.crossval("configs/mine.yaml", overrides=short).summary.n == 142
from lightning_base.models.cnn import CNN
import models.cnn, models.mine
assert models.cnn.CNN is CNN
"""
    installed("python", "-c", code)


def test_every_configuration_is_understood(installed: Installed) -> None:
    code = """
import contextlib, io, json, pathlib, sys, yaml
from lightning_base.cli.entry import main
found = {}
for file in sorted(pathlib.Path("configs").glob("*.yaml")):
    with contextlib.redirect_stdout(io.StringIO()) as out:
        assert main(["crossval", "--config", str(file), "--print_config"]) == 0, file
    taken = yaml.safe_load(out.getvalue())["model"]["init_args"]
    found[file.stem] = (taken.get("network") or taken["generator"])["class_path"]
print(json.dumps(found))
for name in [name for name in sys.modules if name.startswith("lightning_base.models.")]:
    assert sys.modules[name] is sys.modules[name.removeprefix("lightning_base.")], name
"""
    found = json.loads(installed("python", "-c", code))
    assert found["bccd_centre"] == "models.centre.CentreNet"
    assert {path.stem for path in CONFIGS.glob("*.yaml")} | {"mine"} == set(found)
