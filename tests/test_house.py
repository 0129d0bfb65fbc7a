"""The house: rooms that import downwards alone, no circles, faces that hand on what they say, and a true map."""

import ast
import importlib
import pkgutil
import re
import subprocess
import sys

import pytest
import yaml

import lightning_base
from lightning_base.cli.entry import ARTEFACT_VERBS, VERBS
from tests.helpers import ROOT

PACKAGE = ROOT / "lightning_base"
ROOMS = sorted(path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file())
FACES = {
    "data": [
        *(
            "AnyDataset",
            "BaseDataModule",
            "Batch",
            "Boxes",
            "Feature",
            "Part",
            "Ragged",
            "Role",
            "Samples",
            "Sampling",
            "Sequences",
            "Several",
        ),
        *("Source", "Spans", "Targets", "Texts", "answer_values", "text_values"),
    ],
    "tasks": [
        *("AnyModule", "BaseModule", "Binary", "Classification", "Detection", "Dice", "Focal", "GAN", "InitFrom"),
        *("LanguageModel", "MultiLabel", "Output", "Quantiles", "Regression", "Translation"),
    ],
    "preprocess": ["LogMel", "Preprocess", "Several", "Standardize", "TablePreprocess", "Tokenizer", "Vocabulary"],
    "splitters": [
        *("ByColumn", "ByFiles", "Expanding", "FoldColumn", "Manifest", "Paired", "PurgedKFold", "Ratio", "Sliding"),
        "TableSplitter",
    ],
}
WITHOUT_TORCH = [
    *("errors", "tools", "stats", "results", "splitters", "cli.entry", "cli.compare", "cli.doctor"),
    *("verbs.functions", "verbs.results"),
]


def test_at_most_four_files_stand_beside_the_rooms() -> None:
    files = [path.name for path in PACKAGE.iterdir() if path.is_file()]
    assert sorted(files) == ["__init__.py", "__main__.py", "errors.py", "py.typed"]


def test_the_contracts_of_the_layout_are_kept() -> None:
    """Floors, circles, architectures without the framework, rooms without torch: stated in pyproject.toml."""
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "0 broken" in done.stdout


def test_no_room_is_called_as_a_verb_is() -> None:
    verbs = {*VERBS, *ARTEFACT_VERBS, "tune", "export", "serve", "report"} - {"doctor"}
    assert not verbs & set(ROOMS)


@pytest.mark.parametrize("room", ROOMS)
def test_a_face_hands_on_what_it_says_and_other_rooms_nothing(room: str) -> None:
    module = importlib.import_module(f"lightning_base.{room}")
    if room == "augment":
        names = module.__all__
        assert all(getattr(module, name).__module__.startswith("lightning_base.augment.") for name in names)
    elif room in FACES:
        assert sorted(module.__all__) == FACES[room]
        assert all(hasattr(module, name) for name in module.__all__)
    else:
        body = ast.parse((PACKAGE / room / "__init__.py").read_text()).body
        assert len(body) == 1, f"{room}/__init__.py holds more than its one sentence"


def packages() -> list[str]:
    found = pkgutil.walk_packages(lightning_base.__path__, "lightning_base.")
    return [name for _, name, is_package in found if is_package]


@pytest.mark.parametrize("name", packages())
def test_a_room_says_its_one_job_in_its_first_line(name: str) -> None:
    text = importlib.import_module(name).__doc__
    assert text is not None
    assert text.splitlines()[0].endswith((".", "torch."))
    assert len(text.splitlines()[0]) > 20


def test_what_needs_no_torch_imports_none() -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        f"for room in {WITHOUT_TORCH!r}:\n"
        "    module = importlib.import_module('lightning_base.' + room)\n"
        "    for _, name, _ in pkgutil.iter_modules(getattr(module, '__path__', []), module.__name__ + '.'):\n"
        "        importlib.import_module(name)\n"
        "found = [m for m in ('torch', 'lightning', 'torchmetrics', 'jsonargparse') if m in sys.modules]\n"
        "sys.exit(', '.join(found) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_map_names_what_is_there() -> None:
    readme = (ROOT / "README.md").read_text()
    section = readme.partition("## Where is what")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w/]+(?:\.py|/))`", section)
    assert {f"{room}/" for room in ROOMS} <= {name.removeprefix("lightning_base/") for name in named}
    for name in named:
        places = [base / name for base in (ROOT, PACKAGE, *(PACKAGE / room for room in ROOMS))]
        assert any(place.exists() for place in places), name


def test_files_are_short_enough_to_read() -> None:
    lengths = {path: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}
    assert max(lengths.values()) <= 360, max(lengths, key=lambda path: lengths[path])
    assert sum(n > 300 for n in lengths.values()) <= len(lengths) // 20


def test_the_changelog_begins_with_the_version_of_the_package() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text()
    versions = re.findall(r"^## \[(.+?)\] - (unreleased|\d{4}-\d\d-\d\d)$", changelog, re.MULTILINE)
    assert len(versions) == changelog.count("\n## "), "a heading that names no version and date"
    assert versions[0][0] == lightning_base.__version__
    assert all(date != "unreleased" for _, date in versions[1:])
    kinds = re.findall(r"^### (.+)$", changelog, re.MULTILINE)
    assert set(kinds) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == lightning_base.__version__


@pytest.mark.parametrize("folder", ["models", "datamodules"])
def test_each_network_and_each_kind_of_data_is_in_the_reference(folder: str) -> None:
    page = (ROOT / "docs" / "reference" / f"{folder}.md").read_text()
    named = dict(re.findall(rf"^::: {folder}\.(\w+)\n    options:\n      members: \[(.+)\]$", page, re.MULTILINE))
    assert sorted(named) == sorted(path.stem for path in (ROOT / folder).glob("[a-z]*.py"))
    for file, names in named.items():
        module = importlib.import_module(f"{folder}.{file}")
        made = {n for n, c in vars(module).items() if isinstance(c, type) and c.__module__ == module.__name__}
        assert set(names.split(", ")) <= made


def test_docstrings_of_the_reference_say_no_name_that_a_browser_takes_for_a_tag() -> None:
    """<name> outside of backticks would vanish from the pages that are made of docstrings."""
    for folder in (
        "models",
        "datamodules",
        *(f"lightning_base/{room}" for room in (*FACES, "augment")),
        "lightning_base/verbs",
    ):
        for path in (ROOT / folder).glob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    plain = re.sub(r"`[^`]*`", "", ast.get_docstring(node) or "")
                    assert not re.search(r"<\w+>", plain), f"{path}: {plain}"
