"""Claims about who is spoken to: the same mistake names options in the shell, and arguments in Python."""

import ast
import re
from pathlib import Path

import pytest

import lightning_base
from lightning_base.errors import ArtefactError, ProcessFailed
from lightning_base.tools.asked import ARGUMENTS, in_python, python_words
from lightning_base.tools.console import Level, speaking

PACKAGE = Path(lightning_base.__file__).parent
ROOMS = [path for path in PACKAGE.iterdir() if path.is_dir() and path.name not in ("cli", "doctor", "shipped")]


@pytest.mark.parametrize(
    ("shell", "python"),
    [
        ("give another --name, or --overwrite true", "give another name, or overwrite=True"),
        ("--executor process: take inline", "executor='process': take inline"),
        ("--jobs is for --executor process, not inline", "jobs is for executor='process', not inline"),
        ("--folds: fold 9 does not exist", "folds: fold 9 does not exist"),
        ("or give --search null", "or give overrides={'search': None}"),
        ("take --trainer.devices", "take overrides={'trainer.devices': …}"),
        ("give --config FILE.yaml with data", "give config='FILE.yaml' with data"),
        ("run the same command again", "run the same call again"),
        ("a --rdzv-id, sbatch --array, a--name", "a --rdzv-id, sbatch --array, a--name"),
    ],
)
def test_options_become_arguments(shell: str, python: str) -> None:
    assert python_words(shell) == python


def test_one_mistake_speaks_to_who_asked() -> None:
    def told() -> str:
        with pytest.raises(ArtefactError) as error, in_python({"ckpt_path": "run"}):
            raise ArtefactError("--ckpt_path: none; or --overwrite true")
        return str(error.value)

    assert told() == "run: none; or overwrite=True"
    with speaking(Level.QUIET):
        assert told() == "--ckpt_path: none; or --overwrite true"
    with pytest.raises(ProcessFailed) as error, in_python():
        raise ProcessFailed("--name", 3)
    assert (str(error.value), error.value.status) == ("name", 3)


def messages() -> list[str]:
    """Every text in the rooms that functions run, docstrings aside, which names an option of a verb."""
    found = set()
    for path in [file for room in ROOMS for file in room.rglob("*.py")]:
        tree = ast.parse(path.read_text())
        raised = [node for node in ast.walk(tree) if isinstance(node, ast.Raise)]
        for node in [inner for one in raised for inner in ast.walk(one)]:
            text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
            if re.search(rf"(?<![\w-])--({'|'.join(ARGUMENTS)}|search)\b", text):
                found.add(text)
    return sorted(found)


def test_no_message_that_functions_raise_speaks_the_shell_in_python() -> None:
    assert len(messages()) > 20
    assert [text for text in messages() if re.search(r"(?<![\w-])--(?!rdzv)[a-z]", python_words(text))] == []
